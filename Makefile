# SPDX-License-Identifier: GPL-3.0-or-later
# `make` builds the tools into build/bin; `make demo` and `make check` install what they need first.

PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
CFLAGS ?= -O2 -g
SANITIZE ?=
V ?=

B := build
PKGS := libcurl libcjson libfyaml libcrypto libxxhash gsl zlib libzstd
HAVE := $(shell pkg-config --exists $(PKGS) libarchive libsodium 2>/dev/null && echo yes)
PKG_CFLAGS := $(if $(HAVE),$(shell pkg-config --cflags $(PKGS)))
# libarchive from its archive: we use its tar reader only, and the shared one brings libxml2 and ICU (36 MB, 1.5 ms at every start).
# libsodium from its archive, too: one command of one tool needs it.
PKG_LIBS := $(if $(HAVE),-l:libarchive.a -l:libsodium.a $(shell pkg-config --libs $(PKGS)))

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla \
	-Wno-missing-field-initializers
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fno-math-errno -ffp-contract=off $(WARN) -Ilib $(PKG_CFLAGS) $(CFLAGS) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_LDFLAGS := -Wl,--as-needed -pthread $(LDFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LIBS := $(PKG_LIBS) -lm

LIB_SRC := $(sort $(wildcard lib/*/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
TOOL_SRC := $(sort $(wildcard tools/ml*.c))
TOOLS := $(TOOL_SRC:tools/%.c=$(B)/bin/%)
# a tool of several files is ml-x.c and x_*.c
PART_SRC := $(sort $(wildcard tools/*_*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT := $(UNIT_SRC:%.c=$(B)/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ := $(FUZZ_SRC:%.c=$(B)/%)
HELPER_SRC := $(sort $(wildcard tests/parity/*.c tests/bench/*.c tests/fake/*.c))
HELPERS := $(HELPER_SRC:%.c=$(B)/%)
MAN1 := $(sort $(wildcard man/*.1))
MAN5 := $(sort $(wildcard man/*.5))
MAN7 := $(sort $(wildcard man/*.7))

# What a recipe builds is built on all processors, unless the caller said -j.
PAR = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

.PHONY: all tests check check-long demo bench fuzz valgrind lint format format-check check-headers install uninstall \
	tools-tree image distcheck clean deps help golden

ifneq ($(HAVE),)
all: $(TOOLS)
else
# The flags are found out when make reads this file, so what is missing is installed first and make starts anew.
all:
	$(Q)tests/deps build
	$(Q)$(MAKE) $@
endif

help:
	@echo "make [all]       the tools, in $(B)/bin"
	@echo "make demo        the whole story on this machine, ending with a summary"
	@echo "make check       every test (installs what they need)"
	@echo "make check-long  long fuzzing, hundreds of kills, large simulations"
	@echo "make lint        layers, headers, banned functions, format, manuals, shell"
	@echo "make format      all C files by .clang-format; make format-check says whether it would"
	@echo "make bench       ratios against peers"
	@echo "make valgrind    the unit tests again, under valgrind"
	@echo "make fuzz        fuzz targets with libFuzzer (FUZZ_SECONDS=60 each)"
	@echo "make tools-tree  .ml/tools: the tools for any Linux image"
	@echo "make image       the tools image, an OCI layout in $(B)/image"
	@echo "make install     into PREFIX ($(PREFIX)), below DESTDIR"

# A changed flag rebuilds everything.
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS)
$(B)/flags: FORCE
	@mkdir -p $(B); printf '%s\n' '$(FLAGS)' | cmp -s - $@ || printf '%s\n' '$(FLAGS)' >$@
.PHONY: FORCE

$(B)/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libmlci.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

$(B)/bin/%: $(B)/tools/%.o $(B)/libmlci.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/libmlci.a $(LIBS)

$(foreach t,$(TOOLS),$(eval $(t): $(patsubst %.c,$(B)/%.o,$(filter tools/$(t:$(B)/bin/ml-%=%)_%,$(PART_SRC)))))

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libmlci.a
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/libmlci.a $(LIBS) -lcmocka

$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/driver.o $(B)/libmlci.a
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# the same with a fuzzer's own main (tests/fuzz/run)
$(B)/fuzzers/%: $(B)/tests/fuzz/fuzz_%.o $(B)/libmlci.a
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(HELPERS): $(B)/%: $(B)/%.o $(B)/libmlci.a
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/libmlci.a $(LIBS)

.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(TOOL_SRC:%.c=$(B)/%.d) $(PART_SRC:%.c=$(B)/%.d) $(UNIT_SRC:%.c=$(B)/%.d) $(FUZZ_SRC:%.c=$(B)/%.d) $(HELPER_SRC:%.c=$(B)/%.d)

ifneq ($(HAVE),)
tests: all $(UNIT) $(FUZZ) $(HELPERS)
else
tests: all
	$(Q)$(MAKE) $@
endif

deps:
	$(Q)tests/deps build check demo

check:
	$(Q)tests/deps build check demo
	$(Q)$(MAKE) $(PAR) tests tools-tree
	$(Q)tests/run e2e interop parity templates faults suite cmd fuzz unit

check-long:
	$(Q)tests/deps build check demo
	$(Q)$(MAKE) $(PAR) tests tools-tree
	$(Q)tests/run long

demo:
	$(Q)tests/deps build demo
	$(Q)$(MAKE) $(PAR) all tools-tree
	$(Q)examples/demo

bench:
	$(Q)tests/deps build check
	$(Q)$(MAKE) $(PAR) tests
	$(Q)tests/bench/run

fuzz:
	$(Q)tests/deps build fuzz
	$(Q)tests/fuzz/run

valgrind:
	$(Q)tests/deps build check valgrind
	$(Q)$(MAKE) tests
	$(Q)MLCI_WRAP="valgrind -q --leak-check=full --error-exitcode=99" tests/run unit

lint:
	$(Q)tests/deps build check
	$(Q)$(MAKE) check-headers
	$(Q)tests/lint

# Every header compiles alone.
check-headers:
	$(Q)for h in lib/*/*.h; do \
		printf '#include "%s"\n' "$${h#lib/}" | $(CC) $(ALL_CFLAGS) -fsyntax-only -x c - || exit 1; done

# The only way to change what is on record; look at what it shows before you commit it.
golden:
	$(Q)tests/deps build check
	$(Q)$(MAKE) tests
	$(Q)MLCI_GOLDEN=1 tests/run tests/cmd/ml-comment.bats tests/cmd/ml-comment-pictures.bats
	$(Q)git diff tests/golden

C_FILES = $(shell git ls-files '*.c' '*.h')
format:
	$(Q)clang-format -i $(C_FILES)
format-check:
	$(Q)clang-format --dry-run -Werror $(C_FILES)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(TOOLS) $(DESTDIR)$(PREFIX)/bin
	$(if $(MAN1),install -d $(DESTDIR)$(PREFIX)/share/man/man1 && install -m 644 $(MAN1) $(DESTDIR)$(PREFIX)/share/man/man1)
	$(if $(MAN5),install -d $(DESTDIR)$(PREFIX)/share/man/man5 && install -m 644 $(MAN5) $(DESTDIR)$(PREFIX)/share/man/man5)
	$(if $(MAN7),install -d $(DESTDIR)$(PREFIX)/share/man/man7 && install -m 644 $(MAN7) $(DESTDIR)$(PREFIX)/share/man/man7)
	install -m 644 tools/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ml
	install -d $(DESTDIR)$(PREFIX)/share/mlci && install -m 644 ci-templates/ml-policy.schema.json $(DESTDIR)$(PREFIX)/share/mlci
	for t in $(notdir $(TOOLS)); do [ $$t = ml ] || ln -sf ml $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$t; done

uninstall:
	rm -f $(TOOLS:$(B)/bin/%=$(DESTDIR)$(PREFIX)/bin/%) $(MAN1:man/%=$(DESTDIR)$(PREFIX)/share/man/man1/%) \
		$(MAN5:man/%=$(DESTDIR)$(PREFIX)/share/man/man5/%) $(MAN7:man/%=$(DESTDIR)$(PREFIX)/share/man/man7/%) \
		$(TOOLS:$(B)/bin/%=$(DESTDIR)$(PREFIX)/share/bash-completion/completions/%) \
		$(DESTDIR)$(PREFIX)/share/mlci/ml-policy.schema.json

tools-tree: all
	$(Q)tools/tools-tree

image: all
	$(Q)tests/deps demo
	$(Q)tools/image

# What git holds builds, installs and passes its unit and command tests, elsewhere.
distcheck:
	tests/deps build check
	rm -rf $(B)/dist && mkdir -p $(B)/dist && git archive HEAD | tar -xC $(B)/dist
	$(MAKE) $(PAR) -C $(B)/dist tests && cd $(B)/dist && tests/run unit cmd suite
	$(MAKE) -C $(B)/dist install DESTDIR=root PREFIX=/usr && $(B)/dist/root/usr/bin/ml --version

clean:
	rm -rf $(B) .ml/tools
