/*
 * Model-specific registers: RDMSR, WRMSR. One table row a register or range; what is not listed is #GP(0), as on hardware.
 * Spec: Intel SDM vol. 4; vol. 3 chapters 11 (APIC), 12 (MTRR, PAT), 15 (machine check), 17 (DEBUGCTL); AMD APM vol. 2 and
 * the BIOS and kernel developer's guides for C001xxxxh.
 *
 * On purpose absent, so #GP: performance counters (CPUID 0Ah offers none; AMD's four old counters read 0 because kernels of their time
 * do not expect a fault), MPERF and APERF, thermal and power registers, RAPL, VMX, SMRR, last-branch stacks, KVM's and Hyper-V's.
 */
#include <string.h>

#include "base/log.h"
#include "core/x86_intc.h"
#include "cpu/x86/helpers.h"
#include "cpu/x86/models.h"
#include "cpu/x86/sys_priv.h"

#define MC_BANKS 10

struct msr_row;
typedef bool msr_fn(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v);

enum msr_flags {
    MSR_CANONICAL = 1,        /* the value must be a canonical address */
    MSR_READONLY = 2,         /* WRMSR is #GP */
    MSR_DROP = 4,             /* writes are ignored */
    MSR_INTEL = 8, MSR_AMD = 16,
    MSR_WRITEONLY = 32,       /* RDMSR is #GP */
    MSR_KEEP = 64,            /* bits in `reserved` are not refused but keep their value */
};

struct msr_row {
    uint32_t first, last;
    uint16_t offset;          /* of the first in struct x86_state; consecutive; 0: value is `value` */
    uint8_t flags;
    int8_t word, bit;         /* CPUID feature it comes with; word -1: always */
    uint32_t amd;             /* or any of these bits of CPUID 80000008h EBX */
    uint64_t value;           /* constant, when offset is 0 */
    uint64_t reserved;        /* bits that must be 0 in a write */
    msr_fn *read, *write;     /* instead of plain memory */
};

/* --- special ones --- */

uint64_t x86_tsc(struct x86_cpu *x)
{
    return x86_tsc_of_ns(clock_now(x->cpu.machine, CLOCK_VIRTUAL_NS), x->tsc_hz) + x->s.tsc_offset;
}

static void set_tsc_offset(struct x86_cpu *x, uint64_t offset)
{
    x->s.tsc_offset = offset;
    if (x->lapic) {
        atomic_store(&x->lapic->tsc_offset, (int64_t)offset);
        atomic_store(&x->lapic->tsc_hz, x->tsc_hz);
        x->lapic->ops->tsc_changed(x->lapic);
    }
}

void x86_set_tsc_hz(struct x86_cpu *x, uint64_t hz)
{
    uint64_t now = x86_tsc(x);

    x->tsc_hz = hz;
    set_tsc_offset(x, x->s.tsc_offset + now - x86_tsc(x));
}

static bool tsc_read(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r, (void)msr;
    *v = x86_tsc(x);
    return true;
}

static bool tsc_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    uint64_t delta = *v - x86_tsc(x);

    (void)r, (void)msr;
    x->s.tsc_adjust += delta;
    set_tsc_offset(x, x->s.tsc_offset + delta);
    return true;
}

static bool adjust_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    uint64_t delta = *v - x->s.tsc_adjust;

    (void)r, (void)msr;
    x->s.tsc_adjust = *v;
    set_tsc_offset(x, x->s.tsc_offset + delta);
    return true;
}

static bool lapic_offers(struct x86_cpu *x, uint32_t msr)
{
    return x->lapic && !(msr == 0x6e0 && !(x->cpuid_words[W_1_ECX] >> 24 & 1)) &&
           !(msr >= 0x800 && msr <= 0x8ff && !(x->cpuid_words[W_1_ECX] >> 21 & 1));
}

static bool lapic_msr_read(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    return lapic_offers(x, msr) && x->lapic->ops->msr_read(x->lapic, msr, v);
}

static bool lapic_msr_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    if (!lapic_offers(x, msr) || (msr == 0x1b && *v >> x->phys_bits) || (msr == 0x1b && (*v & X86_APIC_BASE_X2) && !(x->cpuid_words[W_1_ECX] >> 21 & 1))) {
        return false;
    }
    return x->lapic->ops->msr_write(x->lapic, msr, *v);
}

