/*
 * -cpu's syntax: model,+feat,-feat,feat=on|off,key=value, as QEMU's users write it. The features asked for are compared with those
 * offered: check (the default) drops the others with a warning, enforce refuses. "+feat" outranks "feat=", "-feat" outranks both.
 */
#include <inttypes.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "base/error.h"
#include "base/options.h"
#include "core/accel.h"
#include "core/machine.h"
#include "core/x86_intc.h"
#include "cpu/x86/cpu.h"
#include "cpu/x86/models.h"
#include "cpu/x86/sys_priv.h"

struct request {
    struct x86_cpu *x;
    uint32_t explicitly[W_COUNT];      /* named on the command line */
    uint32_t offered[W_COUNT];
    bool check, enforce, host_phys_bits, level_set, xlevel_set;
    uint64_t phys_limit, min_level, min_xlevel;
};

/* --- features --- */

static bool unknown_feature(const char *name, size_t n, GError **err)
{
    g_autofree const char **names = g_new0(const char *, x86_feature_count + 1);
    g_autofree char *word = g_strndup(name, n);

    for (unsigned i = 0; i < x86_feature_count; i++) {
        names[i] = x86_features[i].name;
    }
    return error_unknown(err, "CPU feature", word, names, "-cpu help");
}

static void feature_put(struct x86_cpu *x, const struct x86_feature_name *f, bool on)
{
    x->cpuid_words[f->word] = (x->cpuid_words[f->word] & ~(1u << f->bit)) | (uint32_t)on << f->bit;
}

static bool feature_set(struct request *q, const char *name, size_t n, bool on, GError **err)
{
    const struct x86_feature_name *f = x86_feature_find(name, n);

    if (!f) {
        return unknown_feature(name, n, err);
    }
    feature_put(q->x, f, on);
    q->explicitly[f->word] |= 1u << f->bit;
    return true;
}

static void features_of_row(struct x86_cpu *x, const char *names, bool on)
{
    for (const char *p = names ? names : ""; *p;) {
        size_t n = strcspn(p, " ");
        const struct x86_feature_name *f = x86_feature_find(p, n);

        g_assert(f);
        feature_put(x, f, on);
        p += n + strspn(p + n, " ");
    }
}

static void model_features(struct request *q, const struct x86_model *m)
{
    struct x86_cpu *x = q->x;

    if (m->of) {
        model_features(q, x86_model_find(m->of));
    }
    if (g_strcmp0(m->features, "*") == 0) {
        for (unsigned i = 0; i < x86_feature_count; i++) {
            const struct x86_feature_name *f = &x86_features[i];

            if ((q->offered[f->word] >> f->bit & 1) && f->have != X86_ASK) {
                feature_put(x, f, true);
            }
        }
        return;
    }
    features_of_row(x, m->features, true);
    features_of_row(x, m->drop, false);
}

/* --- key=value --- */

/* Meaningful to other engines or machine versions only. */
static const char *const ignored[] = {
    "migratable", "pmu", "host-cache-info", "legacy-cache", "lmce", "full-cpuid-auto-level", "cpuid-0xb", "fill-mtrr-mask", "kvm-no-smi-migration",
};

static bool is_ignored(const char *key)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ignored); i++) {
        if (strcmp(key, ignored[i]) == 0) {
            return true;
        }
    }
    /* Hyper-V's and nested VMX's details */
    return g_str_has_prefix(key, "hv-") || g_str_has_prefix(key, "hv_") || g_str_has_prefix(key, "vmx-") || g_str_has_prefix(key, "x-");
}

