/*
 * CPUID, and what follows from its bits: which bits of CR4, EFER and XCR0 exist, what the front end may translate.
 * Spec: Intel SDM vol. 2, CPUID; hypervisor leaves: 40000000h and the timing leaf 40000010h as VMware defined it.
 */
#include <string.h>

#include "core/x86_intc.h"
#include "cpu/x86/cpu.h"
#include "cpu/x86/helpers.h"
#include "cpu/x86/models.h"
#include "cpu/x86/sys_priv.h"

#define BIT(word, n) (x->cpuid_words[word] >> (n) & 1)

/* --- leaves --- */

static uint32_t signature(const struct x86_cpu *x)
{
    unsigned family = x->family > 15 ? 15 : x->family, ext = x->family > 15 ? x->family - 15u : 0;

    return x->stepping | (x->cpu_model & 15u) << 4 | family << 8 | (uint32_t)(x->cpu_model >> 4) << 16 | ext << 20;
}

static void vendor(const struct x86_cpu *x, struct x86_cpuid *o)
{
    memcpy(&o->r[1], x->vendor, 4);
    memcpy(&o->r[3], x->vendor + 4, 4);
    memcpy(&o->r[2], x->vendor + 8, 4);
}

static void leaf_1(struct x86_cpu *x, struct x86_cpuid *o)
{
    struct x86_topology t = x86_topology(x->cpu.machine);
    unsigned logical = 1u << t.package_shift;

    o->r[0] = signature(x);
    o->r[1] = 8 << 8 | (x->apic_id & 0xff) << 24;
    o->r[2] = (x->cpuid_words[W_1_ECX] & ~(x->intel && !(x->s.misc_enable & MISC_MONITOR) ? 1u << 3 : 0)) | (x->s.cr4 & CR4_OSXSAVE ? 1u << 27 : 0);
    o->r[3] = x->cpuid_words[W_1_EDX];
    if (t.per_package > 1) {
        o->r[1] |= MIN(logical, 255) << 16;
        o->r[3] |= 1u << 28;
    }
    if (!x->lapic || !x86_lapic_enabled(x->lapic)) {
        o->r[3] &= ~(1u << 9);
    }
}

static void leaf_xsave(struct x86_cpu *x, uint32_t subleaf, struct x86_cpuid *o)
{
    if (!BIT(W_1_ECX, 26)) {
        return;
    }
    if (subleaf == 0) {
        o->r[0] = (uint32_t)x->xcr0_mask;
        o->r[1] = x86_xsave_size(x->s.xcr0, false);
        o->r[2] = x86_xsave_size(x->xcr0_mask, false);
        o->r[3] = x->xcr0_mask >> 32;
    } else if (subleaf == 1) {
        o->r[0] = x->cpuid_words[W_D1_EAX];
        o->r[1] = x->cpuid_words[W_D1_EAX] & 0xa ? x86_xsave_size(x->s.xcr0 | x->s.xss, true) : 0;
    } else if (subleaf < 63 && (x->xcr0_mask >> subleaf & 1)) {
        x86_xsave_component(subleaf, &o->r[0], &o->r[1]);
    }
}

/* TSC rate = crystal * EBX / EAX; the crystal is what the APIC timer counts. */
static void leaf_tsc(const struct x86_cpu *x, struct x86_cpuid *o)
{
    uint64_t num = x->tsc_hz, den = X86_APIC_BUS_HZ;

    for (uint64_t a = num, b = den, t; b; a = b, b = t) {      /* Euclid */
        t = a % b;
        if (!t && num / b <= UINT32_MAX) {
            num /= b;
            den /= b;
            break;
        }
    }
    if (num > UINT32_MAX) {
        num /= 1000;
        den /= 1000;
    }
    o->r[0] = (uint32_t)den;
    o->r[1] = (uint32_t)num;
    o->r[2] = X86_APIC_BUS_HZ;
}

