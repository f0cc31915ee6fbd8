/*
 * What the system side of cpu/x86 shares: bit names of control registers and segments, access to guest memory by helpers, and the
 * functions that its files offer each other. Front end and other rooms see state.h and helpers.h only.
 *
 * Functions that can fault return false with *f filled (vector, code, addr = CR2) and have changed nothing then; helpers turn
 * that into x86_raise_fault(), delivery into the next exception. Bit layouts: Intel SDM vol. 3 chapters 2, 3, 4, 6, 17.
 */
#ifndef CPU_X86_SYS_PRIV_H
#define CPU_X86_SYS_PRIV_H

#include "core/accel.h"
#include "core/machine.h"
#include "cpu/x86/decode.h"
#include "cpu/x86/state.h"

enum x86_vector {
    X86_DE, X86_DB, X86_NMI, X86_BP, X86_OF, X86_BR, X86_UD, X86_NM, X86_DF, X86_CSO, X86_TS, X86_NP, X86_SS_FAULT,
    X86_GP, X86_PF, X86_MF = 16, X86_AC, X86_MC, X86_XM,
};

#define CR0_PE (1u << 0)
#define CR0_MP (1u << 1)
#define CR0_EM (1u << 2)
#define CR0_TS (1u << 3)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
#define CR0_NW (1u << 29)
#define CR0_CD (1u << 30)
#define CR0_PG (1u << 31)
#define CR0_ALL (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

#define CR4_VME (1u << 0)
#define CR4_PVI (1u << 1)
#define CR4_TSD (1u << 2)
#define CR4_DE (1u << 3)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_MCE (1u << 6)
#define CR4_PGE (1u << 7)
#define CR4_PCE (1u << 8)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP (1u << 11)
#define CR4_LA57 (1u << 12)
#define CR4_FSGSBASE (1u << 16)
#define CR4_PCIDE (1u << 17)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define CR4_PKE (1u << 22)

#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)

#define MISC_FAST_STRING (1ull << 0)      /* IA32_MISC_ENABLE */
#define MISC_MONITOR (1ull << 18)
#define MISC_LIMIT_CPUID (1ull << 22)
#define MISC_XD_DISABLE (1ull << 34)
#define HWCR_MC_STATUS_WR (1u << 18)
#define DEBUGCTL_LBR (1u << 0)
#define DEBUGCTL_BTF (1u << 1)

/* x86_segment.attr */
#define SEG_TYPE 0x0fu
#define SEG_ACCESSED (1u << 0)
#define SEG_RW (1u << 1)            /* data: writable, code: readable */
#define SEG_EC (1u << 2)            /* data: expand-down, code: conforming */
#define SEG_CODE (1u << 3)
#define SEG_S (1u << 4)             /* code or data, not system */
#define SEG_DPL_SHIFT 5
#define SEG_P (1u << 7)
#define SEG_L (1u << 9)
#define SEG_DB (1u << 10)
#define SEG_G (1u << 11)
static inline unsigned seg_dpl(unsigned attr) { return attr >> SEG_DPL_SHIFT & 3; }

/* System descriptor types. */
enum { SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK = 5, SYS_INT16 = 6, SYS_TRAP16 = 7,
       SYS_TSS32 = 9, SYS_TSS32_BUSY = 11, SYS_CALL32 = 12, SYS_INT32 = 14, SYS_TRAP32 = 15 };

#define FL_TF X86_FL_T
#define FL_IF X86_FL_I
#define FL_DF X86_FL_D
#define FL_IOPL X86_FL_IOPL
#define FL_NT X86_FL_N
#define FL_RF X86_FL_R
#define FL_VM X86_FL_V
#define FL_AC X86_FL_AC
#define FL_VIF X86_FL_VIF
#define FL_VIP X86_FL_VIP
#define FL_ID X86_FL_ID
#define FL_ALL 0x3f7fd7u            /* every flag that exists */

#define DR6_BS (1u << 14)
#define DR6_BT (1u << 15)
#define DR6_BD (1u << 13)
#define DR6_FIXED 0xffff0ff0u
#define DR7_GD (1u << 13)

