/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives. The first byte says what follows: 'T' a tar of any bytes; else text that becomes a tar, so that what lies
 * behind names and digests is reached: "%NAME" lines, each followed by a file's content. The name "@" is
 * blobs/sha256/<the content's digest>, "$0" to "$9" in a content stand for the digest of the file of that number. What
 * opens names its images; an image that loads has layers that can be read, or an error that says why not. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/image.h"
#include "oci/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES 10

static char path[64];

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void leave(void)
{
    unlink(path);
}

static int count(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    (void)p, (void)err;
    *(uint64_t *)ctx += n;
    return 0;
}

/* The content with "$k" replaced. */
static void expand(const char *s, size_t n, const struct ml_digest *known, size_t k, struct ml_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '$' && i + 1 < n && s[i + 1] >= '0' && (size_t)(s[i + 1] - '0') < k)
            ml_buf_adds(out, known[s[++i] - '0'].s);
        else
            ml_buf_addc(out, s[i]);
    }
}

static void add_file(const char *name, const struct ml_buf *content, struct ml_buf *tar)
{
    struct ml_tar_entry e = { .path = name, .type = ML_TAR_FILE, .mode = 0644, .size = content->len };

    require(ml_tar_header(&e, ml_buf_sink, tar, NULL) == 0);
    ml_buf_add(tar, content->data, content->len);
    require(ml_tar_pad(content->len, ml_buf_sink, tar, NULL) == 0);
}

static void make_tar(const char *s, struct ml_buf *tar)
{
    struct ml_digest known[FILES];
    size_t k = 0;

    while (*s == '%' && k < FILES) {
        const char *line = strchr(s, '\n'), *end;
        struct ml_buf content = ML_BUF_INIT;
        char *name;

        if (!line)
            break;
        end = strstr(line, "\n%");
        if (!end)
            end = line + strlen(line) - 1;
        expand(line + 1, end > line ? (size_t)(end - line - 1) : 0, known, k, &content);
        ml_digest_bytes(ml_buf_str(&content), content.len, &known[k]);
        name = line - s == 2 && s[1] == '@' ? ml_format("blobs/sha256/%s", ML_DIGEST_HEX(&known[k]))
                                            : ml_strndup(s + 1, (size_t)(line - s - 1));
        if (*name)
            add_file(name, &content, tar);
        k++;
        free(name);
        ml_buf_release(&content);
        s = end + 1;
    }
    require(ml_tar_end(ml_buf_sink, tar, NULL) == 0);
}

static void read_image(struct ml_repo *r, const char *tag)
{
    struct ml_ref ref = r->ref;
    struct ml_err err = ML_ERR_INIT;
    struct ml_manifest m;
    struct ml_image image;
    char *name = ml_strdup(tag);
    int rc = r->ops->manifest_get(r, tag, &m, &err);

    if (rc == 0) {
        struct ml_digest d;

        ml_digest_bytes(m.raw.data, m.raw.len, &d);
        require(ml_digest_eq(&d, &m.desc.digest) && m.desc.size == m.raw.len && m.desc.media_type);
        ml_manifest_release(&m);
    } else if (rc < 0) {
        require(err.code == ML_LOCAL || err.code == ML_INTEGRITY);
    }
    ref.tag = *name ? name : NULL;
    if (ml_image_load(r, &ref, NULL, true, &image, &err) == 0) {
        for (size_t i = 0; i < image.n && i < 16; i++) {
            uint64_t got = 0;

            if (r->ops->blob_get(r, &image.layers[i].desc, 0, 0, count, &got, &err) == 0)
                require(got == image.layers[i].desc.size || !image.layers[i].desc.size);
        }
        ml_image_release(&image);
    }
    free(name);
}

static void open_as(enum ml_archive_kind kind)
{
    struct ml_ref ref = { .layout = true, .archive = kind, .place = path };
    struct ml_err err = ML_ERR_INIT;
    struct ml_strs names = { 0 };
    struct ml_repo *r;

    if (ml_repo_open(&ref, false, &r, &err) < 0) {
        require(err.code == ML_LOCAL || err.code == ML_INTEGRITY);
        return;
    }
    require(r->ops->tags(r, "", &names, &err) == 0);
    read_image(r, "");
    for (size_t i = 0; i < names.n && i < 16; i++)
        read_image(r, names.v[i]);
    ml_strs_release(&names);
    ml_repo_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_buf tar = ML_BUF_INIT;
    FILE *f;

    if (!path[0]) {
        snprintf(path, sizeof path, "/tmp/fuzz_archive.%d", (int)getpid());
        atexit(leave);
    }
    if (!size)
        return 0;
    if (data[0] == 'T') {
        ml_buf_add(&tar, data + 1, size - 1);
    } else {
        char *text = ml_strndup((const char *)data, size);

        make_tar(text, &tar);
        free(text);
    }
    f = fopen(path, "w"); /* a file of one's own, not synced */
    require(f && fwrite(ml_buf_str(&tar), 1, tar.len, f) == tar.len && fclose(f) == 0);
    open_as(ML_ARCHIVE_OCI);
    open_as(ML_ARCHIVE_DOCKER);
    ml_buf_release(&tar);
    return 0;
}
