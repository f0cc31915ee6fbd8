/*
 * Character devices by id. See chardev/registry.h.
 */
#include "chardev/registry.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "chardev/chardev_priv.h"

struct entry {
    char *id;
    struct chardev *chr;
    struct chardev_mux *mux;        /* owns chr */
    GPtrArray *fronts;              /* of the mux */
    bool claimed;
};

struct chardevs {
    GPtrArray *entries;
    void (*quit)(void *opaque);
    void *opaque;
    uint8_t escape;
};

static void entry_free(void *opaque)
{
    struct entry *e = opaque;

    if (e->mux) {
        chardev_mux_free(e->mux);
        g_ptr_array_free(e->fronts, TRUE);
    } else {
        chardev_close(e->chr);
    }
    g_free(e->id);
    g_free(e);
}

struct chardevs *chardevs_new(void (*quit)(void *opaque), void *opaque, uint8_t escape)
{
    struct chardevs *s = g_new0(struct chardevs, 1);

    *s = (struct chardevs){ g_ptr_array_new_with_free_func(entry_free), quit, opaque, escape };
    return s;
}

void chardevs_free(struct chardevs *s)
{
    if (s) {
        g_ptr_array_free(s->entries, TRUE);
        g_free(s);
    }
}

static struct entry *find(const struct chardevs *s, const char *id, GError **err)
{
    GPtrArray *names;

    for (unsigned i = 0; s && i < s->entries->len; i++) {
        struct entry *e = g_ptr_array_index(s->entries, i);

        if (!strcmp(e->id, id)) {
            return e;
        }
    }
    if (err) {
        names = g_ptr_array_new();
        for (unsigned i = 0; s && i < s->entries->len; i++) {
            g_ptr_array_add(names, ((struct entry *)g_ptr_array_index(s->entries, i))->id);
        }
        g_ptr_array_add(names, NULL);
        error_set(err, EMU_ERROR_NOT_FOUND, "Chardev '%s' not found", id);
        if (name_suggest(id, (const char *const *)names->pdata)) {
            g_clear_error(err);
            error_set(err, EMU_ERROR_NOT_FOUND, "Chardev '%s' not found, did you mean '%s'?", id, name_suggest(id, (const char *const *)names->pdata));
        }
        g_ptr_array_free(names, TRUE);
    }
    return NULL;
}

bool chardevs_has(const struct chardevs *s, const char *id) { return find(s, id, NULL) != NULL; }

static bool id_good(const char *id, GError **err)
{
    bool ok = isalpha((unsigned char)*id);

    for (const char *p = id; ok && *p; p++) {
        ok = isalnum((unsigned char)*p) || strchr("-._", *p);
    }
    return ok || error_set(err, EMU_ERROR_INVALID, "Parameter 'id' expects an identifier: letters, digits, '-', '.', '_', starting with a letter ('%s')", id);
}

static bool add(struct chardevs *s, const char *id, const struct options *o, bool mux, GError **err)
{
    struct chardev *c;
    struct entry *e;

    if (chardevs_has(s, id)) {
        return error_set(err, EMU_ERROR_INVALID, "Chardev with id '%s' already exists", id);
    }
    c = chardev_open_options(o, err);
    if (!c) {
        return false;
    }
    e = g_new0(struct entry, 1);
    e->id = g_strdup(id);
    e->chr = c;
    if (mux) {
        e->mux = chardev_mux_new(c, s->quit, s->opaque);
        e->fronts = g_ptr_array_new();
        chardev_mux_set_escape(e->mux, s->escape);
    }
    g_ptr_array_add(s->entries, e);
    if (g_str_has_prefix(chardev_name(c), "pty:")) {
        printf("char device redirected to %s (label %s)\n", chardev_name(c) + 4, id);
        fflush(stdout);
    }
    return true;
}

bool chardevs_add(struct chardevs *s, const char *text, GError **err)
{
    struct options *o = options_parse(text, "backend", NULL, err);
    const char *id = o ? options_string(o, "id", NULL) : NULL;
    bool ok = false;

    if (o) {
        ok = id ? id_good(id, err) && add(s, id, o, options_bool(o, "mux", false), err)
                : error_set(err, EMU_ERROR_INVALID, "chardev: no id specified");
        options_free(o);
    }
    return ok;
}

