/*
 * From options to nodes and drives: -drive, -blockdev, the monitor's change. Option names are QEMU's; what is known there and not built is refused
 * by name. An image without format= is looked at: one with a known header is refused (it is not raw), another one is raw.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/block_priv.h"

static const char *const unbuilt[] = {
    "qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc", "luks", "parallels", "bochs", "cloop", "dmg", "vvfat", "quorum", "nbd", "iscsi", "rbd",
    "ssh", "http", "https", "ftp", "ftps", "gluster", "nfs", "blkdebug", "blkverify", "blkreplay", "blklogwrites", "throttle", "copy-on-read",
    "copy-before-write", "compress", "preallocate", "replication", "nvme", "snapshot-access", "null-aio", "fat", "sheepdog", NULL,
};
static const char *const layers[] = { "file", "host_device", "host_cdrom", "null-co", NULL };
static const char *const onoff[] = { "off", "on", "unmap", NULL };
static const char *const ignore_unmap[] = { "ignore", "off", "unmap", "on", NULL };
static const char *const locking[] = { "auto", "on", "off", NULL };
static const char *const aio[] = { "threads", "native", "io_uring", NULL };
static const char *const on_error[] = { "report", "ignore", "stop", "enospc", "auto", NULL };
static const char *const interfaces[] = { "ide", "virtio", "scsi", "floppy", "pflash", "none", "sd", NULL };

static int word(const char *what, const char *value, const char *const *list, int def, GError **err)
{
    if (!value) {
        return def;
    }
    for (int i = 0; list[i]; i++) {
        if (!strcmp(list[i], value)) {
            return i;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)list);
    error_set(err, EMU_ERROR_INVALID, "%s=%s: must be one of %s", what, value, all);
    return -1;
}

static bool in_list(const char *w, const char *const *list)
{
    for (; *list; list++) {
        if (!strcmp(w, *list)) {
            return true;
        }
    }
    return false;
}

static bool flag(const struct options *o, const char *key, bool def, bool *value, GError **err)
{
    const char *text = options_string(o, key, NULL);
    *value = def;
    return !text || parse_bool(text, value, err) || error_prefix(err, "%s", key);
}

/* --- nodes --- */

/* What the options of one node say; keys below a prefix ("file."). */
struct node_conf {
    struct file_conf f;
    bool write_through, detect_zeroes, detect_unmap;
    uint64_t offset, size;
    bool zeroes;
};

static const char *get(const struct options *o, const char *prefix, const char *key)
{
    g_autofree char *k = g_strconcat(prefix, key, NULL);
    return options_string(o, k, NULL);
}

static bool get_flag(const struct options *o, const char *prefix, const char *key, bool *value, GError **err)
{
    g_autofree char *k = g_strconcat(prefix, key, NULL);
    return flag(o, k, *value, value, err);
}

static bool get_size(const struct options *o, const char *prefix, const char *key, uint64_t *value, GError **err)
{
    const char *text = get(o, prefix, key);
    return !text || parse_size(text, 1, value, err) || error_prefix(err, "%s%s", prefix, key);
}

