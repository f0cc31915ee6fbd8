/* Models, feature flags, CPUID leaves, MSRs. */
#include <string.h>

#include <criterion/criterion.h>

#include "core/x86_intc.h"
#include "cpu/x86/cpu.h"
#include "cpu/x86/host_features.h"
#include "cpu/x86/models.h"
#include "tests/cpu/x86/sys_util.h"

static struct sys *t;

static struct x86_cpuid id(uint32_t leaf, uint32_t subleaf)
{
    struct x86_cpuid o;

    x86_cpuid(t->x, leaf, subleaf, &o);
    return o;
}

static bool has(enum x86_feature f) { return t->x->cpuid_feature_words[f / 32] >> (f % 32) & 1; }

/* Vector instructions are the host's own: what it lacks cannot be offered. */
static bool host_lacks(unsigned f)
{
    const struct x86_feature_bit *fb = &x86_feature_bits[f];

    for (unsigned w = 0; w < W_COUNT; w++) {
        const struct x86_word_place *p = &x86_word_places[w];
        if (p->leaf == fb->leaf && p->subleaf == fb->subleaf && p->reg == fb->reg && (x86_host_lacks(w) >> fb->bit & 1)) {
            return true;
        }
    }
    return false;
}

Test(cpuid, max)
{
    t = sys_new("max");
    struct x86_cpuid o = id(0, 0);
    char vendor[13] = { 0 };
    memcpy(vendor, &o.r[1], 4);
    memcpy(vendor + 4, &o.r[3], 4);
    memcpy(vendor + 8, &o.r[2], 4);
    cr_assert_str_eq(vendor, "GenuineIntel");
    cr_assert_eq(o.r[0], 0x16);
    o = id(0x15, 0);
    cr_assert_eq((uint64_t)o.r[2] * o.r[1] / o.r[0], 1000000000u, "TSC frequency");
    cr_assert_eq(id(0x16, 0).r[0], 1000);
    cr_assert(id(0x80000007, 0).r[3] & 1 << 8);
    o = id(0x40000010, 0);
    cr_assert_eq(o.r[0], 1000000);
    for (unsigned f = 0; f < X86_FEAT_COUNT; f++) {
        if (f != X86_FEAT_MONITOR && !host_lacks(f)) {
            cr_assert(has(f), "max lacks %s, which the translator has", x86_feature_bits[f].name);
        }
    }
    cr_assert_eq(t->x->cr4_mask & CR4_SMAP, CR4_SMAP);
    bool avx = has(X86_FEAT_AVX);
    cr_assert_eq(t->x->xcr0_mask, (avx ? 7 : 3) | 1 << 9);
    cr_assert_eq(id(0xd, 0).r[1], 576);       /* XCR0 is 1 */
    cr_assert_eq(id(0xd, 0).r[2], 2696);      /* PKRU lies at 2688 */
    t->s->xcr0 = t->x->xcr0_mask;
    cr_assert_eq(id(0xd, 0).r[1], 2696);
    cr_assert_eq(id(0xd, 1).r[1], (avx ? 832 : 576) + 8);
    cr_assert_eq(id(0xd, 2).r[0], avx ? 256 : 0);
    cr_assert_eq(id(0xd, 2).r[1], avx ? 576 : 0);
    cr_assert_eq(id(0xd, 9).r[0], 8);
    cr_assert_eq(id(0xd, 9).r[1], 2688);
    cr_assert_not(id(1, 0).r[2] & 1 << 27, "OSXSAVE follows CR4");
    t->s->cr4 |= CR4_OSXSAVE;
    cr_assert(id(1, 0).r[2] & 1 << 27);
    sys_free(t);
}

