/*
 * CPU models and the names of CPUID feature bits, as -cpu takes them. Spec: Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E.
 *
 * `max` behaves as GenuineIntel: only there do kernels read TSC and APIC timer frequency from leaf 15h, and the bits of
 * IA32_ARCH_CAPABILITIES (msr.c) that say which mitigations are not needed exist on Intel alone.
 */
#include "cpu/x86/models.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "cpu/x86/cpu.h"
#include "cpu/x86/host_features.h"
#include "cpu/x86/sys_priv.h"

const struct x86_word_place x86_word_places[W_COUNT] = {
    [W_1_EDX] = { 1, 0, 3 }, [W_1_ECX] = { 1, 0, 2 }, [W_7_EBX] = { 7, 0, 1 }, [W_7_ECX] = { 7, 0, 2 }, [W_7_EDX] = { 7, 0, 3 },
    [W_EXT_EDX] = { 0x80000001, 0, 3 }, [W_EXT_ECX] = { 0x80000001, 0, 2 }, [W_D1_EAX] = { 0xd, 1, 0 }, [W_6_EAX] = { 6, 0, 0 },
    [W_POWER_EDX] = { 0x80000007, 0, 3 }, [W_7_2_EDX] = { 7, 2, 3 },
};

enum have { NO, YES, ASK };      /* ASK: works, but off unless asked for */

struct feature {
    uint8_t word, bit;
    uint8_t have;
    const char *name, *alias;
};

