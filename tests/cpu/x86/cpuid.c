/* Models, feature flags, CPUID leaves, MSRs. */
#include <string.h>

#include <criterion/criterion.h>

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
        if (f != X86_FEAT_PKU && f != X86_FEAT_MONITOR && !host_lacks(f)) {
            cr_assert(has(f), "max lacks %s, which the translator has", x86_feature_bits[f].name);
        }
    }
    cr_assert_eq(t->x->cr4_mask & CR4_SMAP, CR4_SMAP);
    bool avx = has(X86_FEAT_AVX);
    cr_assert_eq(t->x->xcr0_mask, avx ? 7 : 3);
    cr_assert_eq(id(0xd, 0).r[1], 576);       /* XCR0 is 1 */
    cr_assert_eq(id(0xd, 0).r[2], avx ? 832 : 576);
    t->s->xcr0 = t->x->xcr0_mask;
    cr_assert_eq(id(0xd, 0).r[1], avx ? 832 : 576);
    cr_assert_eq(id(0xd, 1).r[1], avx ? 832 : 576);
    cr_assert_eq(id(0xd, 2).r[0], avx ? 256 : 0);
    cr_assert_eq(id(0xd, 2).r[1], avx ? 576 : 0);
    cr_assert_eq(id(0xd, 9).r[0], 0);
    cr_assert_not(id(1, 0).r[2] & 1 << 27, "OSXSAVE follows CR4");
    t->s->cr4 |= CR4_OSXSAVE;
    cr_assert(id(1, 0).r[2] & 1 << 27);
    sys_free(t);
}

Test(cpuid, flags_on_the_command_line)
{
    t = sys_new("max,-sse4.2,-xsave,monitor=on,smap=off,+sse4_2");
    cr_assert(has(X86_FEAT_SSE42));
    cr_assert_not(has(X86_FEAT_XSAVE));
    cr_assert(has(X86_FEAT_MONITOR));
    cr_assert_not(t->x->cr4_mask & (CR4_SMAP | CR4_OSXSAVE));
    cr_assert_eq(t->x->xcr0_mask, 1);
    sys_free(t);
}

Test(cpuid, mistakes_are_named)
{
    static const struct { const char *text, *says; } rows[] = {
        { "penthium", "penthium" }, { "max,+sse5", "sse5" }, { "max,+avx512f", "not supported: CPU feature 'avx512f'" },
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
    cr_assert_not(wr(0xc0000082, 0x800000000000), "not canonical");
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
    cr_assert(rd(0xc0010015, &v) && v == 0);
    sys_free(t);
}