static inline struct cpu *cpu_of(struct x86_state *s) { return &x86_of_state(s)->cpu; }
static inline const struct accel_ops *accel_of(struct x86_state *s) { return cpu_of(s)->engine; }
static inline unsigned x86_cpl(const struct x86_state *s) { return s->hflags >> X86_MODE_CPL_SHIFT & 3; }
static inline bool x86_code64(const struct x86_state *s) { return (s->hflags & X86_MODE_CODE_MASK) == X86_MODE_CODE64; }
static inline bool x86_lma(const struct x86_state *s) { return s->hflags & X86_MODE_LMA; }
/* Protected mode proper: not real, not virtual-8086. */
static inline bool x86_prot(const struct x86_state *s) { return (s->hflags & (X86_MODE_PE | X86_MODE_VM)) == X86_MODE_PE; }
static inline unsigned x86_iopl(const struct x86_state *s) { return s->eflags >> 12 & 3; }
/* Linear addresses have 48 bits, 57 with CR4.LA57. */
static inline bool x86_canonical(const struct x86_state *s, uint64_t va)
{
    unsigned up = s->cr4 & CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(va << up) >> up) == va;
}
/* As the CPU can have them at most: what is loaded into bases is checked for that, whatever CR4 says. */
static inline bool x86_canonical_base(const struct x86_state *s, uint64_t va)
{
    unsigned up = x86_of_state((void *)(uintptr_t)s)->cr4_mask & CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(va << up) >> up) == va;
}
static inline unsigned x86_regime_at(const struct x86_state *s, unsigned cpl)
{
    if (cpl == 3) {
        return X86_REGIME_USER;
    }
    return (s->cr4 & CR4_SMAP) && !(s->eflags & FL_AC) ? X86_REGIME_SUPER : X86_REGIME_SUPER_AC;
}
static inline uint32_t x86_asid(const struct x86_state *s) { return s->cr4 & CR4_PCIDE ? 1 + (uint32_t)(s->cr3 & 0xfff) : 0; }
/* Linear address of an offset in CS. */
static inline uint64_t x86_linear_pc(const struct x86_state *s, uint64_t eip)
{
    return x86_code64(s) ? eip : (uint32_t)(s->seg[X86_CS].base + eip);
}

static inline bool fault_set(struct mmu_fault *f, unsigned vector, uint32_t code)
{
    f->vector = vector;
    f->code = code;
    f->addr = 0;
    return false;
}
static inline bool fault_gp(struct mmu_fault *f, uint32_t code) { return fault_set(f, X86_GP, code); }

static inline bool mem_ld(struct x86_state *s, uint64_t va, unsigned size, unsigned regime, uint64_t *v, struct mmu_fault *f)
{
    return accel_of(s)->ld(cpu_of(s), va, size, regime, v, f);
}
static inline bool mem_st(struct x86_state *s, uint64_t va, unsigned size, unsigned regime, uint64_t v, struct mmu_fault *f)
{
    return accel_of(s)->st(cpu_of(s), va, size, regime, v, f);
}
/* n values of `size` bytes at ascending addresses. */
bool mem_ld_n(struct x86_state *s, uint64_t va, unsigned size, unsigned n, unsigned regime, uint64_t *v, struct mmu_fault *f);
bool mem_st_n(struct x86_state *s, uint64_t va, unsigned size, unsigned n, unsigned regime, const uint64_t *v, struct mmu_fault *f);

/* key_gpr.c */
void x86_update_hflags(struct x86_state *s);
void x86_set_seg(struct x86_state *s, unsigned seg, unsigned selector, uint64_t base, uint32_t limit, unsigned attr, bool unusable);
void x86_key(void *state, struct tcg_key *key);
/* IF was set or the like: makes the run loop look for events soon. */
void x86_look(struct x86_state *s);

/* mmu_gpr.c: data breakpoints; x86_watch() as cpu_ops.watch */
bool x86_watch(struct cpu *c, uint64_t va, unsigned size, bool write, bool commit);
bool x86_watches(const struct x86_state *s);