/* Fills what the options say; the rest of *c stays (inherited). */
static bool node_conf_read(const struct options *o, const char *p, struct node_conf *c, GError **err)
{
    bool write_back = !c->write_through;
    int n;
    const char *v = get(o, p, "discard");
    if ((n = word("discard", v, ignore_unmap, c->f.discard ? 2 : 0, err)) < 0) {
        return false;
    }
    c->f.discard = n >= 2;
    if ((n = word("detect-zeroes", get(o, p, "detect-zeroes"), onoff, c->detect_unmap ? 2 : c->detect_zeroes, err)) < 0) {
        return false;
    }
    c->detect_zeroes = n >= 1;
    c->detect_unmap = n == 2;
    if (c->detect_unmap && !c->f.discard) {
        return error_set(err, EMU_ERROR_INVALID, "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
    }
    if ((n = word("locking", get(o, p, "locking"), locking, (int)c->f.locking, err)) < 0) {
        return false;
    }
    c->f.locking = n;
    if ((v = get(o, p, "aio"))) {
        if (word("aio", v, aio, 0, err) < 0) {
            return false;
        }
        c->f.aio = v;
    }
    if (!get_flag(o, p, "read-only", &c->f.read_only, err) || !get_flag(o, p, "auto-read-only", &c->f.auto_read_only, err) ||
        !get_flag(o, p, "cache.direct", &c->f.direct, err) || !get_flag(o, p, "cache.no-flush", &c->f.no_flush, err) ||
        !get_flag(o, p, "cache.writeback", &write_back, err) || !get_size(o, p, "offset", &c->offset, err) ||
        !get_size(o, p, "size", &c->size, err) || !get_flag(o, p, "read-zeroes", &c->zeroes, err)) {
        return false;
    }
    c->write_through = !write_back;
    c->f.name = get(o, p, "node-name");
    return true;
}

static bool free_name(struct drives *all, const char *name, GError **err)
{
    if (!name) {
        return true;
    }
    if (!*name || !g_ascii_isalpha(*name) || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != strlen(name) ||
        strlen(name) > 31) {
        return error_set(err, EMU_ERROR_INVALID, "Invalid node-name: '%s'", name);
    }
    if (node_find(all, name) || drive_find(all, name)) {
        return error_set(err, EMU_ERROR_INVALID, "Duplicate nodes with node-name='%s'", name);
    }
    return true;
}

/* A path with a protocol ("nbd:host:1", "json:{...}"), unless it is one of the file's. NULL *path: refused. */
static const char *strip_protocol(const char *file, const char **driver, GError **err)
{
    size_t len = strcspn(file, ":/");
    if (file[len] != ':' || !len) {
        return file;
    }
    g_autofree char *name = g_strndup(file, len);
    if (in_list(name, layers)) {
        *driver = layers[word("driver", name, layers, 0, NULL)];
        file += len + 1;
        return !strcmp(*driver, "null-co") && g_str_has_prefix(file, "//") ? file + 2 : file;
    }
    if (in_list(name, unbuilt) || !strcmp(name, "json") || !strcmp(name, "fd")) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: protocol '%s' (in '%s')", name, file);
    } else {
        error_set(err, EMU_ERROR_INVALID, "Unknown protocol '%s' (in '%s'; ./%s is a file of that name)", name, file, file);
    }
    return NULL;
}

static bool refuse_driver(const char *driver, GError **err)
{
    if (in_list(driver, unbuilt)) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: image format or driver '%s'", driver);
    }
    return error_set(err, EMU_ERROR_INVALID, "Unknown driver '%s'", driver);
}

/* The lowest layer. */
static struct node *open_layer(struct drives *all, const struct node_conf *c, GError **err)
{
    if (!free_name(all, c->f.name, err)) {
        return NULL;
    }
    if (!strcmp(c->f.driver, "null-co")) {
        return null_node_open(all, &c->f, c->size ? c->size : 1ull << 30, c->zeroes, err);
    }
    if (!c->f.filename || !*c->f.filename) {
        error_set(err, EMU_ERROR_INVALID, "The '%s' block driver requires a file name", c->f.driver);
        return NULL;
    }
    return file_node_open(all, &c->f, err);
}

/* `raw` over a layer; the layer is given up on failure. */
static struct node *open_raw(struct node *child, const struct node_conf *c, GError **err)
{
    struct node *n = free_name(child->all, c->f.name, err) ? raw_node_open(child, c->offset, c->size, c->f.name, err) : NULL;
    if (!n) {
        node_unref(child);
        return NULL;
    }
    n->read_only |= c->f.read_only;
    n->discard = c->f.discard && child->discard;
    n->detect_zeroes = c->detect_zeroes;
    n->detect_unmap = c->detect_unmap;
    n->write_through = c->write_through;
    return n;
}

