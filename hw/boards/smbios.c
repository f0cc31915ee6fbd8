/*
 * SMBIOS tables 0, 1, 2, 3, 4, 11, 16, 17, 19, 32, 127. Spec: DMTF DSP0134, SMBIOS Reference Specification 2.8.
 * Each type is a table of its members: offset, size, the key of -smbios type=N that sets it. Left out: -smbios for other types.
 */
#include "hw/boards/smbios.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/machine.h"

enum member_kind { NUMBER, TEXT, RELEASE, UUID };     /* TEXT: a byte, the number of a string of this structure */

struct member {
    const char *key;
    uint8_t at, size;
    enum member_kind kind;
    const char *def;                                  /* NULL: 0, or no string */
};

struct structure {
    uint8_t type, len;
    uint16_t handle;
    const struct member *members;
};

#define PC_NAME "Standard PC"

static const struct member bios[] = {                 /* 7.1 */
    { "vendor", 4, 1, TEXT, "emu" }, { "version", 5, 1, TEXT, "1" }, { NULL, 6, 2, NUMBER, "0xe800" },
    { "date", 8, 1, TEXT, "01/01/2024" }, { NULL, 10, 8, NUMBER, "0x08" /* characteristics not supported */ }, { NULL, 18, 1, NUMBER, "0" },
    { NULL, 19, 1, NUMBER, "0x14" /* virtual machine, targeted content distribution */ }, { "release", 20, 2, RELEASE, "0.0" },
    { NULL, 22, 2, NUMBER, "0xffff" }, { 0 },
};
static const struct member system_info[] = {          /* 7.2 */
    { "manufacturer", 4, 1, TEXT, "QEMU" }, { "product", 5, 1, TEXT, PC_NAME }, { "version", 6, 1, TEXT, NULL }, { "serial", 7, 1, TEXT, NULL },
    { "uuid", 8, 16, UUID, NULL }, { NULL, 24, 1, NUMBER, "6" /* power switch */ }, { "sku", 25, 1, TEXT, NULL }, { "family", 26, 1, TEXT, NULL },
    { 0 },
};
static const struct member board[] = {                /* 7.3; only when asked for */
    { "manufacturer", 4, 1, TEXT, "QEMU" }, { "product", 5, 1, TEXT, PC_NAME }, { "version", 6, 1, TEXT, NULL }, { "serial", 7, 1, TEXT, NULL },
    { "asset", 8, 1, TEXT, NULL }, { NULL, 9, 1, NUMBER, "1" /* hosting board */ }, { "location", 10, 1, TEXT, NULL },
    { NULL, 11, 2, NUMBER, "0x300" }, { NULL, 13, 1, NUMBER, "10" /* motherboard */ }, { 0 },
};
static const struct member chassis[] = {              /* 7.4 */
    { "manufacturer", 4, 1, TEXT, "QEMU" }, { NULL, 5, 1, NUMBER, "1" /* other */ }, { "version", 6, 1, TEXT, NULL }, { "serial", 7, 1, TEXT, NULL },
    { "asset", 8, 1, TEXT, NULL }, { NULL, 9, 1, NUMBER, "3" }, { NULL, 10, 1, NUMBER, "3" }, { NULL, 11, 1, NUMBER, "3" },
    { NULL, 12, 1, NUMBER, "2" }, { "sku", 21, 1, TEXT, NULL }, { 0 },
};
static const struct member processor[] = {            /* 7.5; counts are filled in */
    { "sock_pfx", 4, 1, TEXT, "CPU" }, { NULL, 5, 1, NUMBER, "3" }, { NULL, 6, 1, NUMBER, "1" }, { "manufacturer", 7, 1, TEXT, "QEMU" },
    { "version", 16, 1, TEXT, NULL }, { "max-speed", 20, 2, NUMBER, "2000" }, { "current-speed", 22, 2, NUMBER, "2000" },
    { NULL, 24, 1, NUMBER, "0x41" /* populated, enabled */ }, { NULL, 25, 1, NUMBER, "1" }, { NULL, 26, 6, NUMBER, "0xffffffffffff" /* no caches */ },
    { "serial", 32, 1, TEXT, NULL }, { "asset", 33, 1, TEXT, NULL }, { "part", 34, 1, TEXT, NULL }, { NULL, 38, 2, NUMBER, "2" }, { NULL, 40, 2, NUMBER, "1" },
    { 0 },
};
static const struct member memory_array[] = {         /* 7.17 */
    { NULL, 4, 1, NUMBER, "1" }, { NULL, 5, 1, NUMBER, "3" }, { NULL, 6, 1, NUMBER, "6" /* multi-bit ECC */ }, { NULL, 7, 4, NUMBER, "0x80000000" },
    { NULL, 11, 2, NUMBER, "0xfffe" }, { 0 },
};
static const struct member memory_device[] = {        /* 7.18 */
    { NULL, 4, 2, NUMBER, "0x1000" }, { NULL, 6, 2, NUMBER, "0xfffe" }, { NULL, 8, 4, NUMBER, "0xffffffff" }, { NULL, 14, 1, NUMBER, "9" /* DIMM */ },
    { "loc_pfx", 16, 1, TEXT, "DIMM" }, { "bank", 17, 1, TEXT, NULL }, { NULL, 18, 1, NUMBER, "7" /* RAM */ }, { NULL, 19, 2, NUMBER, "2" },
    { "speed", 21, 2, NUMBER, "0" }, { "manufacturer", 23, 1, TEXT, "QEMU" }, { "serial", 24, 1, TEXT, NULL }, { "asset", 25, 1, TEXT, NULL },
    { "part", 26, 1, TEXT, NULL }, { "speed", 32, 2, NUMBER, "0" }, { 0 },
};
static const struct member memory_map[] = { { NULL, 12, 2, NUMBER, "0x1000" }, { NULL, 14, 1, NUMBER, "1" }, { 0 } };     /* 7.20 */
static const struct member nothing[] = { { 0 } };