static void basic(struct x86_cpu *x, uint32_t leaf, uint32_t subleaf, struct x86_cpuid *o)
{
    switch (leaf) {
    case 0:
        o->r[0] = x->s.misc_enable & MISC_LIMIT_CPUID && x->intel ? MIN(x->level, 3) : x->level;
        vendor(x, o);
        break;
    case 1:
        leaf_1(x, o);
        break;
    case 2:
        if (x->intel && x->level >= 4) {
            o->r[0] = 0x00feff01;      /* "see leaf 4" */
        } else if (x->intel) {
            o->r[0] = 0x03020101;      /* TLBs, and 16 KiB, 16 KiB, 512 KiB of caches */
            o->r[3] = 0x0c040843;
        }
        break;
    case 4:
        if (x->intel) {
            x86_leaf_4(x, subleaf, o);
        }
        break;
    case 5:
        if (BIT(W_1_ECX, 3)) {
            o->r[0] = o->r[1] = 64;
            o->r[2] = 3;
        }
        break;
    case 6:
        o->r[0] = x->cpuid_words[W_6_EAX];
        break;
    case 7:
        if (subleaf == 0) {
            o->r[0] = x->cpuid_words[W_7_2_EDX] ? 2 : x->cpuid_words[W_7_1_EAX] || x->cpuid_words[W_7_1_EDX] ? 1 : 0;      /* highest subleaf */
            o->r[1] = x->cpuid_words[W_7_EBX];
            o->r[2] = x->cpuid_words[W_7_ECX] | (x->s.cr4 & CR4_PKE ? 1u << 4 : 0);
            o->r[3] = x->cpuid_words[W_7_EDX];
        } else if (subleaf == 1) {
            o->r[0] = x->cpuid_words[W_7_1_EAX];
            o->r[3] = x->cpuid_words[W_7_1_EDX];
        } else if (subleaf == 2) {
            o->r[3] = x->cpuid_words[W_7_2_EDX];
        }
        break;
    case 0xb:
    case 0x1f:
        x86_leaf_topology(x, subleaf, leaf == 0x1f, o);
        break;
    case 0xd:
        leaf_xsave(x, subleaf, o);
        break;
    case 0x15:
        if (x->intel) {
            leaf_tsc(x, o);
        }
        break;
    case 0x16:
        if (x->intel) {
            o->r[0] = o->r[1] = (uint32_t)(x->tsc_hz / 1000000);
            o->r[2] = 100;
        }
        break;
    }
}

static void extended(struct x86_cpu *x, uint32_t leaf, uint32_t subleaf, struct x86_cpuid *o)
{
    struct x86_topology t = x86_topology(x->cpu.machine);

    switch (leaf) {
    case 0x80000000:
        o->r[0] = x->xlevel;
        if (!x->intel) {
            vendor(x, o);
        }
        break;
    case 0x80000001:
        o->r[0] = x->intel ? 0 : signature(x);
        o->r[2] = x->cpuid_words[W_EXT_ECX];
        o->r[3] = x->cpuid_words[W_EXT_EDX] | (x->intel ? 0 : x->cpuid_words[W_1_EDX] & 0x0183f3ff);   /* AMD repeats leaf 1 there */
        if (x->intel && !x86_code64(&x->s)) {
            o->r[3] &= ~(1u << 11);
        }
        if (x->intel && (x->s.misc_enable & MISC_XD_DISABLE)) {
            o->r[3] &= ~(1u << 20);
        }
        if (!x->intel && t.per_package > 1) {
            o->r[2] |= 2;
        }
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        memcpy(o->r, x->brand + (leaf - 0x80000002) * 16, 16);
        break;
    case 0x80000005:
        if (!x->intel) {
            x86_leaf_80000005(x, o);
        }
        break;
    case 0x80000006:
        x86_leaf_80000006(x, o);
        break;
    case 0x80000007:
        o->r[3] = x->cpuid_words[W_POWER_EDX];
        break;
    case 0x80000008:
        o->r[0] = x->phys_bits | (!BIT(W_EXT_EDX, 29) ? 32u : BIT(W_7_ECX, 16) ? 57u : 48u) << 8;
        o->r[1] = x->cpuid_words[W_8_EBX];
        o->r[2] = !x->intel && t.per_package > 1 ? t.package_shift << 12 | ((t.per_package - 1) & 0xff) : 0;
        break;
    case 0x8000001d:
        if (BIT(W_EXT_ECX, 22)) {
            x86_leaf_8000001d(x, subleaf, o);
        }
        break;
    case 0x8000001e:
        if (BIT(W_EXT_ECX, 22)) {
            x86_leaf_8000001e(x, o);
        }
        break;
    }
}

