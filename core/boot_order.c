/*
 * See core/boot_order.h. Spec for the paths: IEEE 1275, 3.2.1.1, as SeaBIOS and OVMF read them.
 */
#include "core/boot_order.h"

#include "core/bus.h"
#include "core/device.h"
#include "core/machine.h"

struct entry {
    struct device *device;
    int64_t index;
    char *suffix;
};

static void entry_free(gpointer p)
{
    g_free(((struct entry *)p)->suffix);
    g_free(p);
}

void boot_order_add(struct machine *m, struct device *d, int64_t index, const char *suffix)
{
    struct entry *e;

    if (index < 0) {
        return;
    }
    if (!m->boot_order) {
        m->boot_order = g_ptr_array_new_with_free_func(entry_free);
    }
    e = g_new0(struct entry, 1);
    *e = (struct entry){ .device = d, .index = index, .suffix = g_strdup(suffix) };
    g_ptr_array_add(m->boot_order, e);
}

void boot_order_remove(struct machine *m, const struct device *d)
{
    for (unsigned i = m->boot_order ? m->boot_order->len : 0; i-- > 0;) {
        if (((struct entry *)g_ptr_array_index(m->boot_order, i))->device == d) {
            g_ptr_array_remove_index(m->boot_order, i);
        }
    }
}

char *device_fw_path(struct device *d)
{
    g_autofree char *parent = NULL, *own = NULL;

    if (!d || !d->bus) {
        return g_strdup("");
    }
    parent = d->bus->fw_path ? g_strdup(d->bus->fw_path) : device_fw_path(d->bus->owner);
    own = d->bus->dev_path ? d->bus->dev_path(d) : NULL;
    return own ? g_strconcat(parent, "/", own, NULL) : g_strdup(parent);
}

static gint by_index(gconstpointer a, gconstpointer b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

    return x->index < y->index ? -1 : x->index > y->index;
}

GString *boot_order_list(struct machine *m)
{
    GString *s = g_string_new(NULL);

    if (m->boot_order) {
        g_ptr_array_sort(m->boot_order, by_index);      /* stable for equals: merge sort */
    }
    for (unsigned i = 0; m->boot_order && i < m->boot_order->len; i++) {
        const struct entry *e = g_ptr_array_index(m->boot_order, i);
        g_autofree char *path = device_fw_path(e->device);

        g_string_append_printf(s, "%s%s%s", i ? "\n" : "", path, e->suffix ? e->suffix : "");
    }
    if (s->len) {
        g_string_append_c(s, 0);
    }
    return s;
}

void boot_order_free(struct machine *m)
{
    if (m->boot_order) {
        g_ptr_array_free(m->boot_order, TRUE);
        m->boot_order = NULL;
    }
}