Test(cpuid, flags_on_the_command_line)
{
    t = sys_new("max,-sse4.2,-xsave,monitor=on,smap=off,+sse4_2");
    cr_assert_not(has(X86_FEAT_SSE42), "-feature outranks +feature, wherever it stands");
    cr_assert_not(has(X86_FEAT_XSAVE));
    cr_assert(has(X86_FEAT_MONITOR));
    cr_assert_not(t->x->cr4_mask & (CR4_SMAP | CR4_OSXSAVE));
    cr_assert_eq(t->x->xcr0_mask, 1);
    sys_free(t);
}

Test(cpuid, mistakes_are_named)
{
    static const struct { const char *text, *says; } rows[] = {
        { "penthium", "penthium" }, { "Hasvell", "did you mean 'Haswell'" }, { "EPYC-Milen", "'EPYC-Milan'" }, { "max,+sse5", "sse5" }, { "max,+svm,enforce", "TCG doesn't support requested features" },
        { "max,tsc-frequency=20", "tsc-frequency" }, { "host", "requires KVM" }, { "max,smap=perhaps", "smap" },
        { "max,level=x", "x" }, { "max,phys-bits=99", "phys-bits" }, { "max,vendor=short", "short" }, { "max,nonsense=1", "nonsense" },
    };
    t = sys_new("qemu64");
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        GError *err = NULL;
        cr_assert_not(x86_model_apply(t->x, rows[i].text, &err), "%s", rows[i].text);
        cr_assert(err && strstr(err->message, rows[i].says), "%s: %s", rows[i].text, err ? err->message : "-");
        g_error_free(err);
    }
    sys_free(t);
}

Test(cpuid, models)
{
    t = sys_new("qemu64");
    cr_assert_eq(id(0x80000001, 0).r[3] & 1u << 29, 1u << 29);
    cr_assert_not(has(X86_FEAT_SSSE3));
    cr_assert_not(id(0x80000007, 0).r[3] & 1 << 8);
    sys_free(t);
    t = sys_new("x86-64-v2");
    cr_assert(has(X86_FEAT_SSE42) && has(X86_FEAT_POPCNT) && has(X86_FEAT_CX16));
    cr_assert_not(has(X86_FEAT_BMI1));
    sys_free(t);
    cr_assert_str_eq(x86_model_name(0), "max");
}

Test(cpuid, check_drops_and_enforce_refuses)
{
    GError *err = NULL;

    t = sys_new("max,+svm,check=off");
    cr_assert_not(id(0x80000001, 0).r[2] & 1 << 2);
    cr_assert(x86_model_apply(t->x, "x86-64-v2,enforce", NULL));
    cr_assert_not(x86_model_apply(t->x, "Opteron_G4,enforce", &err));
    g_clear_error(&err);
    cr_assert(x86_model_apply(t->x, "x86-64-v3,-xsave,check=off", NULL));
    cr_assert_not(t->x->cpuid_words[W_1_ECX] >> 28 & 1, "no AVX without XSAVE");
    sys_free(t);
}

/*
 * Nothing is advertised that is not there: each bit that stands for instructions (this list is the manuals', not insn.def's) has rows if a model
 * shows it.
 */