static void hypervisor(const struct x86_cpu *x, uint32_t leaf, struct x86_cpuid *o)
{
    switch (leaf) {
    case 0x40000000:
        o->r[0] = x->timing_leaf ? 0x40000010 : 0x40000000;
        if (x->signature) {
            memcpy(&o->r[1], "TCGTCGTCGTCG", 12);      /* what guests know translated machines by */
        }
        break;
    case 0x40000010:
        if (x->timing_leaf) {
            o->r[0] = (uint32_t)(x->tsc_hz / 1000);
            o->r[1] = X86_APIC_BUS_HZ / 1000;
        }
        break;
    }
}

void x86_cpuid(struct x86_cpu *x, uint32_t leaf, uint32_t subleaf, struct x86_cpuid *o)
{
    memset(o, 0, sizeof(*o));
    if (leaf >> 28 == 4 && BIT(W_1_ECX, 31)) {
        hypervisor(x, leaf, o);
    } else if (leaf >= 0x80000000 && leaf <= x->xlevel) {
        extended(x, leaf, subleaf, o);
    } else if (leaf <= x->level) {
        basic(x, leaf, subleaf, o);
    } else if (x->intel) {
        basic(x, x->level, subleaf, o);      /* out of range: the data of the highest basic leaf */
    }
}

uint64_t x86_do_cpuid(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct x86_cpuid o;

    (void)a, (void)b, (void)c, (void)d;
    x86_cpuid(x86_of_state(s), (uint32_t)s->gpr[X86_RAX], (uint32_t)s->gpr[X86_RCX], &o);
    s->gpr[X86_RAX] = o.r[0];
    s->gpr[X86_RBX] = o.r[1];
    s->gpr[X86_RCX] = o.r[2];
    s->gpr[X86_RDX] = o.r[3];
    return 0;
}

/* --- what follows from the bits --- */

static const struct { uint8_t word, bit; uint32_t cr4; } cr4_bits[] = {
    { W_1_EDX, 4, CR4_TSD }, { W_1_EDX, 2, CR4_DE }, { W_1_EDX, 3, CR4_PSE }, { W_1_EDX, 6, CR4_PAE }, { W_1_EDX, 7, CR4_MCE },
    { W_1_EDX, 13, CR4_PGE }, { W_1_EDX, 0, CR4_PCE }, { W_1_EDX, 24, CR4_OSFXSR }, { W_1_EDX, 25, CR4_OSXMMEXCPT },
    { W_7_ECX, 2, CR4_UMIP }, { W_7_EBX, 0, CR4_FSGSBASE }, { W_1_ECX, 17, CR4_PCIDE }, { W_1_ECX, 26, CR4_OSXSAVE },
    { W_7_EBX, 7, CR4_SMEP }, { W_7_EBX, 20, CR4_SMAP }, { W_7_ECX, 3, CR4_PKE }, { W_7_ECX, 16, CR4_LA57 },
};

void x86_derive_masks(struct x86_cpu *x)
{
    x->cr4_mask = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(cr4_bits); i++) {
        x->cr4_mask |= BIT(cr4_bits[i].word, cr4_bits[i].bit) ? cr4_bits[i].cr4 : 0;
    }
    x->efer_mask = (BIT(W_EXT_EDX, 11) ? EFER_SCE : 0) | (BIT(W_EXT_EDX, 29) ? EFER_LME : 0) | (BIT(W_EXT_EDX, 20) ? EFER_NXE : 0);
    x->xcr0_mask = BIT(W_1_ECX, 26) ? 3 : 1;
    if (BIT(W_1_ECX, 26)) {
        x->xcr0_mask |= (BIT(W_1_ECX, 28) ? 1 << 2 : 0) | (BIT(W_7_ECX, 3) ? 1 << 9 : 0);
    }
    x->page_1g = BIT(W_EXT_EDX, 26);
    memset(x->cpuid_feature_words, 0, sizeof(x->cpuid_feature_words));
    for (unsigned f = 0; f < X86_FEAT_COUNT; f++) {
        const struct x86_feature_bit *fb = &x86_feature_bits[f];
        bool on = f == X86_FEAT_NONE;

        for (unsigned w = 0; w < W_COUNT; w++) {
            const struct x86_word_place *p = &x86_word_places[w];
            if (f != X86_FEAT_NONE && p->leaf == fb->leaf && p->subleaf == fb->subleaf && p->reg == fb->reg) {
                on = BIT(w, fb->bit);
            }
        }
        x->cpuid_feature_words[f / 32] |= on ? 1u << (f % 32) : 0;
    }
}