/* raise_gpr.c */
void x86_raise_fault(struct x86_state *s, const struct mmu_fault *f) __attribute__((noreturn));
void x86_raise_pending(struct cpu *c, const struct mmu_fault *f);     /* cpu_ops.raise */
void x86_trap(struct cpu *c, enum tcg_trap trap, uint64_t addr);      /* tcg_front.trap */
bool x86_vector_has_code(unsigned vector);

/* #AC(0) if alignment checks are on (SDM vol. 3, 6.15) and va has a bit of mask. For helpers; inline accesses: ir_mem.align. */
static inline void x86_need_aligned(struct x86_state *s, uint64_t va, uint64_t mask)
{
    if ((va & mask) && (s->eflags & FL_AC) && (s->cr0 & CR0_AM) && x86_cpl(s) == 3) {
        x86_raise(s, X86_AC, true, 0);
    }
}

/* mmu_gpr.c */
/* info.c: page tables for people; on the vCPU's thread. */
void x86_dump_map(struct cpu *c, bool entries, GString *out);
bool x86_walk(struct cpu *c, uint64_t va, enum mem_access access, unsigned regime, bool commit, struct mmu_result *res,
              struct mmu_fault *fault);
void x86_set_pkru(struct x86_state *s, uint32_t v);
bool x86_load_pdptes(struct x86_state *s, uint64_t cr3);   /* false: a reserved bit is set */

/* segments_gpr.c */
struct x86_desc {
    uint32_t lo, hi;
    uint64_t at;              /* linear address of the descriptor */
};
enum x86_desc_status { DESC_OK, DESC_OUTSIDE, DESC_FAULT };
enum x86_desc_status x86_desc_read(struct x86_state *s, unsigned selector, struct x86_desc *d, struct mmu_fault *f);
/* Reads a descriptor; a selector outside its table is `vector`(selector & ~3 | ext). */
bool x86_desc_get(struct x86_state *s, unsigned selector, struct x86_desc *d, unsigned vector, unsigned ext, struct mmu_fault *f);
bool x86_desc_high(struct x86_state *s, const struct x86_desc *d, unsigned selector, uint64_t *base_high, struct mmu_fault *f);
bool x86_desc_set_accessed(struct x86_state *s, struct x86_desc *d, struct mmu_fault *f);
static inline unsigned desc_attr(const struct x86_desc *d) { return (d->hi >> 8 & 0xff) | (d->hi >> 12 & 0xf00); }
static inline uint32_t desc_base(const struct x86_desc *d) { return d->lo >> 16 | (d->hi & 0xff) << 16 | (d->hi & 0xff000000); }
static inline uint32_t desc_limit(const struct x86_desc *d)
{
    uint32_t l = (d->lo & 0xffff) | (d->hi & 0xf0000);
    return d->hi & 1u << 23 ? l << 12 | 0xfff : l;
}
void x86_set_seg_desc(struct x86_state *s, unsigned seg, unsigned selector, const struct x86_desc *d);
void x86_set_seg_real(struct x86_state *s, unsigned seg, unsigned selector);
void x86_set_seg_vm(struct x86_state *s, unsigned seg, unsigned selector);
void x86_set_seg_null(struct x86_state *s, unsigned seg, unsigned selector);
bool x86_load_seg(struct x86_state *s, unsigned seg, unsigned selector, struct mmu_fault *f);
/* Stack segment for privilege level cpl: all checks, faults as `vector` (#TS or #GP); *null: 64-bit mode's null selector. */
bool x86_check_stack_seg(struct x86_state *s, unsigned selector, unsigned cpl, unsigned vector, unsigned ext, struct x86_desc *d,
                         struct mmu_fault *f);
/* ss:esp (or rsp) for `cpl` out of the TSS. */
bool x86_tss_stack(struct x86_state *s, unsigned cpl, unsigned ext, uint32_t *ss, uint32_t *esp, struct mmu_fault *f);
bool x86_tss_rsp(struct x86_state *s, unsigned index, uint64_t *rsp, struct mmu_fault *f);   /* 0-2 RSPn, 4.. ISTn = n + 3 */
/* DS ES FS GS that the new, outer privilege level may not use become null. */
void x86_drop_inner_segs(struct x86_state *s, unsigned cpl);
static inline uint64_t stack_mask(unsigned attr) { return attr & SEG_DB ? 0xffffffff : 0xffff; }

