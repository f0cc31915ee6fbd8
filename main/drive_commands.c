/*
 * The monitor's commands about disks: info block, info blockstats, change, eject, block_resize, drive_add, drive_del, commit.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "block/block.h"
#include "core/command.h"
#include "core/machine.h"
#include "main/drives.h"

static const char *name_of(const struct drive *d)
{
    return d->id ? d->id : d->port.device_id ? d->port.device_id : d->port.path ? d->port.path : "?";
}

static void info_one(const struct drive *d, GString *out)
{
    struct node_info n;
    drive_info(d, &n);
    if (d->medium) {
        g_string_append_printf(out, "%s (%s): %s (%s%s)\n", name_of(d), n.name, n.file, n.driver, n.read_only ? ", read-only" : "");
    } else {
        g_string_append_printf(out, "%s: [not inserted]\n", name_of(d));
    }
    if (d->claimed) {
        g_string_append_printf(out, "    Attached to:      %s\n", d->port.device_id ? d->port.device_id : d->port.path);
    }
    if (d->claimed && d->port.removable) {
        g_string_append_printf(out, "    Removable device: %slocked, tray %s\n", d->tray_locked ? "" : "not ", d->tray_open ? "open" : "closed");
    }
    if (d->medium) {
        g_string_append_printf(out, "    Cache mode:       %s%s%s\n", n.write_back ? "writeback" : "writethrough", n.direct ? ", direct" : "",
                               n.no_flush ? ", ignore flushes" : "");
    }
    if (d->io_error) {
        g_string_append_printf(out, "    I/O status:       %s\n", d->no_space ? "nospace" : "failed");
    }
    if (n.detect_zeroes) {
        g_string_append_printf(out, "    Detect zeroes:    %s\n", d->detect_unmap ? "unmap" : "on");
    }
}

static bool info_block(struct machine *m, const char *args, GString *out, GError **err)
{
    bool found = false;
    for (unsigned i = 0; i < drives_count(m->drives); i++) {
        const struct drive *d = drives_at(m->drives, i);
        if (!*args || !strcmp(args, name_of(d)) || !g_strcmp0(args, d->port.device_id)) {
            if (found) {
                g_string_append_c(out, '\n');
            }
            info_one(d, out);
            found = true;
        }
    }
    return found || !*args || error_set(err, EMU_ERROR_NOT_FOUND, "Device '%s' not found", args);
}

static bool info_blockstats(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args;
    (void)err;
    for (unsigned i = 0; i < drives_count(m->drives); i++) {
        const struct drive *d = drives_at(m->drives, i);
        const struct drive_stats *s = &d->stats;
        g_string_append_printf(out, "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64 " wr_operations=%" PRIu64
            " flush_operations=%" PRIu64 " wr_total_time_ns=%" PRIu64 " rd_total_time_ns=%" PRIu64 " flush_total_time_ns=%" PRIu64
            " rd_merged=0 wr_merged=0 idle_time_ns=%" PRIu64 "\n", name_of(d), s->bytes[BLOCK_READ], s->bytes[BLOCK_WRITE] + s->bytes[BLOCK_ZERO],
            s->ops[BLOCK_READ], s->ops[BLOCK_WRITE] + s->ops[BLOCK_ZERO], s->ops[BLOCK_FLUSH], s->time_ns[BLOCK_WRITE], s->time_ns[BLOCK_READ],
            s->time_ns[BLOCK_FLUSH], s->last ? (uint64_t)(g_get_monotonic_time() - s->last) * 1000 : 0);
    }
    return true;
}

static struct drive *find(struct machine *m, const char *name, GError **err)
{
    struct drive *d = name ? drive_find_any(m->drives, name) : NULL;
    if (!d) {
        error_set(err, EMU_ERROR_NOT_FOUND, name ? "Device '%s' not found" : "a device must be named (info block lists them)%s", name ? name : "");
    }
    return d;
}

/* Words of a line, "..." kept together; free with g_strfreev(). -f among them is taken out. */
static char **words(const char *args, bool *force, GError **err)
{
    char **w = NULL;
    *force = false;
    if (!*args) {
        return g_new0(char *, 1);
    }
    if (!g_shell_parse_argv(args, NULL, &w, NULL)) {
        error_set(err, EMU_ERROR_INVALID, "unbalanced quotes: %s", args);
        return NULL;
    }
    unsigned to = 0;
    for (unsigned i = 0; w[i]; i++) {
        if (!strcmp(w[i], "-f")) {
            *force = true;
            g_free(w[i]);
        } else {
            w[to++] = w[i];
        }
    }
    w[to] = NULL;
    return w;
}