static const struct feature features[] = {
    { W_1_EDX, 0, YES, "fpu", NULL }, { W_1_EDX, 1, NO, "vme", NULL }, { W_1_EDX, 2, YES, "de", NULL },
    { W_1_EDX, 3, YES, "pse", NULL }, { W_1_EDX, 4, YES, "tsc", NULL }, { W_1_EDX, 5, YES, "msr", NULL },
    { W_1_EDX, 6, YES, "pae", NULL }, { W_1_EDX, 7, YES, "mce", NULL }, { W_1_EDX, 8, YES, "cx8", NULL },
    { W_1_EDX, 9, YES, "apic", NULL }, { W_1_EDX, 11, YES, "sep", NULL }, { W_1_EDX, 12, YES, "mtrr", NULL },
    { W_1_EDX, 13, YES, "pge", NULL }, { W_1_EDX, 14, YES, "mca", NULL }, { W_1_EDX, 15, YES, "cmov", NULL },
    { W_1_EDX, 16, YES, "pat", NULL }, { W_1_EDX, 17, YES, "pse36", NULL }, { W_1_EDX, 18, NO, "pn", NULL },
    { W_1_EDX, 19, YES, "clflush", "clfsh" }, { W_1_EDX, 21, NO, "ds", "dts" }, { W_1_EDX, 22, NO, "acpi", NULL },
    { W_1_EDX, 23, YES, "mmx", NULL }, { W_1_EDX, 24, YES, "fxsr", NULL }, { W_1_EDX, 25, YES, "sse", NULL },
    { W_1_EDX, 26, YES, "sse2", NULL }, { W_1_EDX, 27, ASK, "ss", NULL }, { W_1_EDX, 28, ASK, "ht", NULL },
    { W_1_EDX, 29, NO, "tm", NULL }, { W_1_EDX, 31, NO, "pbe", NULL },
    { W_1_ECX, 0, YES, "pni", "sse3" }, { W_1_ECX, 1, YES, "pclmulqdq", "pclmuldq" }, { W_1_ECX, 2, NO, "dtes64", NULL },
    { W_1_ECX, 3, ASK, "monitor", NULL }, { W_1_ECX, 4, NO, "ds-cpl", "ds_cpl" }, { W_1_ECX, 5, NO, "vmx", NULL },
    { W_1_ECX, 6, NO, "smx", NULL }, { W_1_ECX, 7, NO, "est", NULL }, { W_1_ECX, 8, NO, "tm2", NULL },
    { W_1_ECX, 9, YES, "ssse3", NULL }, { W_1_ECX, 12, YES, "fma", NULL }, { W_1_ECX, 13, YES, "cx16", NULL },
    { W_1_ECX, 14, NO, "xtpr", NULL }, { W_1_ECX, 15, NO, "pdcm", NULL }, { W_1_ECX, 17, YES, "pcid", NULL },
    { W_1_ECX, 18, NO, "dca", NULL }, { W_1_ECX, 19, YES, "sse4.1", "sse4_1" }, { W_1_ECX, 20, YES, "sse4.2", "sse4_2" },
    { W_1_ECX, 21, YES, "x2apic", NULL }, { W_1_ECX, 22, YES, "movbe", NULL }, { W_1_ECX, 23, YES, "popcnt", NULL },
    { W_1_ECX, 24, YES, "tsc-deadline", "tsc_deadline" }, { W_1_ECX, 25, YES, "aes", NULL }, { W_1_ECX, 26, YES, "xsave", NULL },
    { W_1_ECX, 28, YES, "avx", NULL }, { W_1_ECX, 29, YES, "f16c", NULL }, { W_1_ECX, 30, YES, "rdrand", NULL },
    { W_1_ECX, 31, YES, "hypervisor", NULL },
    { W_7_EBX, 0, YES, "fsgsbase", NULL }, { W_7_EBX, 1, YES, "tsc-adjust", "tsc_adjust" }, { W_7_EBX, 2, NO, "sgx", NULL },
    { W_7_EBX, 3, YES, "bmi1", NULL }, { W_7_EBX, 4, NO, "hle", NULL }, { W_7_EBX, 5, YES, "avx2", NULL },
    { W_7_EBX, 6, YES, "fdp-excptn-only", NULL }, { W_7_EBX, 7, YES, "smep", NULL }, { W_7_EBX, 8, YES, "bmi2", NULL },
    { W_7_EBX, 9, YES, "erms", NULL }, { W_7_EBX, 10, YES, "invpcid", NULL }, { W_7_EBX, 11, NO, "rtm", NULL },
    { W_7_EBX, 13, YES, "zero-fcs-fds", NULL }, { W_7_EBX, 14, NO, "mpx", NULL }, { W_7_EBX, 16, NO, "avx512f", NULL },
    { W_7_EBX, 17, NO, "avx512dq", NULL }, { W_7_EBX, 18, YES, "rdseed", NULL }, { W_7_EBX, 19, YES, "adx", NULL },
    { W_7_EBX, 20, YES, "smap", NULL }, { W_7_EBX, 21, NO, "avx512ifma", NULL }, { W_7_EBX, 23, YES, "clflushopt", NULL },
    { W_7_EBX, 24, YES, "clwb", NULL }, { W_7_EBX, 25, NO, "intel-pt", NULL }, { W_7_EBX, 28, NO, "avx512cd", NULL },
    { W_7_EBX, 29, YES, "sha-ni", NULL }, { W_7_EBX, 30, NO, "avx512bw", NULL }, { W_7_EBX, 31, NO, "avx512vl", NULL },
    { W_7_ECX, 1, NO, "avx512vbmi", NULL }, { W_7_ECX, 2, YES, "umip", NULL }, { W_7_ECX, 3, NO, "pku", NULL },
    { W_7_ECX, 5, NO, "waitpkg", NULL }, { W_7_ECX, 8, YES, "gfni", NULL }, { W_7_ECX, 9, YES, "vaes", NULL },
    { W_7_ECX, 10, YES, "vpclmulqdq", NULL }, { W_7_ECX, 16, NO, "la57", NULL }, { W_7_ECX, 22, YES, "rdpid", NULL },
    { W_7_ECX, 25, NO, "cldemote", NULL }, { W_7_ECX, 27, NO, "movdiri", NULL }, { W_7_ECX, 28, NO, "movdir64b", NULL },
    { W_7_EDX, 4, YES, "fsrm", NULL }, { W_7_EDX, 10, ASK, "md-clear", NULL }, { W_7_EDX, 14, NO, "serialize", NULL },
    { W_7_EDX, 26, YES, "spec-ctrl", NULL }, { W_7_EDX, 27, YES, "stibp", NULL },
    { W_7_EDX, 29, YES, "arch-capabilities", NULL }, { W_7_EDX, 30, NO, "core-capability", NULL }, { W_7_EDX, 31, YES, "ssbd", NULL },
    { W_7_2_EDX, 4, YES, "bhi-ctrl", NULL },      /* with it Linux does not clear branch history by hand at each system call */
    { W_EXT_EDX, 11, YES, "syscall", NULL }, { W_EXT_EDX, 20, YES, "nx", "xd" }, { W_EXT_EDX, 22, NO, "mmxext", NULL },
    { W_EXT_EDX, 25, NO, "fxsr-opt", "ffxsr" }, { W_EXT_EDX, 26, YES, "pdpe1gb", NULL }, { W_EXT_EDX, 27, YES, "rdtscp", NULL },
    { W_EXT_EDX, 29, YES, "lm", "i64" }, { W_EXT_EDX, 30, NO, "3dnowext", NULL }, { W_EXT_EDX, 31, NO, "3dnow", NULL },
    { W_EXT_ECX, 0, YES, "lahf-lm", "lahf_lm" }, { W_EXT_ECX, 1, ASK, "cmp-legacy", "cmp_legacy" }, { W_EXT_ECX, 2, NO, "svm", NULL },
    { W_EXT_ECX, 5, YES, "abm", "lzcnt" }, { W_EXT_ECX, 6, NO, "sse4a", NULL }, { W_EXT_ECX, 7, NO, "misalignsse", NULL },
    { W_EXT_ECX, 8, YES, "3dnowprefetch", NULL }, { W_EXT_ECX, 11, NO, "xop", NULL }, { W_EXT_ECX, 16, NO, "fma4", NULL },
    { W_EXT_ECX, 21, NO, "tbm", NULL },
    { W_D1_EAX, 0, YES, "xsaveopt", NULL }, { W_D1_EAX, 1, YES, "xsavec", NULL }, { W_D1_EAX, 2, YES, "xgetbv1", NULL },
    { W_D1_EAX, 3, YES, "xsaves", NULL }, { W_6_EAX, 2, YES, "arat", NULL }, { W_POWER_EDX, 8, YES, "invtsc", NULL },
};
#define FEATURES (sizeof(features) / sizeof(features[0]))

