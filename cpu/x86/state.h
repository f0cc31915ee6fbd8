/*
 * The architectural state of an x86 vCPU: one struct for both engines. The translator works on it in place, KVM copies it in
 * and out, snapshots and gdb read it through regs.def.
 *
 * rip is env.pc - cs.base (in 64-bit mode cs.base is 0). Arithmetic flags live in env.cc_*, the rest of EFLAGS in `eflags`;
 * x86_eflags() / x86_set_eflags() join and split them.
 */
#ifndef CPU_X86_STATE_H
#define CPU_X86_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cpu.h"
#include "core/irq.h"
#include "cpu/x86/slots.h"
#include "tcg/emit.h"

struct x86_segment {
    uint16_t selector;
    uint16_t attr;          /* descriptor bits 8-15 and 20-23 as VMX/KVM order them: type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, DB 10, G 11 */
    uint32_t limit;         /* bytes, granularity applied */
    uint64_t base;
    bool unusable;          /* null selector */
};

struct x86_table { uint64_t base; uint32_t limit; };

/* An exception that has been raised and waits for delivery by x86_service(). */
struct x86_exception {
    bool pending, has_code, soft;   /* soft: int n, int3, into, icebp: return address is the next instruction */
    bool icebp;
    bool external;                  /* an interrupt that another engine had accepted and not yet delivered */
    uint8_t vector;
    uint32_t code;
    uint64_t cr2;
    uint8_t soft_len;               /* length of the int instruction */
};

struct x86_state {
    struct tcg_env env;                  /* first; 64 bytes */
    uint64_t gpr[16];                    /* slots; offsets 64..191 */
    uint32_t eflags;                     /* all but O S Z A P C (those bits are 0 here); bit 1 set */
    uint32_t hflags;                     /* cached mode key (enum x86_mode) without what it takes from eflags; see key_gpr.c */
    uint64_t seg_base_fs, seg_base_gs;   /* copies of seg[].base, near enough for 8-bit displacements */
    uint64_t seg_base[4];                /* ES CS SS DS likewise, for based code */

    struct x86_segment seg[6];           /* by enum x86_seg */
    struct x86_segment ldt, tr;
    struct x86_table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8;    /* cr8: the LAPIC's TPR where there is one */
    uint64_t pdpte[4];                   /* PAE: loaded by MOV CR3 */
    uint64_t dr[8];                      /* 4 and 5 unused */
    uint64_t xcr0, xss;
    uint64_t efer, star, lstar, cstar, fmask, kernel_gs_base, tsc_aux, pat;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t hwcr, smi_count;
    uint64_t misc_enable, tsc_offset, tsc_adjust, spec_ctrl, debugctl, mcg_status, mcg_ctl;
    uint64_t mtrr_def, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
    uint64_t mc_bank[4 * 10];
    uint32_t pkru;
    uint16_t pkeys_seen;                 /* not architectural: keys whose pages the TLB may hold */
    uint32_t mxcsr;

    uint8_t fx[512] __attribute__((aligned(64)));      /* FXSAVE image; its x87/MMX part is the guest's (XMM part unused) */
    uint8_t vec[32][64] __attribute__((aligned(64)));  /* xmm/ymm/zmm registers; who changes upper halves: tcg.vec_low */
    uint64_t opmask[8];

    /* in-flight architectural state: never implied by control flow */
    bool shadow;                         /* interrupt shadow after sti / mov ss / pop ss */
    bool shadow_ss;                      /* ... by mov ss / pop ss: debug traps are held too */
    bool nmi_masked;
    bool smm;                            /* in system-management mode (smm.c) */
    bool smi_waits, init_waits;          /* came while in SMM (an SMI: or in an interrupt shadow) */
    bool ferr_error;                     /* CR0.NE is clear, and an x87 instruction has met a pending error: FERR#, then wait */
    bool ignne;                          /* IGNNE#: the error has been acknowledged by port F0h */
    bool was_halted;                     /* an event has just woken it from HLT */
    uint32_t smbase;
    bool a20;                            /* A20 gate open */
    bool in_delivery;                    /* delivering: a fault now is a double fault candidate */
    uint8_t delivering;                  /* vector */
    uint8_t sipi_vector;
    struct x86_exception exc;
    bool irq_waits;                      /* the APIC has a vector that IF, shadow or TPR held back: who sets IF leaves by TCG_EXIT_EVENT */
    bool nmi_waits;                      /* an NMI came while masked */
    bool step_masked;                    /* SYSCALL has just masked TF: no trap behind it */
    bool shutdown;                       /* triple fault: nothing but reset (or INIT, NMI) ends it */
    uint32_t dr6_pending;                /* debug traps to deliver before the next instruction, as DR6 bits (X86_MODE_EVENT) */
    uint64_t monitor_addr;               /* MONITOR armed on this line; ~0: not armed */