static const struct structure structures[] = {
    { 0, 24, 0x0000, bios }, { 1, 27, 0x0100, system_info }, { 2, 15, 0x0200, board }, { 3, 22, 0x0300, chassis }, { 4, 42, 0x0400, processor },
    { 11, 5, 0x0e00, nothing }, { 16, 23, 0x1000, memory_array }, { 17, 40, 0x1100, memory_device }, { 19, 31, 0x1300, memory_map },
    { 32, 11, 0x2000, nothing }, { 127, 4, 0x7f00, nothing },
};

/* --- one structure --- */

static void put(uint8_t *p, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        p[i] = v >> 8 * i;
    }
}

static uint8_t add_string(GString *strings, uint8_t *count, const char *text)
{
    if (!text || !*text) {
        return 0;
    }
    g_string_append(strings, text);
    g_string_append_c(strings, 0);
    return ++*count;
}

/* The last of the user's words for a type counts. */
static const char *user_value(const GPtrArray *user, unsigned type, const char *key)
{
    const char *v = NULL;
    for (unsigned i = 0; key && i < user->len; i++) {
        struct options *o = g_ptr_array_index(user, i);
        if (options_uint(o, "type", ~0u) == type && options_has(o, key)) {
            v = options_string(o, key, NULL);
        }
    }
    return v;
}

/* 7.2.1: the first three members are little-endian. */
static void put_uuid(uint8_t *p, const char *text)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
    unsigned n = 0;
    for (const char *c = text; c && *c && n < 16; c++) {
        if (g_ascii_isxdigit(c[0]) && g_ascii_isxdigit(c[1])) {
            p[order[n++]] = g_ascii_xdigit_value(c[0]) << 4 | g_ascii_xdigit_value(c[1]);
            c++;
        }
    }
}