/* An image that nobody said the form of. */
static bool probe(struct node *n, GError **err)
{
    const char *form = probe_node(n);
    if (form) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: image format '%s' of '%s' (format=raw takes it as it is)", form, n->filename);
    }
    return true;
}

static const char *const node_keys[] = {
    "driver", "node-name", "discard", "detect-zeroes", "read-only", "auto-read-only", "cache.direct", "cache.no-flush", "cache.writeback",
    "force-share", NULL,
};
static const char *const file_keys[] = { "filename", "aio", "locking", "pr-manager", "drop-cache", "x-check-cache-dropped", "aio-max-batch", NULL };
static const char *const raw_keys[] = { "offset", "size", "file", "backing", NULL };
static const char *const null_keys[] = { "size", "read-zeroes", "latency-ns", NULL };

/* Refuses keys that no row of the node knows. `below`: a deeper prefix that is somebody else's. */
static bool keys_known(const struct options *o, const char *prefix, const char *driver, const char *below, GError **err)
{
    const char *const *own = !strcmp(driver, "raw") ? raw_keys : !strcmp(driver, "null-co") ? null_keys : file_keys;
    size_t len = strlen(prefix);
    for (unsigned i = 0; i < options_count(o); i++) {
        const char *key, *value;
        options_at(o, i, &key, &value);
        if (strncmp(key, prefix, len) || (below && g_str_has_prefix(key, below)) || in_list(key + len, node_keys) || in_list(key + len, own)) {
            continue;
        }
        return error_set(err, EMU_ERROR_INVALID, "Parameter '%s' is unexpected for driver '%s'", key, driver);
    }
    return true;
}

static struct node *open_file_below(struct drives *all, const struct options *o, const struct node_conf *c, GError **err)
{
    struct node_conf f = { .f = { .driver = get(o, "file.", "driver"), .filename = get(o, "file.", "filename"), .read_only = c->f.read_only,
        .auto_read_only = true, .direct = c->f.direct, .no_flush = c->f.no_flush, .discard = true, .aio = c->f.aio } };
    f.f.driver = f.f.driver ? f.f.driver : "file";
    if (!in_list(f.f.driver, layers)) {
        refuse_driver(f.f.driver, err);
        return NULL;
    }
    return node_conf_read(o, "file.", &f, err) && keys_known(o, "file.", f.f.driver, NULL, err) ? open_layer(all, &f, err) : NULL;
}

bool node_open_options(struct drives *all, struct options *o, GError **err)
{
    const char *driver = options_string(o, "driver", NULL), *ref = options_string(o, "file", NULL);
    struct node_conf c = { 0 };
    struct node *n = NULL;
    if (!driver) {
        return error_set(err, EMU_ERROR_INVALID, "Parameter 'driver' is missing");
    }
    if (strcmp(driver, "raw") && !in_list(driver, layers)) {
        return refuse_driver(driver, err);
    }
    if (!node_conf_read(o, "", &c, err) || !keys_known(o, "", driver, !strcmp(driver, "raw") ? "file." : NULL, err)) {
        return false;
    }
    if (!c.f.name) {
        return error_set(err, EMU_ERROR_INVALID, "'node-name' must be specified for the root node");
    }
    c.f.driver = driver;
    c.f.filename = options_string(o, "filename", NULL);
    if (strcmp(driver, "raw")) {
        n = open_layer(all, &c, err);
        if (n) {
            n->detect_zeroes = c.detect_zeroes;
            n->detect_unmap = c.detect_unmap;
            n->write_through = c.write_through;
        }
    } else if (ref) {
        struct node *child = node_find(all, ref);
        if (!child) {
            return error_set(err, EMU_ERROR_NOT_FOUND, "Cannot find device='%s' nor node-name='%s'", ref, ref);
        }
        node_ref(child);
        n = open_raw(child, &c, err);
    } else {
        struct node *child = open_file_below(all, o, &c, err);
        n = child ? open_raw(child, &c, err) : NULL;
    }
    if (!n) {
        return false;
    }
    n->listed = true;
    return true;
}

