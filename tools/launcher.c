/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stands in bin/ of a tools tree (tools/tools-tree) under a tool's name and starts ../libexec/NAME with the tree's own
 * loader and libraries, so that the tools run in images with another C library or none. Static, without a C library of
 * its own: bin/ holds a copy a tool, and starting costs one more execve. */
#include <stddef.h>

#if defined(__x86_64__)
enum { sys_write = 1, sys_execve = 59, sys_exit = 60, sys_readlink = 89 };

static long call(long n, long a, long b, long c)
{
    long r;

    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}

static long read_link(const char *path, char *buf, size_t n)
{
    return call(sys_readlink, (long)path, (long)buf, (long)n);
}

__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call launch\n hlt\n");
#elif defined(__aarch64__)
enum { sys_write = 64, sys_execve = 221, sys_exit = 93, sys_readlinkat = 78 };

static long call4(long n, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;

    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

static long call(long n, long a, long b, long c)
{
    return call4(n, a, b, c, 0);
}

static long read_link(const char *path, char *buf, size_t n)
{
    return call4(sys_readlinkat, -100, (long)path, (long)buf, (long)n); /* AT_FDCWD */
}

__asm__(".globl _start\n_start:\n mov x29,#0\n mov x0,sp\n bl launch\n");
#else
#error "no launcher for this architecture yet: add its system calls"
#endif

enum { path_max = 4096, args_max = 65536, at_execfn = 31 };

static const char certificates[] = "ML_CA_BUNDLE=";

static size_t length(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

static _Noreturn void fail(const char *why)
{
    call(sys_write, 2, (long)why, (long)length(why));
    for (;;)
        call(sys_exit, 3, 0, 0);
}

/* `before`, the directory (n bytes) and the rest (m bytes) as one string in out, which is large enough. */
static char *join(char *out, const char *before, const char *dir, size_t n, const char *after, size_t m)
{
    size_t k = 0;

    for (; before && *before; before++)
        out[k++] = *before;
    for (size_t i = 0; i < n; i++)
        out[k++] = dir[i];
    for (size_t i = 0; i < m; i++)
        out[k++] = after[i];
    out[k] = '\0';
    return out;
}

static int starts_with(const char *s, const char *prefix)
{
    while (*prefix)
        if (*s++ != *prefix++)
            return 0;
    return 1;
}

/* The path of this program: the kernel's word, or where /proc isn't mounted what was executed, one link followed. */
static size_t own_path(char *buf, char **envp)
{
    long n = read_link("/proc/self/exe", buf, path_max);
    unsigned long *aux;
    const char *name = NULL;

    if (n > 0 && n < path_max)
        return (size_t)n;
    while (*envp)
        envp++;
    for (aux = (unsigned long *)(envp + 1); aux[0]; aux += 2)
        if (aux[0] == at_execfn)
            name = (const char *)aux[1];
    if (!name || length(name) >= path_max)
        fail("ml: cannot find out where this program lies\n");
    n = read_link(name, buf, path_max);
    if (n > 0 && n < path_max && buf[0] == '/')
        return (size_t)n;
    for (n = 0; name[n]; n++)
        buf[n] = name[n];
    return (size_t)n;
}

__attribute__((used, noreturn)) void launch(unsigned long *stack)
{
    static char self[path_max], loader[path_max + 32], library[path_max + 32], program[path_max + 32];
    static char bundle[path_max + 64];
    static char *args[args_max];
    size_t argc = stack[0], n, dir, k = 0, vars = 0, given = 0;
    char **argv = (char **)(stack + 1), **envp = argv + argc + 1;

    n = own_path(self, envp);
    for (dir = n; dir && self[dir - 1] != '/'; dir--)
        ;
    join(loader, NULL, self, dir, "../lib/ld.so", 12);
    join(library, NULL, self, dir, "../lib", 6);
    join(program, NULL, self, dir, "../libexec/", 11);
    join(program + dir + 11, NULL, self + dir, n - dir, "", 0);
    join(bundle, certificates, self, dir, "../etc/ca-certificates.crt", 26);
    while (envp[vars])
        if (starts_with(envp[vars++], certificates))
            given = 1;
    if (argc + vars + 16 > args_max)
        fail("ml: too many arguments\n");
    args[k++] = loader;
    args[k++] = (char *)"--inhibit-cache";
    args[k++] = (char *)"--library-path";
    args[k++] = library;
    args[k++] = (char *)"--argv0";
    args[k++] = argc ? argv[0] : program;
    args[k++] = program;
    for (size_t i = 1; i < argc; i++)
        args[k++] = argv[i];
    args[k++] = NULL;
    for (size_t i = 0; i < vars; i++)
        args[k + i] = envp[i];
    if (!given)
        args[k + vars] = bundle;
    call(sys_execve, (long)loader, (long)args, (long)(args + k));
    fail("ml: cannot start lib/ld.so beside this program's bin: the tools tree isn't whole, or for another machine\n");
}