Test(cpuid, models_show_only_what_insn_def_has)
{
    static const char *const instructions[] = {
        "fpu", "cx8", "sep", "cmov", "clflush", "mmx", "fxsr", "sse", "sse2", "pni", "pclmulqdq", "monitor", "ssse3", "fma", "cx16", "sse4.1",
        "sse4.2", "movbe", "popcnt", "aes", "xsave", "avx", "f16c", "rdrand", "fsgsbase", "bmi1", "avx2", "bmi2", "invpcid", "rtm", "mpx",
        "avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", "pcommit", "clflushopt", "clwb", "avx512pf", "avx512er", "avx512cd",
        "sha-ni", "avx512bw", "avx512vl", "avx512vbmi", "pku", "waitpkg", "avx512vbmi2", "gfni", "vaes", "vpclmulqdq", "avx512vnni",
        "avx512bitalg", "avx512-vpopcntdq", "rdpid", "movdiri", "movdir64b", "serialize", "tsx-ldtrk", "amx-tile", "avx-vnni", "cmpccxadd",
        "syscall", "rdtscp", "3dnow", "3dnowext", "lahf-lm", "svm", "abm", "sse4a", "xop", "lwp", "fma4", "tbm", "clzero", "xsaveopt",
        "xsavec", "xsaves", "tsc", "msr",
    };
    bool row_needs[X86_FEAT_COUNT] = { false };

    for (unsigned i = 0; i < x86_row_count; i++) {
        row_needs[x86_rows[i].need] = true;
    }
    t = sys_new("base");
    for (unsigned m = 0; m < x86_model_count; m++) {
        g_autofree char *text = g_strdup_printf("%s,check=off", x86_models[m].name);
        GError *err = NULL;

        cr_assert(x86_model_apply(t->x, text, &err), "%s: %s", text, err ? err->message : "");
        for (unsigned i = 0; i < G_N_ELEMENTS(instructions); i++) {
            const struct x86_feature_name *f = x86_feature_find(instructions[i], strlen(instructions[i]));
            const struct x86_word_place *p = &x86_word_places[f->word];
            bool rows = false;

            for (unsigned k = 1; k < X86_FEAT_COUNT; k++) {
                const struct x86_feature_bit *b = &x86_feature_bits[k];
                rows |= b->leaf == p->leaf && b->subleaf == p->subleaf && b->reg == p->reg && b->bit == f->bit && row_needs[k];
            }
            cr_assert(rows || !(t->x->cpuid_words[f->word] >> f->bit & 1), "%s shows %s, which has no instruction", x86_models[m].name, f->name);
        }
    }
    sys_free(t);
}

Test(cpuid, names_and_versions)
{
    static const struct { const char *name, *row; unsigned family, model, stepping; const char *vendor; } rows[] = {
        { "Haswell", "Haswell-v1", 6, 60, 4, "GenuineIntel" }, { "Haswell-noTSX", "Haswell-v2", 6, 60, 1, "GenuineIntel" },
        { "Icelake-Server-v5", "Icelake-Server-v5", 6, 106, 0, "GenuineIntel" }, { "EPYC-Milan", "EPYC-Milan-v1", 25, 1, 1, "AuthenticAMD" },
        { "EPYC-IBPB", "EPYC-v2", 23, 1, 2, "AuthenticAMD" }, { "qemu64", "qemu64-v1", 15, 107, 1, "AuthenticAMD" },
        { "486", "486-v1", 4, 8, 0, "GenuineIntel" }, { "Dhyana", "Dhyana-v1", 24, 0, 1, "HygonGenuine" },
    };

    t = sys_new("max");
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = g_strdup_printf("%s,check=off", rows[i].name);
        uint32_t f, mo;

        cr_assert(x86_model_apply(t->x, text, NULL), "%s", text);
        cr_assert_str_eq(t->x->model->name, rows[i].row);
        uint32_t sig = id(1, 0).r[0];
        f = (sig >> 8 & 15) + (sig >> 20 & 0xff), mo = (sig >> 4 & 15) | (sig >> 12 & 0xf0);
        cr_assert(f == rows[i].family && mo == rows[i].model && (sig & 15) == rows[i].stepping, "%s: %x", rows[i].name, sig);
        cr_assert_eq(memcmp(t->x->vendor, rows[i].vendor, 12), 0);
    }
    cr_assert_null(x86_model_find("x86-64"));
    cr_assert(x86_model_apply(t->x, "486,check=off", NULL));
    cr_assert_eq(id(0, 0).r[0], 1);
    cr_assert_eq(t->x->cr4_mask & (CR4_PAE | CR4_PGE | CR4_OSFXSR), 0);
    cr_assert_eq(t->x->efer_mask, 0);
    cr_assert_eq(t->x->phys_bits, 32);
    cr_assert(x86_model_apply(t->x, "pentium3,level=2,family=7,model=3,stepping=9,model-id=Mine,vendor=AuthenticAMD,phys-bits=36", NULL));
    cr_assert_eq(id(0, 0).r[0], 2);
    cr_assert_eq(id(1, 0).r[0], 0x739);
    cr_assert_not(t->x->intel);
    cr_assert(x86_model_apply(t->x, "core2duo,+pcid,+invpcid,kvm=off,-hypervisor", NULL));
    cr_assert(id(0, 0).r[0] >= 7, "a feature of leaf 7 needs the leaf");
    cr_assert_eq(id(0x40000000, 0).r[1] == 0x54474354, false);
    sys_free(t);
}