/* The graph under a drive: file, raw over it, snapshot over that. */
static struct node *open_image(struct drives *all, const struct options *o, struct node_conf *c, const char *format, bool *probed,
                               GError **err)
{
    struct node_conf layer = *c;
    struct node *n, *raw;
    layer.f.discard = true;
    layer.f.name = NULL;
    if (layer.f.filename) {
        layer.f.filename = strip_protocol(layer.f.filename, &layer.f.driver, err);
        if (!layer.f.filename) {
            return NULL;
        }
    }
    layer.f.auto_read_only = false;
    if (o && (!node_conf_read(o, "file.", &layer, err))) {
        return NULL;
    }
    layer.detect_zeroes = false;
    if (format && strcmp(format, "raw") && !in_list(format, layers)) {
        refuse_driver(format, err);
        return NULL;
    }
    n = open_layer(all, &layer, err);
    *probed = !format && !n ? false : !format && strcmp(n->class->name, "null-co");
    if (n && *probed && !probe(n, err)) {
        node_unref(n);
        return NULL;
    }
    if (!n) {
        return NULL;
    }
    raw = open_raw(n, c, err);
    if (raw) {
        raw->probed_raw = *probed;
    }
    return raw;
}

/* --- drives --- */

static const char *const drive_keys[] = {
    "file", "driver", "format", "if", "index", "bus", "unit", "media", "id", "cache", "aio", "readonly", "read-only", "auto-read-only", "serial",
    "discard", "detect-zeroes", "snapshot", "werror", "rerror", "locking", "cache.direct", "cache.no-flush", "cache.writeback", "file.filename",
    "file.driver", "file.locking", "file.aio", "file.size", "file.read-zeroes", "file.node-name", "node-name", "offset", "size", "copy-on-read",
    "force-share", NULL,
};

static const struct {
    const char *name;
    bool direct, no_flush, write_through;
} caches[] = {
    { "none", true, false, false }, { "directsync", true, false, true }, { "writeback", false, false, false },
    { "unsafe", false, true, false }, { "writethrough", false, false, true },
};

static bool known_keys(const struct options *o, GError **err)
{
    for (unsigned i = 0; i < options_count(o); i++) {
        const char *key, *value;
        options_at(o, i, &key, &value);
        if (in_list(key, drive_keys)) {
            continue;
        }
        if (g_str_has_prefix(key, "throttling.") || g_str_has_prefix(key, "bps") || g_str_has_prefix(key, "iops") || !strcmp(key, "group") ||
            g_str_has_prefix(key, "backing.") || g_str_has_prefix(key, "file.") || g_str_has_prefix(key, "stats-") || !strcmp(key, "boot")) {
            return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: %s=%s", key, value);
        }
        return error_set(err, EMU_ERROR_INVALID, "Block format 'raw' does not support the option '%s'", key);
    }
    return true;
}

static bool read_cache(const struct options *o, struct node_conf *c, GError **err)
{
    const char *name = options_string(o, "cache", NULL);
    if (!name) {
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(caches); i++) {
        if (!strcmp(caches[i].name, name)) {
            c->f.direct = caches[i].direct;
            c->f.no_flush = caches[i].no_flush;
            c->write_through = caches[i].write_through;
            return true;
        }
    }
    return error_set(err, EMU_ERROR_INVALID, "invalid cache option '%s' (none, writeback, unsafe, writethrough, directsync)", name);
}

static bool read_number(const struct options *o, const char *key, int *value, GError **err)
{
    const char *text = options_string(o, key, NULL);
    uint64_t n;
    *value = -1;
    if (!text) {
        return true;
    }
    if (!parse_uint(text, &n, err) || n > 255) {
        return error_set(err, EMU_ERROR_INVALID, "%s=%s: a number from 0 to 255", key, text);
    }
    *value = (int)n;
    return true;
}