    uint8_t native_tmp[96] __attribute__((aligned(32)));   /* not architectural: memory operands of native instructions, within one instruction */
    struct tcg_scratch tcg;              /* not architectural */
};

_Static_assert(__builtin_offsetof(struct x86_state, gpr) == 64, "slots begin right behind tcg_env");

struct x86_model;
struct x86_lapic;

struct x86_cpu {
    struct cpu cpu;                      /* first */
    struct x86_state s __attribute__((aligned(64)));
    const struct x86_model *model;
    uint32_t cpuid_feature_words[16];    /* what this CPU offers, by enum x86_feature bit: features[f / 32] bit f % 32 */
    uint32_t cpuid_words[24];            /* feature registers of CPUID, by enum x86_cpuid_word (models.h) */
    char vendor[12], brand[49];          /* CPUID 0, 80000002h; the model's, unless -cpu says otherwise */
    uint32_t level, xlevel;              /* highest leaves */
    uint16_t family, cpu_model, stepping;
    uint8_t phys_bits;                   /* width of physical addresses */
    bool page_1g, intel;                 /* 1 GiB pages; behaves as GenuineIntel where the makers differ */
    bool l3_cache, signature, timing_leaf;     /* CPUID shows an L3; 40000000h says TCG; 40000010h */
    const struct x86_cache_set *caches;  /* cpuid.c */
    uint64_t cr4_mask, efer_mask, xcr0_mask;   /* bits that exist */
    uint64_t tsc_hz;                     /* x86_set_tsc_hz() */
    uint32_t apic_id;
    struct x86_lapic *lapic;             /* core/x86_intc.h; NULL: none */
    struct irq_line ferr;                /* FERR#, to IRQ 13; not wired: x87 errors are always #MF */
};

static inline struct x86_cpu *x86_of(struct cpu *c) { return (struct x86_cpu *)c; }
static inline struct x86_cpu *x86_of_state(void *state)
{
    return (struct x86_cpu *)((char *)state - __builtin_offsetof(struct x86_cpu, s));
}

/* The rate of the TSC from now on; its value stays as it is at this moment. vCPU's thread or parked. msr.c */
void x86_set_tsc_hz(struct x86_cpu *x, uint64_t hz);

/* The whole EFLAGS/RFLAGS as pushf would store it (VM and RF included as they are). GPR-only. */
uint64_t x86_eflags(const struct x86_state *s);
/* Sets every bit of EFLAGS that `mask` selects. The caller deals with mode changes. GPR-only. */
void x86_set_eflags(struct x86_state *s, uint64_t value, uint64_t mask);

/* EAX, EBX, ECX, EDX of CPUID as this CPU answers now. */
struct x86_cpuid { uint32_t r[4]; };
void x86_cpuid(struct x86_cpu *x, uint32_t leaf, uint32_t subleaf, struct x86_cpuid *out);

/* For an engine that has stored registers into the struct: sets the instruction pointer and whatever follows from the segments, control
 * registers and flags. And the instruction pointer as an offset in CS. vCPU's thread or parked. */
void x86_stored(struct x86_state *s, uint64_t rip);
uint64_t x86_rip(const struct x86_state *s);

/* Raises an exception from a helper that generated code called: state is precise afterwards, C frames are dropped. */
void x86_raise(struct x86_state *s, unsigned vector, bool has_code, uint32_t code) __attribute__((noreturn));

#endif