static bool number_set(struct request *q, const char *key, const char *value, bool *known, GError **err)
{
    struct x86_cpu *x = q->x;
    enum { FAMILY, MODEL, STEPPING, LEVEL, XLEVEL, MIN_LEVEL, MIN_XLEVEL, PHYS_BITS, PHYS_LIMIT, TSC };
    static const struct { const char *key; uint64_t max; } keys[] = {
        [FAMILY] = { "family", 0xff + 0xf }, [MODEL] = { "model", 0xff }, [STEPPING] = { "stepping", 0xf },
        [LEVEL] = { "level", 0xffffffff }, [XLEVEL] = { "xlevel", 0xffffffff }, [MIN_LEVEL] = { "min-level", 0xffffffff },
        [MIN_XLEVEL] = { "min-xlevel", 0xffffffff }, [PHYS_BITS] = { "phys-bits", 52 }, [PHYS_LIMIT] = { "host-phys-bits-limit", 52 },
        [TSC] = { "tsc-frequency", UINT64_MAX },
    };
    uint64_t v;
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(keys) && strcmp(keys[i].key, key); i++) {
    }
    *known = i < G_N_ELEMENTS(keys);
    if (!*known) {
        return true;
    }
    if (!parse_uint(value, &v, err)) {
        return false;
    }
    if (v > keys[i].max || (i == PHYS_BITS && v && v < 32)) {
        return error_set(err, EMU_ERROR_INVALID, "CPU property %s=%s is out of range", key, value);
    }
    switch (i) {
    case FAMILY: x->family = v; break;
    case MODEL: x->cpu_model = v; break;
    case STEPPING: x->stepping = v; break;
    case LEVEL: x->level = v; q->level_set = true; break;
    case XLEVEL: x->xlevel = v; q->xlevel_set = true; break;
    case MIN_LEVEL: q->min_level = v; break;
    case MIN_XLEVEL: q->min_xlevel = v; break;
    case PHYS_BITS: x->phys_bits = v; break;
    case PHYS_LIMIT: q->phys_limit = v; break;
    case TSC:
        if (v && (v < 1000000 || v > 100000000000)) {
            return error_set(err, EMU_ERROR_INVALID, "CPU property tsc-frequency=%s: want 1000000 to 100000000000 (Hz)", value);
        }
        x->tsc_hz = v ? v : x->tsc_hz;
    }
    return true;
}

/* Switches that are not CPUID bits; `key` alone means on. */
static bool *switch_find(struct request *q, const char *key)
{
    struct x86_cpu *x = q->x;
    const struct { const char *key; bool *to; } keys[] = {
        { "check", &q->check }, { "enforce", &q->enforce }, { "host-phys-bits", &q->host_phys_bits }, { "l3-cache", &x->l3_cache },
        { "kvm", &x->signature }, { "tcg-cpuid", &x->signature }, { "vmware-cpuid-freq", &x->timing_leaf },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strcmp(keys[i].key, key) == 0) {
            return keys[i].to;
        }
    }
    return NULL;
}

static bool property_set(struct request *q, const char *key, const char *value, GError **err)
{
    struct x86_cpu *x = q->x;
    bool known, on, *sw = switch_find(q, key);

    if (is_ignored(key)) {
        return true;
    }
    if (strcmp(key, "vendor") == 0) {
        if (strlen(value) != 12) {
            return error_set(err, EMU_ERROR_INVALID, "CPU vendor '%s' must have 12 characters, as GenuineIntel has", value);
        }
        memcpy(x->vendor, value, 12);
        x->intel = memcmp(value, "GenuineIntel", 12) == 0;
        return true;
    }
    if (strcmp(key, "model-id") == 0) {
        g_strlcpy(x->brand, value, sizeof(x->brand));
        return true;
    }
    if (!number_set(q, key, value, &known, err)) {
        return false;
    }
    if (known) {
        return true;
    }
    if (!sw && !x86_feature_find(key, strlen(key))) {
        return unknown_feature(key, strlen(key), err);
    }
    if (!parse_bool(value, &on, err)) {
        return error_prefix(err, "CPU property %s=%s", key, value);
    }
    if (sw) {
        *sw = on;
        return true;
    }
    return feature_set(q, key, strlen(key), on, err);
}

static bool items_apply(struct request *q, char **items, GError **err)
{
    for (char **p = items; *p; p++) {
        char *eq = strchr(*p, '=');

        if (!**p || **p == '+' || **p == '-') {
            continue;
        }
        g_autofree char *key = eq ? g_strndup(*p, eq - *p) : g_strdup(*p);
        if (!property_set(q, key, eq ? eq + 1 : "on", err)) {
            return false;
        }
    }
    for (const char *sign = "+-"; *sign; sign++) {
        for (char **p = items; *p; p++) {
            if (**p == *sign && !is_ignored(*p + 1) && !feature_set(q, *p + 1, strlen(*p + 1), *sign == '+', err)) {
                return false;
            }
        }
    }
    return true;
}