/* if=, index=, bus=, unit= */
static bool read_place(struct drive *d, const struct options *o, const unsigned *units_per_bus, GError **err)
{
    int index, i = word("if", options_string(o, "if", NULL), interfaces, DRIVE_IDE, err);
    if (i < 0 || !read_number(o, "index", &index, err) || !read_number(o, "bus", &d->bus, err) || !read_number(o, "unit", &d->unit, err)) {
        return false;
    }
    d->interface = (enum drive_if)i;
    int units = (int)units_per_bus[d->interface];
    if (index >= 0) {
        if (d->bus >= 0 || d->unit >= 0) {
            return error_set(err, EMU_ERROR_INVALID, "index cannot be used with bus and unit");
        }
        d->bus = units ? index / units : 0;
        d->unit = units ? index % units : index;
    }
    d->bus = MAX(d->bus, 0);
    if (units && d->unit >= units) {
        return error_set(err, EMU_ERROR_INVALID, "unit %d too big (max is %d)", d->unit, units - 1);
    }
    if (d->unit < 0) {                   /* the first free one */
        for (d->unit = 0; drive_by_place(d->all, d->interface, d->bus, d->unit);) {
            if (++d->unit == units) {
                d->unit = 0;
                d->bus++;
            }
        }
    } else if (d->interface != DRIVE_NONE && drive_by_place(d->all, d->interface, d->bus, d->unit)) {
        return error_set(err, EMU_ERROR_INVALID, "drive with bus=%d, unit=%d (index=%d) exists", d->bus, d->unit, units ? d->bus * units + d->unit : d->unit);
    }
    return true;
}

const char *drive_if_name(enum drive_if i) { return interfaces[i]; }

static void make_id(struct drive *d, int units)
{
    const char *media = d->cdrom ? "-cd" : "-hd";
    if (d->interface == DRIVE_FLOPPY) {
        d->id = g_strdup_printf("floppy%d", d->unit);
    } else if (units > 1) {
        d->id = g_strdup_printf("%s%d%s%d", interfaces[d->interface], d->bus, media, d->unit);
    } else if (units == 1) {             /* one unit a bus */
        d->id = g_strdup_printf("%s%d%s0", interfaces[d->interface], d->bus, media);
    } else {
        d->id = g_strdup_printf("%s%d", interfaces[d->interface], d->unit);
    }
}

static bool read_policies(struct drive *d, const struct options *o, GError **err)
{
    static const enum drive_on_error value[] = { ON_ERROR_REPORT, ON_ERROR_IGNORE, ON_ERROR_STOP, ON_ERROR_ENOSPC, ON_ERROR_DEFAULT };
    int w = word("werror", options_string(o, "werror", NULL), on_error, 4, err);
    int r = w < 0 ? -1 : word("rerror", options_string(o, "rerror", NULL), on_error, 4, err);
    if (w < 0 || r < 0) {
        return false;
    }
    if (r == 3) {
        return error_set(err, EMU_ERROR_INVALID, "'enospc' invalid read error action");
    }
    d->on_write = value[w];
    d->on_read = value[r];
    return true;
}

static bool open_medium(struct drive *d, const struct options *o, struct node_conf *c, bool snapshot, GError **err)
{
    const char *format = options_string(o, "format", options_string(o, "driver", NULL)), *file = options_string(o, "file", NULL);
    bool probed = false;
    c->f.driver = options_string(o, "file.driver", format && in_list(format, layers) ? format : "file");
    if (!in_list(c->f.driver, layers)) {
        return refuse_driver(c->f.driver, err);
    }
    c->f.filename = file && *file ? file : options_string(o, "file.filename", NULL);
    if (!c->f.filename && strcmp(c->f.driver, "null-co")) {
        return true;                     /* no medium */
    }
    if (snapshot) {
        c->f.read_only = true;
    }
    struct node *n = open_image(d->all, o, c, format, &probed, err);
    if (n && snapshot) {
        struct node *top = snapshot_node_open(n, err);
        if (!top) {
            node_unref(n);
        }
        n = top;
    }
    if (!n) {
        return false;
    }
    d->medium = n;
    d->probed_raw = probed && !snapshot;
    if (d->probed_raw && !n->read_only) {
        block_warn("WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
                   "         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n"
                   "         Specify the 'raw' format explicitly to remove the restrictions.", n->filename);
    }
    return true;
}