/*
 * A stack being pushed to or popped from: nothing of it is committed until the caller writes sp to rsp.
 */
struct x86_stack {
    uint64_t base, mask, sp;
    unsigned regime;
    uint32_t limit;
    unsigned attr;
    bool flat64;              /* no limits, no base */
    uint32_t code;            /* error code of #SS on a limit violation */
};
void x86_stack_current(struct x86_state *s, struct x86_stack *st);
void x86_stack_desc(struct x86_state *s, struct x86_stack *st, const struct x86_desc *d, uint64_t sp, unsigned cpl, uint32_t code);
bool x86_push(struct x86_state *s, struct x86_stack *st, unsigned size, uint64_t v, struct mmu_fault *f);
bool x86_pop(struct x86_state *s, struct x86_stack *st, unsigned size, uint64_t *v, struct mmu_fault *f);
void x86_stack_commit(struct x86_state *s, const struct x86_stack *st);

/* task_gpr.c */
enum x86_task_why { TASK_JUMP, TASK_CALL, TASK_IRET };
/* Switches to the task of a TSS descriptor; `eip` is saved for the old one. env.pc is set to the new task's address. has_code: an
 * error code is pushed on the new stack. A fault after the point of no return belongs to the new task: false with *switched set, and env.pc there. */
bool x86_task_switch(struct x86_state *s, unsigned selector, const struct x86_desc *d, enum x86_task_why why, uint32_t eip,
                     bool has_code, uint32_t code, struct mmu_fault *f, bool *switched);
/* From a helper: the switch is done, but a fault waits at the new task's first instruction. Returns; go on at env.pc. */
void x86_task_fault(struct x86_state *s, const struct mmu_fault *f);

/* exceptions.c */
void x86_deliver_pending(struct x86_state *s);
void x86_deliver_irq(struct x86_state *s, unsigned vector);
void x86_deliver_nmi(struct x86_state *s);
void x86_deliver_db(struct x86_state *s);

/* Shuts the CPU down and has the machine reset. */
void x86_triple_fault(struct x86_state *s);

/* smm.c: takes an SMI. halted: the CPU waited in HLT, and RSM lets it wait again. */
void x86_smm_enter(struct x86_state *s, bool halted);

/* interrupts.c */
void x86_service(struct cpu *c);
bool x86_startup(struct cpu *c);
bool x86_wakes(struct cpu *c);

/* msr.c; false: #GP(0) */
bool x86_msr_read(struct x86_cpu *x, uint32_t msr, uint64_t *v);
bool x86_msr_write(struct x86_cpu *x, uint32_t msr, uint64_t v);
uint64_t x86_tsc(struct x86_cpu *x);

/* fpu.c: an XSAVE image with these components, bytes; place and size of component n (2 and up) in the standard form, false: none such. */
unsigned x86_xsave_size(uint64_t which, bool compact);
bool x86_xsave_component(unsigned n, unsigned *size, unsigned *at);

/* cpuid.c */
/* topology.c: -smp as counts and as shifts into an APIC id; leaves. */
struct x86_topology { unsigned threads, cores, dies, per_package, core_shift, die_shift, package_shift; };
struct x86_topology x86_topology(const struct machine *m);
void x86_leaf_topology(struct x86_cpu *x, uint32_t subleaf, bool dies, struct x86_cpuid *o);
void x86_leaf_4(struct x86_cpu *x, uint32_t n, struct x86_cpuid *o);
void x86_leaf_80000005(struct x86_cpu *x, struct x86_cpuid *o);
void x86_leaf_80000006(struct x86_cpu *x, struct x86_cpuid *o);
void x86_leaf_8000001d(struct x86_cpu *x, uint32_t n, struct x86_cpuid *o);
void x86_leaf_8000001e(struct x86_cpu *x, struct x86_cpuid *o);
/* Bits of CR4, EFER, XCR0 that this CPU has. */
void x86_derive_masks(struct x86_cpu *x);
uint64_t x86_xcr0_mask(const struct x86_cpu *x);

/* cpu.c */
void x86_reset_registers(struct x86_cpu *x, bool init);

#endif