static bool efer_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    struct x86_state *s = &x->s;
    uint64_t changed;

    (void)r, (void)msr;
    if (*v & ~(x->efer_mask | EFER_LMA) || ((*v & ~s->efer & EFER_NXE) && (s->misc_enable & MISC_XD_DISABLE))) {
        return false;
    }
    changed = (*v ^ s->efer) & x->efer_mask;
    if ((changed & EFER_LME) && (s->cr0 & CR0_PG)) {
        return false;
    }
    s->efer = (*v & x->efer_mask) | (s->efer & EFER_LMA);
    if (changed & EFER_NXE) {
        accel_of(s)->tlb_flush(&x->cpu, TLB_FLUSH_ALL, 0, 0);
    }
    x86_update_hflags(s);
    return true;
}

static bool arch_capabilities(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r, (void)msr;
    *v = x->cpuid_words[W_ARCH_LO] | (uint64_t)x->cpuid_words[W_ARCH_HI] << 32;
    return true;
}

static bool base_read(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    *v = x->s.seg[msr & 1 ? X86_GS : X86_FS].base;      /* c0000100 FS, c0000101 GS */
    return true;
}

static bool base_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    if (msr & 1) {
        x->s.seg[X86_GS].base = x->s.seg_base_gs = *v;
    } else {
        x->s.seg[X86_FS].base = x->s.seg_base_fs = *v;
    }
    return true;
}

/* PAT and the fixed MTRRs are eight memory types. */
static bool types_ok(uint64_t v, uint32_t allowed)
{
    for (unsigned i = 0; i < 64; i += 8) {
        unsigned t = v >> i & 0xff;
        if (t > 7 || !(allowed >> t & 1)) {
            return false;
        }
    }
    return true;
}

#define MTRR_TYPES 0x73u      /* UC WC WT WP WB */
static bool type_ok(uint64_t v) { return (v & 0xff) < 8 && (MTRR_TYPES >> (v & 7) & 1); }

static bool pat_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r, (void)msr;
    if (!types_ok(*v, 0xf3)) {      /* UC WC WT WP WB UC- */
        return false;
    }
    x->s.pat = *v;
    return true;
}

static uint64_t *mtrr(struct x86_cpu *x, uint32_t msr)
{
    struct x86_state *s = &x->s;

    if (msr < 0x250) {
        return msr & 1 ? &s->mtrr_mask[(msr - 0x200) / 2] : &s->mtrr_base[(msr - 0x200) / 2];
    }
    return msr == 0x250 ? &s->mtrr_fixed[0] : msr < 0x268 ? &s->mtrr_fixed[msr - 0x257] : &s->mtrr_fixed[msr - 0x265];
}

static bool mtrr_read(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    *v = *mtrr(x, msr);
    return true;
}

static bool mtrr_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    if (msr >= 0x250 ? !types_ok(*v, MTRR_TYPES) : *v >> x->phys_bits || *v & (msr & 1 ? 0x7ff : 0xf00) || (!(msr & 1) && !type_ok(*v))) {
        return false;
    }
    *mtrr(x, msr) = *v;
    return true;
}

static bool mtrr_def_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r, (void)msr;
    if (!type_ok(*v)) {
        return false;
    }
    x->s.mtrr_def = *v;
    return true;
}

static bool mc_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    /* STATUS, ADDR and MISC can only be cleared by software; AMD's HWCR can lift that for tests */
    if ((msr & 3) && *v && (x->intel || !(x->s.hwcr & HWCR_MC_STATUS_WR))) {
        return false;
    }
    /* CTL is all ones or none; kernels clear bits 0 and 10 of some banks */
    if (!(msr & 3) && *v && (*v | 1 | 1 << 10) != ~0ull) {
        return false;
    }
    x->s.mc_bank[msr - 0x400] = *v;
    return true;
}

/* 6 MSRs of AMD hold the name that CPUID 80000002h tells. */
static bool name_read(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    (void)r;
    memcpy(v, x->brand + (msr - 0xc0010030) * 8, 8);
    return true;
}

static bool thread_count(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    struct x86_topology t = x86_topology(x->cpu.machine);

    (void)r, (void)msr;
    *v = (t.per_package & 0xffff) | (uint64_t)(t.per_package / t.threads & 0xffff) << 16;
    return true;
}

/* XD_DISABLE takes NX from CPUID and keeps EFER.NXE from being set. The bits that say "unavailable" take what is written, as under other
 * hypervisors: programs save and restore the whole register. */