static bool drive_configure(struct drive *d, struct options *o, bool snapshot, const unsigned *units_per_bus, GError **err)
{
    static const char *const media[] = { "disk", "cdrom", NULL };
    struct node_conf c = { 0 };
    bool copy_on_read, ro1, ro2, snap;
    int m;
    if (!known_keys(o, err) || (m = word("media", options_string(o, "media", NULL), media, 0, err)) < 0 ||
        !flag(o, "copy-on-read", false, &copy_on_read, err) || !flag(o, "readonly", false, &ro1, err) || !flag(o, "read-only", false, &ro2, err) ||
        !flag(o, "snapshot", snapshot, &snap, err)) {
        return false;
    }
    if (copy_on_read) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: copy-on-read=on");
    }
    d->cdrom = m == 1;
    d->read_only = ro1 || ro2 || d->cdrom;
    c.f.read_only = d->read_only;
    if (!read_place(d, o, units_per_bus, err) || !read_policies(d, o, err) || !read_cache(o, &c, err) || !node_conf_read(o, "", &c, err)) {
        return false;
    }
    c.f.read_only |= d->read_only;
    d->write_cache = !c.write_through;
    d->detect_zeroes = c.detect_zeroes;
    d->detect_unmap = c.detect_unmap;
    d->serial = g_strdup(options_string(o, "serial", NULL));
    const char *id = options_string(o, "id", NULL);
    if (id && (drive_find(d->all, id) || node_find(d->all, id))) {
        return error_set(err, EMU_ERROR_INVALID, "Duplicate ID '%s' for drive", id);
    }
    if (id) {
        d->id = g_strdup(id);
    } else {
        make_id(d, (int)units_per_bus[d->interface]);
    }
    if (!open_medium(d, o, &c, snap && !d->cdrom, err)) {
        return false;
    }
    d->read_only |= c.f.read_only && !snap;
    return true;
}

struct drive *drive_open(struct drives *all, struct options *o, bool snapshot, const unsigned *units_per_bus, GError **err)
{
    struct drive *d = g_new0(struct drive, 1);
    d->all = all;
    d->interface = DRIVE_NONE;
    d->bus = d->unit = -1;
    bool ok = drive_configure(d, o, snapshot, units_per_bus, err);
    g_ptr_array_add(all->drives, d);     /* not before: it would be in its own way */
    if (!ok) {
        drive_delete(d, NULL);
        return NULL;
    }
    return d;
}

bool drive_change(struct drive *d, const char *file, const char *format, const char *mode, bool force, GError **err)
{
    bool probed, read_only = d->cdrom || (mode && !strcmp(mode, "read-only"));
    if (!mode || !strcmp(mode, "retain")) {
        read_only |= d->read_only;
    } else if (strcmp(mode, "read-only") && strcmp(mode, "read-write")) {
        return error_set(err, EMU_ERROR_INVALID, "invalid read-only mode '%s' (retain, read-only, read-write)", mode);
    }
    struct node_conf c = { .f = { .driver = "file", .filename = file, .read_only = read_only, .discard = d->medium && d->medium->discard,
        .no_flush = d->medium && d->medium->no_flush, .direct = d->medium && d->medium->direct } };
    struct node *n = open_image(d->all, NULL, &c, format, &probed, err);
    if (!n) {
        return false;
    }
    if (!drive_change_node(d, n, force, err)) {
        node_unref(n);
        return false;
    }
    d->read_only = read_only;
    return true;
}
