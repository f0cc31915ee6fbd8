/*
 * Objects that need no code of their own: memory back ends, threads, secrets. See core/object.h.
 *
 * Memory of guests is private anonymous memory (core/ram.c): memory-backend-ram, and memory-backend-memfd where nobody shares it, name it. Block and
 * network devices have their own threads: an iothread is a name that they may be given. Left out: secrets that are enciphered (keyid=).
 */
#include "core/object_types.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/machine.h"

static const char *const raw_base64[] = { "raw", "base64", NULL };
static const char *const policies[] = { "default", "preferred", "bind", "interleave", NULL };

static bool memory_init(struct object *o, GError **err)
{
    if (!options_uint(o->options, "size", 0)) {
        return error_set(err, EMU_ERROR_INVALID, "%s: property 'size' must be set to something", o->id);
    }
    if (options_bool(o->options, "share", false) || !strcmp(o->type->name, "memory-backend-file")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: memory that is shared with other processes (%s)", o->id);
    }
    if (strcmp(options_string(o->options, "policy", "default"), "default")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: policy=, memory of chosen host nodes (%s)", o->id);
    }
    return true;
}

#define MEMORY_OPTIONS \
    { "size", OPT_SIZE, NULL, "bytes", NULL, 0, 0 }, \
    { "prealloc", OPT_BOOL, "off", "touch all of it at start", NULL, 0, 0 }, \
    { "share", OPT_BOOL, NULL, "other processes see what the guest writes", NULL, 0, 0 }, \
    { "merge", OPT_BOOL, "on", "let the host merge equal pages", NULL, 0, 0 }, \
    { "dump", OPT_BOOL, "on", "part of core dumps", NULL, 0, 0 }, \
    { "host-nodes", OPT_STRING, NULL, "host nodes", NULL, 0, 0 }, \
    { "policy", OPT_ENUM, "default", "what host-nodes= means", policies, 0, 0 }, \
    { "reserve", OPT_BOOL, "on", "reserve swap space", NULL, 0, 0 }, \
    { "prealloc-threads", OPT_UINT, "1", "threads that touch it", NULL, 0, 0 }, \
    { "x-use-canonical-path-for-ramblock-id", OPT_BOOL, NULL, "name in snapshots", NULL, 0, 0 }

static const struct option_desc ram_options[] = { MEMORY_OPTIONS, { 0 } };
static const struct option_desc memfd_options[] = {
    MEMORY_OPTIONS, { "hugetlb", OPT_BOOL, "off", "use huge pages", NULL, 0, 0 }, { "hugetlbsize", OPT_SIZE, NULL, "their size", NULL, 0, 0 },
    { "seal", OPT_BOOL, "on", "forbid resizing", NULL, 0, 0 }, { 0 },
};
static const struct option_desc file_options[] = {
    MEMORY_OPTIONS, { "mem-path", OPT_STRING, NULL, "file or folder", NULL, 0, 0 }, { "align", OPT_SIZE, NULL, "alignment", NULL, 0, 0 },
    { "offset", OPT_SIZE, NULL, "where in the file it begins", NULL, 0, 0 }, { "discard-data", OPT_BOOL, "off", "do not write back", NULL, 0, 0 },
    { "pmem", OPT_BOOL, "off", "persistent memory", NULL, 0, 0 }, { "readonly", OPT_BOOL, "off", "open it for reading", NULL, 0, 0 }, { 0 },
};

const char memory_backend_ops[] = "memory-backend";
const struct object_type memory_backend_ram_type = {
    .name = "memory-backend-ram", .desc = "memory for a guest", .options = ram_options, .init = memory_init, .ops = memory_backend_ops,
};
const struct object_type memory_backend_memfd_type = {
    .name = "memory-backend-memfd", .desc = "memory for a guest, as a file without a name", .options = memfd_options, .init = memory_init,
    .ops = memory_backend_ops,
};
const struct object_type memory_backend_file_type = {
    .name = "memory-backend-file", .desc = "memory for a guest, from a file", .options = file_options, .init = memory_init, .ops = memory_backend_ops,
};

static const struct option_desc iothread_options[] = {
    { "poll-max-ns", OPT_UINT, NULL, "how long to look again before sleeping", NULL, 0, 0 },
    { "poll-grow", OPT_UINT, NULL, "how that grows", NULL, 0, 0 }, { "poll-shrink", OPT_UINT, NULL, "how it shrinks", NULL, 0, 0 },
    { "aio-max-batch", OPT_UINT, NULL, "requests submitted at once", NULL, 0, 0 },
    { "thread-pool-min", OPT_UINT, NULL, "least threads", NULL, 0, 0 }, { "thread-pool-max", OPT_UINT, NULL, "most threads", NULL, 0, 0 }, { 0 },
};
const struct object_type iothread_type = {
    .name = "iothread", .desc = "a thread that block devices may be given", .options = iothread_options,
};

/* --- secrets --- */

const char secret_ops[] = "secret";

struct secret {
    struct object object;
    uint8_t *bytes;
    size_t len;
};

static bool secret_init(struct object *o, GError **err)
{
    struct secret *s = (struct secret *)o;
    const char *data = options_string(o->options, "data", NULL), *file = options_string(o->options, "file", NULL);
    char *text = NULL;
    gsize len;

    if (options_has(o->options, "keyid") || options_has(o->options, "iv")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: keyid=, a secret that is enciphered by another (%s)", o->id);
    }
    if (!data == !file) {
        return error_set(err, EMU_ERROR_INVALID, data ? "'file' and 'data' are mutually exclusive" : "Must provide 'file' or 'data'");
    }
    if (file && !g_file_get_contents(file, &text, &len, err)) {
        return error_prefix(err, "%s", o->id);
    }
    s->len = file ? len : strlen(data);
    s->bytes = file ? (uint8_t *)text : (uint8_t *)g_strdup(data);
    if (!strcmp(options_string(o->options, "format", "raw"), "base64")) {
        /* g_base64_decode() wants an end; what is in a file has one by g_file_get_contents(). */
        uint8_t *plain = g_base64_decode((const char *)s->bytes, &len);

        g_free(s->bytes);
        s->bytes = plain;
        s->len = len;
    }
    return true;
}

static void secret_fini(struct object *o) { g_free(((struct secret *)o)->bytes); }

const uint8_t *secret_bytes(struct machine *m, const char *id, size_t *len, GError **err)
{
    struct secret *s = (struct secret *)object_find(m, id, secret_ops, err);

    *len = s ? s->len : 0;
    return s ? s->bytes : NULL;
}

static const struct option_desc secret_options[] = {
    { "data", OPT_STRING, NULL, "the secret", NULL, 0, 0 }, { "file", OPT_STRING, NULL, "a file that holds it", NULL, 0, 0 },
    { "format", OPT_ENUM, "raw", "how it is written", raw_base64, 0, 0 },
    { "keyid", OPT_STRING, NULL, "the secret that enciphers it", NULL, 0, 0 }, { "iv", OPT_STRING, NULL, "its start value", NULL, 0, 0 }, { 0 },
};
const struct object_type secret_type = {
    .name = "secret", .desc = "a password or key", .options = secret_options, .size = sizeof(struct secret), .init = secret_init,
    .fini = secret_fini, .ops = secret_ops,
};