#define BASE_X86 "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 hypervisor x2apic " \
    "syscall nx lm "
/* what costs nothing and makes every kernel quicker */
#define PLATFORM "tsc-deadline tsc-adjust arat invtsc spec-ctrl stibp ssbd bhi-ctrl arch-capabilities rdtscp pcid "

/*
 * Programs built with function clones per processor (gcc's target_clones, __builtin_cpu_is) go by family and model and then use
 * that processor's instructions unasked: so each row names a real processor that has no more than the row offers (Westmere, Nehalem,
 * a family-15 one).
 */
static const struct x86_model models[] = {
    { "max", "everything that this emulator implements (default)", "GenuineIntel", "emu virtual CPU", 0x16, 0x80000008, 6, 44, 2, "*" },
    { "qemu64", "a plain 64-bit CPU", "AuthenticAMD", "QEMU Virtual CPU version 2.5+", 0xd, 0x8000000a, 15, 107, 1,
      BASE_X86 "pni cx16 lahf-lm" },
    { "x86-64-v1", "x86-64 baseline", "GenuineIntel", "emu virtual CPU (x86-64-v1)", 0x16, 0x80000008, 15, 6, 4, BASE_X86 PLATFORM },
    { "x86-64-v2", "SSE4.2, POPCNT, CMPXCHG16B", "GenuineIntel", "emu virtual CPU (x86-64-v2)", 0x16, 0x80000008, 6, 26, 3,
      BASE_X86 PLATFORM "pni ssse3 sse4.1 sse4.2 popcnt cx16 lahf-lm" },
};
#define MODELS (sizeof(models) / sizeof(models[0]))

const char *x86_model_name(unsigned n)
{
    return n < MODELS ? models[n].name : NULL;
}

void x86_models_help(FILE *out)
{
    fprintf(out, "Available CPUs:\n");
    for (unsigned i = 0; i < MODELS; i++) {
        fprintf(out, "x86 %-20s  %s\n", models[i].name, models[i].desc);
    }
    fprintf(out, "\nFeatures (model,+feature,-feature,feature=on|off):\n");
    unsigned column = 0;
    for (unsigned i = 0; i < FEATURES; i++) {
        if (features[i].have == NO || (x86_host_lacks(features[i].word) >> features[i].bit & 1)) {
            continue;
        }
        if (column + strlen(features[i].name) + 3 > 78) {
            fprintf(out, "\n");
            column = 0;
        }
        column += fprintf(out, "%s%s", column ? " " : "  ", features[i].name);
    }
    fprintf(out, "\n");
}

/* "tsc_deadline" is "tsc-deadline" */
static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '_' ? '-' : a[i], y = b[i] == '_' ? '-' : b[i];
        if (g_ascii_tolower(x) != g_ascii_tolower(y)) {
            return false;
        }
    }
    return b[n] == 0;
}

static const struct feature *feature_find(const char *name, size_t n)
{
    for (unsigned i = 0; i < FEATURES; i++) {
        if (same_name(name, features[i].name, n) || (features[i].alias && same_name(name, features[i].alias, n))) {
            return &features[i];
        }
    }
    return NULL;
}

static bool unknown_feature(const char *name, size_t n, GError **err)
{
    const char *names[FEATURES + 1] = { NULL };
    g_autofree char *word = g_strndup(name, n);

    for (unsigned i = 0; i < FEATURES; i++) {
        names[i] = features[i].name;
    }
    return error_unknown(err, "CPU feature", word, names, "-cpu help");
}