/* APIC ids against what the leaves say of them: the same shifts give the same thread, core, die and package. */
static void topology_of(unsigned sockets, unsigned dies, unsigned cores, unsigned threads)
{
    unsigned n = sockets * dies * cores * threads;

    t->m->spec.threads = threads, t->m->spec.cores = cores, t->m->spec.dies = dies, t->m->spec.sockets = sockets;
    for (unsigned i = 0; i < n; i++) {
        uint32_t a = x86_apic_id(t->m, i);
        unsigned smt = id(0x1f, 0).r[0], core = id(0x1f, 1).r[0], die = dies > 1 ? id(0x1f, 2).r[0] : core;

        cr_assert_eq(a & ((1u << smt) - 1), i % threads);
        cr_assert_eq((a & ((1u << core) - 1)) >> smt, i / threads % cores);
        cr_assert_eq((a & ((1u << die) - 1)) >> core, i / (threads * cores) % dies);
        cr_assert_eq(a >> die, i / (threads * cores * dies));
        cr_assert_eq(id(0xb, 1).r[0], die, "0Bh counts dies to the cores");
        cr_assert(i == 0 || a > x86_apic_id(t->m, i - 1));
    }
    cr_assert_eq(id(0x1f, dies > 1 ? 2 : 1).r[1], threads * cores * dies);
    cr_assert_eq(id(0xb, 0).r[1], threads);
    cr_assert_eq(id(0xb, 7).r[2], 7);
    cr_assert_eq((id(4, 0).r[0] >> 14 & 0xfff) + 1, 1u << id(0xb, 0).r[0]);
    cr_assert_eq((id(4, 3).r[0] >> 14 & 0xfff) + 1, 1u << id(0x1f, 1).r[0], "the L3 belongs to a die");
}

Test(cpuid, topology_leaves)
{
    t = sys_new("max,level=0x1f");
    topology_of(1, 1, 1, 1);
    topology_of(2, 1, 3, 2);
    topology_of(1, 2, 5, 2);
    topology_of(3, 3, 3, 3);
    topology_of(2, 4, 8, 2);
    sys_free(t);
    t = sys_new("EPYC,check=off");
    t->m->spec.threads = 2, t->m->spec.cores = 6, t->m->spec.dies = 2, t->m->spec.sockets = 2;
    t->x->apic_id = x86_apic_id(t->m, 2 * 6 * 2 + 2 * 6 + 2 * 4 + 1);      /* socket 1, die 1, core 4, thread 1 */
    cr_assert_eq(id(0x8000001e, 0).r[0], t->x->apic_id);
    cr_assert_eq(id(0x8000001e, 0).r[1], 1 << 8 | (8 + 4));
    cr_assert_eq(id(0x8000001e, 0).r[2], 1 << 8 | (2 + 1));
    cr_assert_eq(id(0x80000008, 0).r[2], 5 << 12 | (24 - 1));
    cr_assert_eq(id(0x8000001d, 3).r[0] >> 14 & 0xfff, 12 - 1);
    cr_assert_eq(id(0x8000001d, 2).r[0] >> 14 & 0xfff, 2 - 1);
    cr_assert_eq(id(0x8000001d, 3).r[2], 8192 * 1024 / 64 / 16 - 1);
    cr_assert_eq(id(0x8000001d, 4).r[0], 0);
    sys_free(t);
    t = sys_new("EPYC,check=off,l3-cache=off");
    cr_assert_eq(id(0x8000001d, 3).r[0], 0);
    cr_assert_eq(id(0x80000006, 0).r[3], 0);
    sys_free(t);
}