/* patch: values that the machine decides, written over those of the members; "DIMM 1": instance after a prefix. */
static void add_structure(GByteArray *out, unsigned *count, const struct structure *s, const GPtrArray *user, struct machine *m,
                          unsigned instance, void (*fill)(uint8_t *body, struct machine *m, unsigned instance), const GPtrArray *oem)
{
    uint8_t body[256] = { s->type, s->len }, strings_n = 0;
    GString *strings = g_string_new(NULL);
    put(body + 2, s->handle + instance, 2);
    for (const struct member *i = s->members; i->size; i++) {
        const char *v = user_value(user, s->type, i->key);
        v = v ? v : i->def;
        if (i->kind == TEXT) {
            g_autofree char *numbered = v && i->key && g_str_has_suffix(i->key, "_pfx") ? g_strdup_printf("%s %u", v, instance) : NULL;
            body[i->at] = add_string(strings, &strings_n, numbered ? numbered : v);
        } else if (i->kind == UUID) {
            put_uuid(body + i->at, v ? v : m->spec.uuid);
        } else if (i->kind == RELEASE) {
            char *end;
            body[i->at] = strtoul(v, &end, 10);
            body[i->at + 1] = *end ? strtoul(end + 1, NULL, 10) : 0;
        } else if (v) {
            put(body + i->at, strtoull(v, NULL, 0), i->size);
        }
    }
    if (fill) {
        fill(body, m, instance);
    }
    for (unsigned i = 0; oem && i < oem->len; i++) {
        body[4] = add_string(strings, &strings_n, g_ptr_array_index(oem, i));
    }
    if (!strings->len) {
        g_string_append_c(strings, 0);
    }
    g_string_append_c(strings, 0);
    g_byte_array_append(out, body, s->len);
    g_byte_array_append(out, (const uint8_t *)strings->str, strings->len);
    g_string_free(strings, TRUE);
    ++*count;
}

/* --- what the machine says --- */

#define DIMM_MAX (16ull << 30)

static unsigned dimms(const struct machine *m) { return (m->spec.ram_size + DIMM_MAX - 1) / DIMM_MAX; }

static void fill_processor(uint8_t *b, struct machine *m, unsigned n)
{
    unsigned cores = m->spec.cores * m->spec.dies, threads = cores * m->spec.threads;
    (void)n;
    b[35] = b[36] = MIN(cores, 255);
    b[37] = MIN(threads, 255);
}

static void fill_array(uint8_t *b, struct machine *m, unsigned n)
{
    (void)n;
    uint64_t kib = m->spec.ram_size >> 10;
    if (kib < 0x80000000) {
        put(b + 7, kib, 4);
    } else {
        put(b + 15, m->spec.ram_size, 8);
    }
    put(b + 13, dimms(m), 2);
}

static void fill_dimm(uint8_t *b, struct machine *m, unsigned n)
{
    uint64_t mib = MIN(m->spec.ram_size - n * DIMM_MAX, DIMM_MAX) >> 20;
    if (mib < 0x7fff) {
        put(b + 12, mib, 2);
    } else {
        put(b + 12, 0x7fff, 2);
        put(b + 28, mib, 4);
    }
}

static void fill_map(uint8_t *b, struct machine *m, unsigned n)
{
    uint64_t low = m->low_ram ? m->low_ram : m->spec.ram_size;
    uint64_t from = n ? 4ull << 30 : 0, to = n ? from + (m->spec.ram_size - low) : low;
    put(b + 4, from >> 10, 4);
    put(b + 8, (to >> 10) - 1, 4);
}

/* --- options --- */

static const struct structure *structure_of(uint64_t type)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(structures); i++) {
        if (structures[i].type == type && (type <= 4 || type == 11 || type == 17)) {
            return &structures[i];
        }
    }
    return NULL;
}

static bool check_keys(const struct options *o, const struct structure *s, GError **err)
{
    for (unsigned i = 0; i < options_count(o); i++) {
        const char *key, *value;
        bool known;
        options_at(o, i, &key, &value);
        known = !strcmp(key, "type") || (s->type == 11 && (!strcmp(key, "value") || !strcmp(key, "path"))) || (s->type == 0 && !strcmp(key, "uefi"));
        for (const struct member *k = s->members; !known && k->size; k++) {
            known = !g_strcmp0(k->key, key);
        }
        if (!known) {
            return error_set(err, EMU_ERROR_INVALID, "type %u has no '%s'", s->type, key);
        }
        if (!strcmp(key, "uuid") && !g_uuid_string_is_valid(value)) {
            return error_set(err, EMU_ERROR_INVALID, "uuid=%s is not a UUID", value);
        }
    }
    return true;
}