static bool feature_set(struct x86_cpu *x, const char *name, size_t n, bool on, GError **err)
{
    const struct feature *f = feature_find(name, n);

    if (!f) {
        return unknown_feature(name, n, err);
    }
    if (on && f->have == NO) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: CPU feature '%s'", f->name);
    }
    if (on) {
        x->cpuid_words[f->word] |= 1u << f->bit;
    } else {
        x->cpuid_words[f->word] &= ~(1u << f->bit);
    }
    return true;
}

static void model_features(struct x86_cpu *x, const struct x86_model *m)
{
    if (strcmp(m->features, "*") == 0) {
        for (unsigned i = 0; i < FEATURES; i++) {
            if (features[i].have == YES) {
                x->cpuid_words[features[i].word] |= 1u << features[i].bit;
            }
        }
        return;
    }
    for (const char *p = m->features; *p;) {
        size_t n = strcspn(p, " ");
        gboolean ok = feature_set(x, p, n, true, NULL);

        g_assert(ok);
        p += n + strspn(p + n, " ");
    }
}

/* --- key=value --- */

static const char *const ignored[] = {      /* meaningful to other accelerators or machines only */
    "migratable", "check", "enforce", "kvm", "pmu", "host-phys-bits", "host-phys-bits-limit", "host-cache-info", "l3-cache",
};

static bool number_set(struct x86_cpu *x, const char *key, const char *value, bool *known, GError **err)
{
    static const struct { const char *key; uint64_t max; } keys[] = {
        { "family", 0xff + 0xf }, { "model", 0xff }, { "stepping", 0xf }, { "level", 0xffffffff }, { "xlevel", 0xffffffff },
        { "phys-bits", 52 },
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
    if (v > keys[i].max || (i == 5 && v < 32)) {
        return error_set(err, EMU_ERROR_INVALID, "CPU property %s=%s is out of range", key, value);
    }
    switch (i) {
    case 0: x->family = v; break;
    case 1: x->cpu_model = v; break;
    case 2: x->stepping = v; break;
    case 3: x->level = v; break;
    case 4: x->xlevel = v; break;
    default: x->phys_bits = v;
    }
    return true;
}

static bool property_set(struct x86_cpu *x, const char *item, const char *eq, GError **err)
{
    g_autofree char *key = g_strndup(item, eq - item);
    const char *value = eq + 1;
    bool known, on;

    for (unsigned i = 0; i < G_N_ELEMENTS(ignored); i++) {
        if (strcmp(key, ignored[i]) == 0) {
            return true;
        }
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
    if (!number_set(x, key, value, &known, err)) {
        return false;
    }
    if (known) {
        return true;
    }
    if (!feature_find(key, strlen(key))) {
        return unknown_feature(key, strlen(key), err);
    }
    return parse_bool(value, &on, err) && feature_set(x, key, strlen(key), on, err);
}

static bool item_apply(struct x86_cpu *x, const char *item, GError **err)
{
    const char *eq = strchr(item, '=');

    if (*item == '+' || *item == '-') {
        return feature_set(x, item + 1, strlen(item + 1), *item == '+', err);
    }
    if (eq) {
        return property_set(x, item, eq, err);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ignored); i++) {
        if (strcmp(item, ignored[i]) == 0) {
            return true;
        }
    }
    return feature_set(x, item, strlen(item), true, err);
}

bool x86_model_apply(struct x86_cpu *x, const char *text, GError **err)
{
    g_auto(GStrv) items = g_strsplit(text ? text : "max", ",", -1);
    const struct x86_model *m = NULL;

    for (unsigned i = 0; i < MODELS; i++) {
        if (g_strcmp0(items[0], models[i].name) == 0) {
            m = &models[i];
        }
    }
    if (!m) {
        const char *names[MODELS + 1] = { NULL };
        for (unsigned i = 0; i < MODELS; i++) {
            names[i] = models[i].name;
        }
        return error_unknown(err, "CPU model", items[0] ? items[0] : "", names, "-cpu help");
    }
    x->model = m;
    memcpy(x->vendor, m->vendor, 12);
    x->intel = strcmp(m->vendor, "GenuineIntel") == 0;
    g_strlcpy(x->brand, m->brand, sizeof(x->brand));
    x->family = m->family;
    x->cpu_model = m->model;
    x->stepping = m->stepping;
    x->level = m->level;
    x->xlevel = m->xlevel;
    x->phys_bits = 40;
    model_features(x, m);
    for (char **p = items + 1; *p; p++) {
        if (**p && !item_apply(x, *p, err)) {
            return false;
        }
    }
    for (unsigned w = 0; w < W_COUNT; w++) {
        x->cpuid_words[w] &= ~x86_host_lacks(w);
    }
    x86_derive_masks(x);
    return true;
}