Test(cpuid, tsc_rate)
{
    static const uint64_t rates[] = { 1000000000, 2500000000, 3333333333, 12000000, 4700000000, 33333333333 };

    for (unsigned i = 0; i < G_N_ELEMENTS(rates); i++) {
        g_autofree char *text = g_strdup_printf("max,tsc-frequency=%llu", (unsigned long long)rates[i]);
        t = sys_new(text);
        struct x86_cpuid o = id(0x15, 0);
        double hz = (double)o.r[2] * o.r[1] / o.r[0];
        cr_assert(hz > rates[i] * 0.999999 && hz < rates[i] * 1.000001, "%f", hz);
        cr_assert_eq(o.r[2], 1000000000, "the APIC's rate");
        cr_assert_eq(id(0x40000010, 0).r[0], rates[i] / 1000);
        uint64_t a = x86_tsc(t->x), b;
        x86_set_tsc_hz(t->x, 77777777777);
        b = x86_tsc(t->x);
        cr_assert(b >= a && b - a < 77777777777, "a new rate is no jump");
        sys_free(t);
    }
    cr_assert_eq(x86_tsc_of_ns(x86_ns_of_tsc(123456789, 2500000001), 2500000001) >= 123456789, true);
}

Test(cpuid, topology)
{
    t = sys_new("max");
    t->m->spec.threads = 2;
    t->m->spec.cores = 3;
    cr_assert_eq(x86_apic_id(t->m, 0), 0);
    cr_assert_eq(x86_apic_id(t->m, 3), 3);
    cr_assert_eq(x86_apic_id(t->m, 5), 5);
    cr_assert_eq(x86_apic_id(t->m, 6), 8, "the second socket begins at a power of two");
    cr_assert_eq(id(0xb, 0).r[0], 1);
    cr_assert_eq(id(0xb, 1).r[0], 3);
    cr_assert_eq(id(0xb, 1).r[1], 6);
    cr_assert_eq(id(0xb, 2).r[2], 2);
    sys_free(t);
}

static bool rd(uint32_t msr, uint64_t *v) { return x86_msr_read(t->x, msr, v); }
static bool wr(uint32_t msr, uint64_t v) { return x86_msr_write(t->x, msr, v); }

Test(cpuid, msrs)
{
    uint64_t v;
    t = sys_new("max");
    cr_assert_not(rd(0x12345, &v));
    cr_assert_not(wr(0x12345, 0));
    cr_assert(wr(0xc0000082, 0xffffffff81000000));
    cr_assert(rd(0xc0000082, &v) && v == 0xffffffff81000000);
    cr_assert_eq(t->s->lstar, v);
    cr_assert_not(wr(0xc0000082, 1ull << 60), "not canonical");
    cr_assert(wr(0xc0000100, 0x7000) && t->s->seg_base_fs == 0x7000);
    cr_assert(rd(0x10a, &v) && (v & 1) && (v & 2), "no retpolines");
    cr_assert_not(wr(0x10a, 0));
    cr_assert_not(wr(0xc0000080, 1ull << 40));
    cr_assert(wr(0xc0000080, EFER_SCE | EFER_NXE) && t->s->efer == (EFER_SCE | EFER_NXE));
    cr_assert_not(wr(0x277, 2), "memory type 2 does not exist");
    cr_assert(wr(0x277, 0x0007010600070106));
    cr_assert(wr(0x26f, 0x0606060606060606) && rd(0x26f, &v) && v == 0x0606060606060606);
    cr_assert(wr(0x201, 0xffc0000800) && rd(0x201, &v) && v == 0xffc0000800);
    cr_assert(wr(0x10, 1ull << 50) && rd(0x10, &v) && v >= 1ull << 50 && v < (1ull << 50) + 1000000000);
    cr_assert(rd(0x3b, &v) && v > 1ull << 49, "TSC_ADJUST follows");
    sys_free(t);
    t = sys_new("qemu64");
    cr_assert_not(rd(0x10a, &v));
    cr_assert(rd(0xc0010015, &v) && v == 1 << 24);
    sys_free(t);
}