/* --- what is asked for against what there is --- */

static void drop_bits(struct request *q, unsigned word, uint32_t bits, bool warn, bool *any)
{
    for (unsigned i = 0; bits && i < x86_feature_count; i++) {
        const struct x86_feature_name *f = &x86_features[i];
        char text[80];

        if (f->word == word && (bits & q->x->cpuid_words[word] & 1u << f->bit)) {
            *any = true;
            x86_feature_describe(f, text, sizeof(text));
            if (warn) {
                fprintf(stderr, "emu-system-x86_64: warning: TCG doesn't support requested feature: %s\n", text);
            }
        }
    }
    q->x->cpuid_words[word] &= ~bits;
}

static bool filter(struct request *q, GError **err)
{
    bool any = false, warn = (q->check || q->enforce) && q->x->cpu.index == 0;

    for (unsigned w = 0; w < W_COUNT; w++) {
        drop_bits(q, w, ~q->offered[w], warn, &any);
    }
    return !any || !q->enforce || error_set(err, EMU_ERROR_NOT_SUPPORTED, "TCG doesn't support requested features");
}

/* What cannot be without something else goes with it, silently unless it was asked for by name. */
static void dependencies(struct request *q)
{
    static const struct { uint8_t on, bit, word; uint32_t bits; } rows[] = {
        { W_1_ECX, 26, W_1_ECX, 1u << 12 | 1u << 28 | 1u << 29 }, { W_1_ECX, 26, W_D1_EAX, ~0u },      /* XSAVE: AVX, FMA, F16C */
        { W_1_ECX, 26, W_7_EBX, 1u << 14 }, { W_1_ECX, 26, W_7_ECX, 1u << 3 },                          /* ... MPX, PKU */
        { W_1_ECX, 28, W_1_ECX, 1u << 12 | 1u << 29 }, { W_1_ECX, 28, W_7_EBX, 1u << 5 },               /* AVX: FMA, F16C, AVX2 */
        { W_1_ECX, 28, W_7_ECX, 1u << 9 | 1u << 10 }, { W_1_ECX, 28, W_7_1_EAX, 1u << 4 },              /* ... VAES, VPCLMULQDQ, AVX-VNNI */
        { W_7_EBX, 5, W_7_EBX, 0xdc230000u }, { W_7_EBX, 16, W_7_EBX, 0xdc220000u },                    /* AVX2: AVX-512; F: the rest */
        { W_7_EBX, 16, W_7_ECX, 0x5842u },
        { W_7_EDX, 29, W_ARCH_LO, ~0u }, { W_7_EDX, 29, W_ARCH_HI, ~0u },
        { W_1_EDX, 25, W_1_EDX, 1u << 26 }, { W_1_EDX, 26, W_1_ECX, 1u << 0 | 1u << 1 | 1u << 9 | 1u << 19 | 1u << 20 | 1u << 25 },
    };
    bool any;

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!(q->x->cpuid_words[rows[i].on] >> rows[i].bit & 1)) {
            drop_bits(q, rows[i].word, rows[i].bits & ~q->explicitly[rows[i].word], false, &any);
            drop_bits(q, rows[i].word, rows[i].bits, q->check && q->x->cpu.index == 0, &any);
        }
    }
}

/* The leaves in which something stands can be reached, unless the user set the highest. */
static void levels(struct request *q)
{
    struct x86_cpu *x = q->x;
    uint32_t level = MAX(x->level, q->min_level), xlevel = MAX(x->xlevel, q->min_xlevel);

    for (unsigned w = 0; w < W_COUNT; w++) {
        uint32_t leaf = x->cpuid_words[w] ? x86_word_places[w].leaf : 0;

        if (leaf >= 0x80000000) {
            xlevel = MAX(xlevel, leaf);
        } else if (leaf < 0x40000000) {
            level = MAX(level, leaf);
        }
    }
    if (x->cpu.machine->spec.dies > 1 && x->intel) {
        level = MAX(level, 0x1f);
    }
    if ((x->cpuid_words[W_EXT_ECX] >> 22 & 1)) {
        xlevel = MAX(xlevel, 0x8000001e);
    }
    if (x->cpuid_words[W_EXT_EDX] >> 29 & 1) {
        xlevel = MAX(xlevel, 0x80000008);      /* address widths */
    }
    x->level = q->level_set ? x->level : level;
    x->xlevel = q->xlevel_set ? x->xlevel : xlevel;
}