static bool read_options(const char *const *texts, GPtrArray *user, GPtrArray *oem, GByteArray *files, GError **err)
{
    for (unsigned n = 0; texts && texts[n]; n++) {
        struct options *o = options_parse(texts[n], NULL, NULL, err);
        const struct structure *s;
        if (!o) {
            return error_prefix(err, "-smbios %s", texts[n]);
        }
        g_ptr_array_add(user, o);
        if (options_has(o, "file")) {
            g_autofree char *data = NULL;
            gsize len;
            if (!g_file_get_contents(options_string(o, "file", ""), &data, &len, err)) {
                return error_prefix(err, "-smbios");
            }
            g_byte_array_append(files, (const uint8_t *)data, len);
            continue;
        }
        s = structure_of(options_uint(o, "type", ~0ull));
        if (!s) {
            return error_set(err, EMU_ERROR_NOT_SUPPORTED, "-smbios %s: not supported: this type (there are 0, 1, 2, 3, 4, 11 and 17, and file=)", texts[n]);
        }
        if (!check_keys(o, s, err)) {
            return error_prefix(err, "-smbios %s", texts[n]);
        }
        for (unsigned i = 0; s->type == 11 && i < options_count(o); i++) {
            const char *key, *value;
            g_autofree char *data = NULL;
            options_at(o, i, &key, &value);
            if (!strcmp(key, "path") && !g_file_get_contents(value, &data, NULL, err)) {
                return error_prefix(err, "-smbios");
            }
            if (strcmp(key, "type")) {
                g_ptr_array_add(oem, g_strdup(data ? data : value));
            }
        }
    }
    return true;
}

/* --- all --- */

static void make_anchor(struct smbios *s, unsigned count)
{
    uint8_t a[31] = { '_', 'S', 'M', '_', 0, 0x1f, 2, 8 }, sum = 0;      /* 5.2.1 */
    put(a + 8, 256, 2);
    memcpy(a + 16, "_DMI_", 5);
    put(a + 22, s->tables->len, 2);
    put(a + 28, count, 2);
    a[30] = 0x28;
    for (unsigned i = 16; i < 31; i++) {
        sum += a[i];
    }
    a[21] = -sum;
    sum = 0;
    for (unsigned i = 0; i < 31; i++) {
        sum += a[i];
    }
    a[4] = -sum;
    s->anchor = g_byte_array_new();
    g_byte_array_append(s->anchor, a, sizeof(a));
}

static bool wanted(const struct structure *s, const GPtrArray *user, const GPtrArray *oem)
{
    bool asked = false;
    for (unsigned i = 0; i < user->len; i++) {
        asked = asked || options_uint(g_ptr_array_index(user, i), "type", ~0ull) == s->type;
    }
    /* Firmware fills in its own type 0 unless the user does. */
    return s->type == 0 || s->type == 2 ? asked : s->type != 11 || oem->len;
}

bool smbios_make(struct machine *m, const char *const *options, struct smbios *s, GError **err)
{
    g_autoptr(GPtrArray) user = g_ptr_array_new_with_free_func((GDestroyNotify)options_free), oem = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GByteArray) files = g_byte_array_new();
    unsigned count = 0;

    *s = (struct smbios){ 0 };
    if (!read_options(options, user, oem, files, err)) {
        return false;
    }
    s->tables = g_byte_array_new();
    g_byte_array_append(s->tables, files->data, files->len);
    for (unsigned i = 0; i < G_N_ELEMENTS(structures); i++) {
        const struct structure *t = &structures[i];
        bool high = m->low_ram && m->spec.ram_size > m->low_ram;
        unsigned n = t->type == 4 ? m->spec.sockets : t->type == 17 ? dimms(m) : t->type == 19 && high ? 2 : 1;
        for (unsigned k = 0; wanted(t, user, oem) && k < n; k++) {
            add_structure(s->tables, &count, t, user, m, k,
                          t->type == 4 ? fill_processor : t->type == 16 ? fill_array : t->type == 17 ? fill_dimm : t->type == 19 ? fill_map : NULL,
                          t->type == 11 ? oem : NULL);
        }
    }
    make_anchor(s, count);
    return true;
}

void smbios_free(struct smbios *s)
{
    if (s->tables) {
        g_byte_array_free(s->tables, TRUE);
    }
    if (s->anchor) {
        g_byte_array_free(s->anchor, TRUE);
    }
    *s = (struct smbios){ 0 };
}