bool chardevs_add_short(struct chardevs *s, const char *id, const char *spec, GError **err)
{
    bool mux = g_str_has_prefix(spec, "mon:"), ok;
    struct options *o = chardev_options(mux ? spec + 4 : spec, err);

    if (!o) {
        return false;
    }
    mux = mux || options_bool(o, "mux", false);
    /* Ctrl-c belongs to who has focus: the guest, or the monitor. */
    if (mux && !strcmp(options_string(o, "backend", ""), "stdio") && !options_has(o, "signal")) {
        options_add(o, "signal", "off", NULL, NULL);
    }
    ok = add(s, id, o, mux, err) || error_prefix(err, "character device '%s'", spec);
    options_free(o);
    return ok;
}

static bool in_use(const struct entry *e) { return e->mux ? e->fronts->len != 0 : e->claimed; }

bool chardevs_remove(struct chardevs *s, const char *id, GError **err)
{
    struct entry *e = find(s, id, err);

    if (!e) {
        return false;
    }
    if (in_use(e)) {
        return error_set(err, EMU_ERROR_INVALID, "Chardev '%s' is busy", id);
    }
    g_ptr_array_remove(s->entries, e);
    return true;
}

bool chardevs_change(struct chardevs *s, const char *id, const char *text, GError **err)
{
    struct entry *e = find(s, id, err);
    struct options *o;
    struct chardev *c;
    struct chardev_port port;

    if (!e) {
        return false;
    }
    if (e->mux) {
        return error_set(err, EMU_ERROR_INVALID, "Mux device hotswap not supported yet");
    }
    if (e->claimed && !e->chr->port.moved) {
        return error_set(err, EMU_ERROR_INVALID, "Chardev user does not support chardev hotswap");
    }
    o = options_parse(text, "backend", NULL, err);
    c = o ? chardev_open_options(o, err) : NULL;
    options_free(o);
    if (!c) {
        return false;
    }
    port = e->chr->port;
    chardev_close(e->chr);
    e->chr = c;
    if (e->claimed) {
        port.moved(port.opaque, c);
        chardev_attach(c, &port);
    }
    return true;
}

struct chardev *chardevs_claim(struct chardevs *s, const char *id, const char *label, GError **err)
{
    struct entry *e = find(s, id, err);
    struct chardev *front;

    if (!e) {
        return NULL;
    }
    if (e->mux) {
        front = chardev_mux_add(e->mux, label);
        if (!front) {
            error_set(err, EMU_ERROR_INVALID, "too many uses of multiplexed chardev '%s'", id);
        } else {
            g_ptr_array_add(e->fronts, front);
        }
        return front;
    }
    if (e->claimed) {
        error_set(err, EMU_ERROR_INVALID, "Chardev '%s' is already in use", id);
        return NULL;
    }
    e->claimed = true;
    return e->chr;
}

void chardevs_release(struct chardevs *s, struct chardev *c)
{
    for (unsigned i = 0; s && c && i < s->entries->len; i++) {
        struct entry *e = g_ptr_array_index(s->entries, i);

        if (e->mux && g_ptr_array_remove(e->fronts, c)) {
            chardev_close(c);
            return;
        }
        if (!e->mux && e->chr == c) {
            e->claimed = false;
        }
    }
    if (c) {
        chardev_attach(c, NULL);
    }
}

bool chardevs_uses_stdio(const struct chardevs *s)
{
    for (unsigned i = 0; s && i < s->entries->len; i++) {
        if (!strcmp(chardev_name(((struct entry *)g_ptr_array_index(s->entries, i))->chr), "stdio")) {
            return true;
        }
    }
    return false;
}

void chardevs_each(struct chardevs *s, void (*fn)(void *opaque, const char *id, const char *filename, bool open), void *opaque)
{
    for (unsigned i = 0; s && i < s->entries->len; i++) {
        struct entry *e = g_ptr_array_index(s->entries, i);

        fn(opaque, e->id, e->mux ? "mux" : chardev_name(e->chr), in_use(e));
    }
}

bool chardevs_send_break(struct chardevs *s, const char *id, GError **err)
{
    struct entry *e = find(s, id, err);

    if (e) {
        chardev_event(e->chr, CHARDEV_BREAK);
    }
    return e != NULL;
}

bool chardevs_ringbuf_write(struct chardevs *s, const char *id, const void *buf, size_t len, GError **err)
{
    struct entry *e = find(s, id, err);

    return e && (ringbuf_put(e->chr, buf, len) || error_set(err, EMU_ERROR_INVALID, "%s is not a ringbuf device", id));
}

bool chardevs_ringbuf_read(struct chardevs *s, const char *id, size_t len, GString *out, GError **err)
{
    struct entry *e = find(s, id, err);

    return e && (ringbuf_take(e->chr, len, out) || error_set(err, EMU_ERROR_INVALID, "%s is not a ringbuf device", id));
}