static unsigned host_phys_bits(void)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;

    if (__get_cpuid(0x80000008, &a, &b, &c, &d)) {
        return a & 0xff;
    }
#endif
    return 0;
}

static void address_width(struct request *q)
{
    struct x86_cpu *x = q->x;
    bool lm = x->cpuid_words[W_EXT_EDX] >> 29 & 1, wide = x->cpuid_words[W_1_EDX] & (1u << 6 | 1u << 17);

    if (q->host_phys_bits && host_phys_bits()) {
        x->phys_bits = host_phys_bits();
        x->phys_bits = q->phys_limit ? MIN(x->phys_bits, q->phys_limit) : x->phys_bits;
    }
    if (!x->phys_bits) {
        x->phys_bits = lm ? 40 : wide ? 36 : 32;
    }
}

static void identity(struct x86_cpu *x, const struct x86_model *m)
{
    if (m->of) {
        identity(x, x86_model_find(m->of));
    }
    if (m->vendor) {
        memcpy(x->vendor, m->vendor, 12);
        x->intel = strcmp(m->vendor, "GenuineIntel") == 0;
        x->family = m->family;
        x->level = m->level;
        x->xlevel = m->xlevel;
        x->caches = m->caches;
    }
    if (m->brand) {
        g_strlcpy(x->brand, m->brand, sizeof(x->brand));
    }
    x->cpu_model = m->vendor || m->model ? m->model : x->cpu_model;
    x->stepping = m->vendor || m->stepping ? m->stepping : x->stepping;
}

static const struct x86_model *model_of(struct x86_cpu *x, const char *name, GError **err)
{
    const struct accel_ops *accel = x->cpu.machine->accel;
    const struct x86_model *m = x86_model_find(name);

    if (m) {
        return m;
    }
    if (g_strcmp0(name, "host") == 0) {
        if (accel && strcmp(accel->name, "kvm") == 0) {
            return x86_model_find("max");
        }
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "CPU model 'host' requires KVM; use -cpu max for all that this accelerator implements");
        return NULL;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);      /* families and aliases are what people write */
    for (unsigned i = 0; i < x86_model_count; i++) {
        const struct x86_model *row = &x86_models[i];

        g_ptr_array_add(names, g_str_has_suffix(row->name, "-v1") && !g_str_has_prefix(row->name, "x86-64")
                                   ? g_strndup(row->name, strlen(row->name) - 3) : g_strdup(row->name));
        if (row->alias) {
            g_ptr_array_add(names, g_strdup(row->alias));
        }
    }
    g_ptr_array_add(names, NULL);
    error_unknown(err, "CPU model", name ? name : "", (const char *const *)names->pdata, "-cpu help");
    return NULL;
}

bool x86_model_apply(struct x86_cpu *x, const char *text, GError **err)
{
    g_auto(GStrv) items = g_strsplit(text ? text : "max", ",", -1);
    const struct x86_model *m = model_of(x, items[0], err);
    struct request q = { .x = x, .check = true };

    if (!m) {
        return false;
    }
    x->model = m;
    x->phys_bits = 0;
    x->tsc_hz = X86_TSC_HZ;
    x->l3_cache = x->signature = x->timing_leaf = true;
    memset(x->cpuid_words, 0, sizeof(x->cpuid_words));
    identity(x, m);
    x86_features_offered(q.offered);
    model_features(&q, m);
    x->cpuid_words[W_1_EDX] &= q.offered[W_1_EDX] | ~(1u << 1);                             /* vme: in every old row, missed by nobody */
    x->cpuid_words[W_1_ECX] |= 1u << 31;                                                    /* hypervisor, as all models have it */
    x->cpuid_words[W_1_ECX] |= x->cpuid_words[W_EXT_EDX] >> 29 & 1 ? 1u << 21 : 0;          /* x2apic: every 64-bit one */
    if (!items_apply(&q, items + 1, err)) {
        return false;
    }
    if (!filter(&q, err)) {
        return false;
    }
    dependencies(&q);
    levels(&q);
    address_width(&q);
    x86_derive_masks(x);
    return true;
}
