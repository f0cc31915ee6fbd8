/*
 * Commands that make and take away: devices, objects, character devices; the balloon.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "chardev/registry.h"
#include "core/balloon.h"
#include "core/bus.h"
#include "core/device.h"
#include "core/object.h"
#include "monitor/monitor.h"
#include "monitor/monitor_priv.h"

/* --- devices --- */

/* Buses that take devices while the machine runs, and give them up. */
static const char *const hot_plug[] = { "pci", "scsi", "virtio-serial-bus", "usb-bus", NULL }, *const hot_unplug[] = { "scsi", "virtio-serial-bus", "usb-bus", NULL };

static bool do_device_add(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    const char *text = args_string(a, "device");
    const struct device_class *c = device_class_of(text, err);

    (void)out;
    if (!c) {
        return false;
    }
    if (!c->bus || !g_strv_contains(hot_plug, c->bus)) {
        return error_set(err, EMU_ERROR_INVALID, "Device '%s' can not be hotplugged on this machine: a %s bus does not support hotplugging", c->name,
                         c->bus ? c->bus : "system");
    }
    return device_create(m, text, err) != NULL;
}

static bool do_device_del(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    const char *id = args_string(a, "id");
    struct device *d = device_find(m, id);

    (void)out;
    if (!d) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "Device '%s' not found", id);
    }
    if (d->bus && !strcmp(d->bus->kind, "pci")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: taking the PCI device '%s' (%s) out of a running machine", id, d->class->name);
    }
    if (!d->bus || !g_strv_contains(hot_unplug, d->bus->kind)) {
        return error_set(err, EMU_ERROR_INVALID, "Bus '%s' does not support hotplugging", d->bus ? d->bus->name : "main-system-bus");
    }
    device_remove(d);
    return true;
}

/* --- objects --- */

static bool do_object_add(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return object_add(m, args_string(a, "object"), err) != NULL;
}

static bool do_object_del(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return object_del(m, args_string(a, "id"), err);
}

/* --- character devices --- */

static bool do_chardev_add(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return chardevs_add(m->chardevs, args_string(a, "args"), err);
}

static bool do_chardev_change(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return chardevs_change(m->chardevs, args_string(a, "id"), args_string(a, "args"), err);
}

static bool do_chardev_remove(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return chardevs_remove(m->chardevs, args_string(a, "id"), err);
}

static bool do_chardev_break(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return chardevs_send_break(m->chardevs, args_string(a, "id"), err);
}

static bool do_ringbuf_write(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    const char *data = args_string(a, "data");

    (void)out;
    return chardevs_ringbuf_write(m->chardevs, args_string(a, "device"), data, strlen(data), err);
}

static bool do_ringbuf_read(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    g_autoptr(GString) got = g_string_new(NULL);

    if (!chardevs_ringbuf_read(m->chardevs, args_string(a, "device"), args_number(a, "size", 0), got, err)) {
        return false;
    }
    for (gsize i = 0; i < got->len; i++) {
        uint8_t c = (uint8_t)got->str[i];

        if (c == '\\') {
            g_string_append(out, "\\\\");
        } else if ((c < ' ' && c != '\n' && c != '\t') || c == 127) {
            g_string_append_printf(out, "\\u%04X", c);
        } else {
            g_string_append_c(out, (gchar)c);
        }
    }
    g_string_append_c(out, '\n');
    return true;
}

static void show_chardev(void *opaque, const char *id, const char *filename, bool open)
{
    (void)open;
    g_string_append_printf(opaque, "%s: filename=%s\n", id, filename);
}

static bool info_chardev(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    chardevs_each(m->chardevs, show_chardev, out);
    return true;
}

/* --- balloon --- */

static bool no_balloon(struct machine *m, GError **err)
{
    return !m->balloon && !error_set(err, EMU_ERROR_NOT_FOUND, "No balloon device has been activated");
}

static bool do_balloon(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    uint64_t target = args_number(a, "value", 0);

    (void)out;
    if (no_balloon(m, err)) {
        return false;
    }
    if (!target) {
        return error_set(err, EMU_ERROR_INVALID, "Parameter 'target' expects a size");
    }
    m->balloon->set_target(m->balloon->owner, target);
    return true;
}

static bool info_balloon(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args;
    if (no_balloon(m, err)) {
        return false;
    }
    g_string_append_printf(out, "balloon: actual=%" PRIu64 "\n", m->balloon->actual(m->balloon->owner) >> 20);
    return true;
}

static const struct command_arg device_text[] = { { "device", ARG_REST, false, COMPLETE_DEVICE_CLASS }, { 0 } };
static const struct command_arg device_id[] = { { "id", ARG_STRING, false, COMPLETE_DEVICE_ID }, { 0 } };
static const struct command_arg object_text[] = { { "object", ARG_REST, false, COMPLETE_OBJECT_TYPE }, { 0 } };
static const struct command_arg object_id[] = { { "id", ARG_STRING, false, COMPLETE_OBJECT_ID }, { 0 } };
static const struct command_arg chardev_text[] = { { "args", ARG_REST }, { 0 } };
static const struct command_arg chardev_id[] = { { "id", ARG_STRING, false, COMPLETE_CHARDEV }, { 0 } };
static const struct command_arg chardev_id_text[] = { { "id", ARG_STRING, false, COMPLETE_CHARDEV }, { "args", ARG_REST }, { 0 } };
static const struct command_arg ringbuf_data[] = { { "device", ARG_STRING, false, COMPLETE_CHARDEV }, { "data", ARG_STRING }, { 0 } };
static const struct command_arg ringbuf_size[] = { { "device", ARG_STRING, false, COMPLETE_CHARDEV }, { "size", ARG_NUMBER }, { 0 } };
static const struct command_arg balloon_value[] = { { "value", ARG_SIZE }, { 0 } };

static const struct command info_commands[] = {
    { "balloon", NULL, "", "show balloon information", info_balloon },
    { "chardev", NULL, "", "show the character devices", info_chardev },
    { 0 },
};

const struct command object_commands[] = {
    { "balloon", NULL, "target", "request VM to change its memory allocation (in MB)", .arg = balloon_value, .exec = do_balloon },
    { "chardev-add", NULL, "args", "add chardev", .arg = chardev_text, .exec = do_chardev_add },
    { "chardev-change", NULL, "id args", "change chardev", .arg = chardev_id_text, .exec = do_chardev_change },
    { "chardev-remove", NULL, "id", "remove chardev", .arg = chardev_id, .exec = do_chardev_remove },
    { "chardev-send-break", NULL, "id", "send a break on chardev", .arg = chardev_id, .exec = do_chardev_break },
    { "device_add", NULL, "driver[,prop=value][,...]", "add device, like -device on the command line", .arg = device_text, .exec = do_device_add },
    { "device_del", NULL, "device", "remove device", .arg = device_id, .exec = do_device_del },
    { "info", NULL, "[subcommand]", "show various information about the system state", .sub = info_commands },
    { "object_add", NULL, "[qom-type=]type,id=str[,prop=value][,...]", "create QOM object", .arg = object_text, .exec = do_object_add },
    { "object_del", NULL, "id", "destroy QOM object", .arg = object_id, .exec = do_object_del },
    { "ringbuf_read", NULL, "device size", "Read from a ring buffer character device", .arg = ringbuf_size, .exec = do_ringbuf_read },
    { "ringbuf_write", NULL, "device data", "Write to a ring buffer character device", .arg = ringbuf_data, .exec = do_ringbuf_write },
    { 0 },
};