static bool misc_enable_write(struct x86_cpu *x, const struct msr_row *r, uint32_t msr, uint64_t *v)
{
    const uint64_t writable = 0x0000000400c51889ull & ~(x->efer_mask & EFER_NXE ? 0 : MISC_XD_DISABLE) &
                              ~(x->cpuid_words[W_1_ECX] & 1u << 3 ? 0 : MISC_MONITOR);

    (void)r, (void)msr;
    x->s.misc_enable = (x->s.misc_enable & ~writable) | (*v & writable);
    return true;
}

#define AT(member) .offset = __builtin_offsetof(struct x86_state, member)
#define ALWAYS .word = -1

static const struct msr_row rows[] = {
    /* the busy ones: timer and APIC, bases on each thread switch */
    { 0x6e0, 0x6e0, ALWAYS, .read = lapic_msr_read, .write = lapic_msr_write },
    { 0x800, 0x8ff, ALWAYS, .read = lapic_msr_read, .write = lapic_msr_write },
    { 0xc0000100, 0xc0000101, .word = W_EXT_EDX, .bit = 29, .flags = MSR_CANONICAL, .read = base_read, .write = base_write },
    { 0xc0000102, 0xc0000102, AT(kernel_gs_base), .word = W_EXT_EDX, .bit = 29, .flags = MSR_CANONICAL },
    { 0x10, 0x10, ALWAYS, .read = tsc_read, .write = tsc_write },
    { 0x48, 0x48, AT(spec_ctrl), .word = W_7_EDX, .bit = 26, .amd = 1u << 14 | 1u << 15 | 1u << 24, .reserved = ~0x407ull },
    { 0x49, 0x49, .word = W_7_EDX, .bit = 26, .amd = 1u << 12, .flags = MSR_DROP | MSR_WRITEONLY, .reserved = ~1ull },       /* PRED_CMD */

    /* identity, platform */
    { 0x00, 0x01, .word = W_1_EDX, .bit = 7, .flags = MSR_DROP },                           /* P5_MC_ADDR, P5_MC_TYPE */
    { 0x17, 0x17, ALWAYS, .flags = MSR_READONLY | MSR_INTEL },                              /* PLATFORM_ID */
    { 0x1b, 0x1b, .word = W_1_EDX, .bit = 9, .read = lapic_msr_read, .write = lapic_msr_write },
    { 0x2a, 0x2a, ALWAYS, .flags = MSR_DROP | MSR_INTEL },                                  /* EBL_CR_POWERON */
    { 0x34, 0x34, AT(smi_count), ALWAYS, .flags = MSR_READONLY | MSR_INTEL },
    { 0x35, 0x35, ALWAYS, .flags = MSR_READONLY | MSR_INTEL, .read = thread_count },        /* CORE_THREAD_COUNT */
    { 0x3a, 0x3a, ALWAYS, .flags = MSR_READONLY | MSR_INTEL, .value = 1 },                  /* FEATURE_CONTROL: locked, no VMX */
    { 0x3b, 0x3b, AT(tsc_adjust), .word = W_7_EBX, .bit = 1, .write = adjust_write },
    { 0x79, 0x79, ALWAYS, .flags = MSR_DROP | MSR_WRITEONLY | MSR_INTEL },                  /* microcode update: accepted, ignored */
    { 0x8b, 0x8b, ALWAYS, .flags = MSR_DROP | MSR_INTEL, .value = 1ull << 32 },             /* microcode revision 1 */
    { 0x8b, 0x8b, ALWAYS, .flags = MSR_DROP | MSR_AMD, .value = 0x01000065 },
    { 0xcd, 0xcd, ALWAYS, .flags = MSR_READONLY | MSR_INTEL, .value = 5 },                  /* FSB_FREQ: 100 MHz */
    { 0xce, 0xce, ALWAYS, .flags = MSR_READONLY | MSR_INTEL, .value = 10ull << 40 | 10 << 8 },      /* PLATFORM_INFO: 1 GHz at most and at least */
    { 0x10a, 0x10a, .word = W_7_EDX, .bit = 29, .flags = MSR_READONLY, .read = arch_capabilities },
    { 0x198, 0x198, ALWAYS, .flags = MSR_READONLY | MSR_INTEL, .value = 10ull << 40 | 10 << 8 },    /* PERF_STATUS: 1 GHz now */
    { 0x1a0, 0x1a0, AT(misc_enable), ALWAYS, .flags = MSR_INTEL, .write = misc_enable_write },
    { 0xda0, 0xda0, AT(xss), .word = W_D1_EAX, .bit = 3, .reserved = ~0ull },

    { 0x174, 0x174, AT(sysenter_cs), .word = W_1_EDX, .bit = 11 },
    { 0x175, 0x175, AT(sysenter_esp), .word = W_1_EDX, .bit = 11, .flags = MSR_CANONICAL },
    { 0x176, 0x176, AT(sysenter_eip), .word = W_1_EDX, .bit = 11, .flags = MSR_CANONICAL },

    /* machine check: banks that never report */
    { 0x179, 0x179, .word = W_1_EDX, .bit = 14, .flags = MSR_READONLY, .value = 0x100 | MC_BANKS },
    { 0x17a, 0x17a, AT(mcg_status), .word = W_1_EDX, .bit = 14, .reserved = ~7ull },
    { 0x17b, 0x17b, AT(mcg_ctl), .word = W_1_EDX, .bit = 14 },
    { 0x400, 0x400 + MC_BANKS * 4 - 1, AT(mc_bank), .word = W_1_EDX, .bit = 14, .write = mc_write },

    { 0x1d9, 0x1d9, AT(debugctl), ALWAYS, .reserved = ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_BTF) },
    { 0x1db, 0x1de, ALWAYS, .flags = MSR_READONLY },                                        /* last branch and interrupt: none recorded */

    /* memory types: kept, and of no effect on RAM that is always coherent */
    { 0xfe, 0xfe, .word = W_1_EDX, .bit = 12, .flags = MSR_READONLY, .value = 0x508 },      /* MTRRcap: 8 variable, fixed, WC; no SMRR */
    { 0x200, 0x20f, .word = W_1_EDX, .bit = 12, .read = mtrr_read, .write = mtrr_write },
    { 0x250, 0x250, .word = W_1_EDX, .bit = 12, .read = mtrr_read, .write = mtrr_write },
    { 0x258, 0x259, .word = W_1_EDX, .bit = 12, .read = mtrr_read, .write = mtrr_write },
    { 0x268, 0x26f, .word = W_1_EDX, .bit = 12, .read = mtrr_read, .write = mtrr_write },
    { 0x277, 0x277, AT(pat), .word = W_1_EDX, .bit = 16, .write = pat_write },
    { 0x2ff, 0x2ff, AT(mtrr_def), .word = W_1_EDX, .bit = 12, .reserved = ~0xcffull, .write = mtrr_def_write },

    { 0xc0000080, 0xc0000080, AT(efer), .word = W_EXT_EDX, .bit = 29, .write = efer_write },
    { 0xc0000080, 0xc0000080, AT(efer), .word = W_EXT_EDX, .bit = 20, .write = efer_write },      /* NX or SYSCALL without long mode */
    { 0xc0000080, 0xc0000080, AT(efer), .word = W_EXT_EDX, .bit = 11, .write = efer_write },
    { 0xc0000081, 0xc0000081, AT(star), .word = W_EXT_EDX, .bit = 11 },
    { 0xc0000082, 0xc0000082, AT(lstar), .word = W_EXT_EDX, .bit = 29, .flags = MSR_CANONICAL },
    { 0xc0000083, 0xc0000083, AT(cstar), .word = W_EXT_EDX, .bit = 29, .flags = MSR_CANONICAL },
    { 0xc0000084, 0xc0000084, AT(fmask), .word = W_EXT_EDX, .bit = 29, .reserved = 0xffffffff00000000ull },
    { 0xc0000103, 0xc0000103, AT(tsc_aux), .word = W_EXT_EDX, .bit = 27, .reserved = 0xffffffff00000000ull },
    { 0xc0000103, 0xc0000103, AT(tsc_aux), .word = W_7_ECX, .bit = 22, .reserved = 0xffffffff00000000ull },      /* RDPID reads it, too */

    /* AMD */
    { 0xc0010000, 0xc0010007, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* K7 performance counters */
    { 0xc0010010, 0xc0010010, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* SYSCFG */
    { 0xc0010015, 0xc0010015, AT(hwcr), ALWAYS, .flags = MSR_KEEP | MSR_AMD, .reserved = ~(uint64_t)HWCR_MC_STATUS_WR },
    { 0xc001001a, 0xc001001a, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* TOP_MEM */
    { 0xc001001d, 0xc001001d, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* TOP_MEM2 */
    { 0xc001001f, 0xc001001f, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* NB_CFG */
    { 0xc0010020, 0xc0010020, ALWAYS, .flags = MSR_DROP | MSR_WRITEONLY | MSR_AMD },        /* microcode loader */
    { 0xc0010030, 0xc0010035, ALWAYS, .flags = MSR_DROP | MSR_AMD, .read = name_read },
    { 0xc0010055, 0xc0010055, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* INT_PENDING_MSG */
    { 0xc0010058, 0xc0010058, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* MMIO_CONF_BASE */
    { 0xc0010112, 0xc0010113, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* SMM_ADDR, SMM_MASK */
    { 0xc0010114, 0xc0010114, ALWAYS, .flags = MSR_DROP | MSR_AMD, .value = 0x18 },         /* VM_CR: SVM is off, locked */
    { 0xc0011022, 0xc0011023, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* DC_CFG, BU_CFG */
    { 0xc0011029, 0xc0011029, ALWAYS, .flags = MSR_DROP | MSR_AMD, .value = 2 },            /* DE_CFG: LFENCE serialises */
    { 0xc001102a, 0xc001102a, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* BU_CFG2 */
    { 0xc001102c, 0xc001102c, ALWAYS, .flags = MSR_DROP | MSR_AMD },                        /* EX_CFG */
};

static const struct msr_row *row_find(const struct x86_cpu *x, uint32_t msr)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct msr_row *r = &rows[i];

        if (msr >= r->first && msr <= r->last) {
            bool there = r->word < 0 || (x->cpuid_words[r->word] >> r->bit & 1) || (x->cpuid_words[W_8_EBX] & r->amd);

            if (there && !((r->flags & MSR_INTEL) && !x->intel) && !((r->flags & MSR_AMD) && x->intel)) {
                return r;
            }
        }
    }
    return NULL;
}

static uint64_t *row_at(struct x86_cpu *x, const struct msr_row *r, uint32_t msr)
{
    return (uint64_t *)((char *)&x->s + r->offset) + (msr - r->first);
}

bool x86_msr_read(struct x86_cpu *x, uint32_t msr, uint64_t *v)
{
    const struct msr_row *r = row_find(x, msr);

    if (!r || (r->flags & MSR_WRITEONLY)) {
        return false;
    }
    if (r->read) {
        return r->read(x, r, msr, v);
    }
    *v = r->offset ? *row_at(x, r, msr) : r->value;
    return true;
}

bool x86_msr_write(struct x86_cpu *x, uint32_t msr, uint64_t v)
{
    const struct msr_row *r = row_find(x, msr);

    if (!r || (r->flags & MSR_READONLY) || (!(r->flags & MSR_KEEP) && (v & r->reserved)) || ((r->flags & MSR_CANONICAL) && !x86_canonical_base(&x->s, v))) {
        return false;
    }
    if (r->write) {
        return r->write(x, r, msr, &v);
    }
    if (r->offset) {
        uint64_t *at = row_at(x, r, msr);

        *at = (*at & r->reserved) | (v & ~r->reserved);
    }
    return true;
}

/* No such register: perhaps one that we lack (-d unimp). A value it does not take: the guest's fault (-d guest_errors). */
static void msr_log(struct x86_cpu *x, uint32_t msr, bool write, uint64_t v)
{
    if (row_find(x, msr)) {
        log_guest("%s 0x%x: 0x%llx is refused with #GP", write ? "wrmsr" : "rdmsr", msr, (unsigned long long)v);
    } else if (write) {
        log_unimp("wrmsr 0x%x = 0x%llx: no such MSR, #GP", msr, (unsigned long long)v);
    } else {
        log_unimp("rdmsr 0x%x: no such MSR, #GP", msr);
    }
}

uint64_t x86_do_rdmsr(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint32_t msr = (uint32_t)s->gpr[X86_RCX];
    uint64_t v;

    (void)a, (void)b, (void)c, (void)d;
    if (x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
    if (!x86_msr_read(x86_of_state(s), msr, &v)) {
        msr_log(x86_of_state(s), msr, false, 0);
        x86_raise(s, X86_GP, true, 0);
    }
    s->gpr[X86_RAX] = (uint32_t)v;
    s->gpr[X86_RDX] = v >> 32;
    return 0;
}

uint64_t x86_do_wrmsr(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint32_t msr = (uint32_t)s->gpr[X86_RCX];
    uint64_t v = (uint32_t)s->gpr[X86_RAX] | s->gpr[X86_RDX] << 32;

    (void)a, (void)b, (void)c, (void)d;
    if (x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
    if (!x86_msr_write(x86_of_state(s), msr, v)) {
        msr_log(x86_of_state(s), msr, true, v);
        x86_raise(s, X86_GP, true, 0);
    }
    return 0;
}