Test(cpuid, msr_rules)
{
    static const struct { uint32_t msr; uint64_t v; bool ok; } rows[] = {
        { 0x2ff, 0xc06, true }, { 0x2ff, 0xc02, false }, { 0x2ff, 0x1006, false }, { 0x200, 6, true }, { 0x200, 2, false }, { 0x200, 1ull << 45, false },
        { 0x201, 0x800, true }, { 0x201, 0x400, false }, { 0x250, 0x0606060606060606, true }, { 0x250, 0x0206060606060606, false },
        { 0x277, 0x0007040600070406, true }, { 0x277, 0x0807040600070406, false }, { 0xfe, 0, false }, { 0x8b, 0, true }, { 0x17, 0, false },
        { 0x1d9, 2, true }, { 0x1d9, 0x40, false }, { 0x1d9, 1ull << 20, false }, { 0x400, ~0ull, true }, { 0x401, 1, false }, { 0x401, 0, true },
        { 0x17a, 7, true }, { 0x17a, 8, false }, { 0x48, 1, true }, { 0x48, 8, false }, { 0x49, 1, true }, { 0x49, 2, false },
        { 0xc0000103, 5, true }, { 0xc0000103, 1ull << 32, false }, { 0xc0000084, 1ull << 32, false }, { 0xc0000080, 1 << 12, false },
        { 0xc1, 0, false }, { 0x186, 0, false }, { 0x38f, 0, false }, { 0xe7, 0, false }, { 0x19a, 0, false }, { 0x4b564d00, 0, false },
        { 0xc0010015, 0, false }, { 0x1a0, 1, true }, { 0x175, 1ull << 47, true }, { 0x175, 1ull << 60, false },
    };
    uint64_t v;

    t = sys_new("max");
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        cr_assert_eq(wr(rows[i].msr, rows[i].v), rows[i].ok, "wrmsr %x = %llx", rows[i].msr, (unsigned long long)rows[i].v);
    }
    cr_assert_not(rd(0x49, &v), "write-only");
    cr_assert_not(rd(0x79, &v));
    cr_assert(rd(0xce, &v) && (v >> 8 & 0xff) == 10, "1 GHz");
    cr_assert(wr(0x1a0, MISC_XD_DISABLE | MISC_LIMIT_CPUID));
    cr_assert_not(id(0x80000001, 0).r[3] & 1 << 20);
    cr_assert_not(wr(0xc0000080, EFER_NXE));
    cr_assert_eq(id(0, 0).r[0], 3);
    cr_assert(rd(0x1a0, &v) && v == (MISC_XD_DISABLE | MISC_LIMIT_CPUID));
    sys_free(t);
    t = sys_new("EPYC,check=off,ibpb=on");
    cr_assert(rd(0xc0010015, &v) && v == 1 << 24 && wr(0xc0010015, 1 << 18) && rd(0xc0010015, &v) && v == (1 << 24 | 1 << 18));
    cr_assert(wr(0x401, 1), "HWCR lets it");
    cr_assert(wr(0x49, 1));
    cr_assert_not(wr(0x48, 0));
    cr_assert(rd(0xc0010030, &v) && memcmp(&v, "AMD EPYC", 8) == 0);
    cr_assert(rd(0xc0010114, &v) && (v & 0x10));
    cr_assert(rd(0xc0010055, &v) && rd(0xc0010004, &v) && v == 0);
    cr_assert_not(rd(0xce, &v));
    sys_free(t);
    t = sys_new("486,check=off");
    cr_assert_not(rd(0xc0000080, &v) || rd(0x277, &v) || rd(0x200, &v) || rd(0x174, &v) || rd(0x179, &v));
    sys_free(t);
}