static bool run_eject(struct machine *m, const char *args, GString *out, GError **err)
{
    bool force;
    g_auto(GStrv) w = words(args, &force, err);
    struct drive *d = w ? find(m, w[0], err) : NULL;
    (void)out;
    return d && drive_eject(d, force, err);
}

static bool run_change(struct machine *m, const char *args, GString *out, GError **err)
{
    bool force;
    g_auto(GStrv) w = words(args, &force, err);
    unsigned n = w ? g_strv_length(w) : 0;
    (void)out;
    if (!w) {
        return false;
    }
    if (n < 2 || n > 4) {
        return error_set(err, EMU_ERROR_INVALID, "usage: change [-f] DEVICE FILE [FORMAT [retain|read-only|read-write]]");
    }
    if (!strcmp(w[0], "vnc")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: change vnc");
    }
    struct drive *d = find(m, w[0], err);
    return d && drive_change(d, w[1], n > 2 ? w[2] : NULL, n > 3 ? w[3] : NULL, force, err);
}

static bool run_resize(struct machine *m, const char *args, GString *out, GError **err)
{
    bool force;
    g_auto(GStrv) w = words(args, &force, err);
    uint64_t bytes;
    (void)out;
    if (!w) {
        return false;
    }
    if (g_strv_length(w) != 2) {
        return error_set(err, EMU_ERROR_INVALID, "usage: block_resize DEVICE SIZE (MiB, or with a suffix)");
    }
    struct drive *d = find(m, w[0], err);
    return d && parse_size(w[1], 1 << 20, &bytes, err) && drive_resize(d, bytes, err);
}

static bool run_drive_add(struct machine *m, const char *args, GString *out, GError **err)
{
    static const unsigned units[DRIVE_SD + 1] = { [DRIVE_IDE] = 2, [DRIVE_SCSI] = 7 };
    const char *space = strchr(args, ' ');
    struct options *o = space ? options_parse(space + 1, NULL, NULL, err) : NULL;
    if (!space) {
        return error_set(err, EMU_ERROR_INVALID, "usage: drive_add 0 file=...,if=none,id=...");
    }
    if (!o) {
        return false;
    }
    bool ok = !strcmp(options_string(o, "if", ""), "none") || error_set(err, EMU_ERROR_NOT_SUPPORTED, "Can't hot-add drive to type ide: if=none, then device_add");
    ok = ok && drive_open(m->drives, o, false, units, err);
    options_free(o);
    if (ok) {
        g_string_append(out, "OK\n");
    }
    return ok;
}

static bool run_drive_del(struct machine *m, const char *args, GString *out, GError **err)
{
    struct drive *d = find(m, *args ? args : NULL, err);
    (void)out;
    return d && drive_delete(d, err);
}

static bool run_commit(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)m;
    (void)out;
    return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: commit %s", args);
}

static const struct command info_commands[] = {
    { "block", NULL, "[device]", "drives and their media", info_block, NULL },
    { "blockstats", NULL, "", "what drives have transferred", info_blockstats, NULL },
    { NULL },
};

const struct command drive_commands[] = {
    { "info", NULL, "[subject]", "show a part of the machine's state", NULL, info_commands },
    { "block_resize", NULL, "device size", "resize a medium", run_resize, NULL },
    { "change", NULL, "[-f] device file [format [mode]]", "put another medium into a removable drive", run_change, NULL },
    { "commit", NULL, "device|all", "not supported", run_commit, NULL },
    { "drive_add", NULL, "0 options", "add a drive (if=none) that a device can use", run_drive_add, NULL },
    { "drive_del", NULL, "device", "remove a drive that no device uses", run_drive_del, NULL },
    { "eject", NULL, "[-f] device", "take the medium out of a removable drive", run_eject, NULL },
    { NULL },
};
