/*
 * The x86-64 back end's own: what one compilation holds (struct cg), and the thunks that all regions share (struct x86_host).
 *
 * A value (SSA result) can be in several places at once: a scratch register, homes or memory of slots that hold it now, a
 * stack slot of the region frame, or be a constant. Nothing is written back except at puts of unpinned slots.
 */
#ifndef TCG_X86_64_CG_PRIV_H
#define TCG_X86_64_CG_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcg/backend.h"
#include "tcg/codebuf.h"
#include "tcg/x86_64/asm.h"

#define BIAS 128                          /* rbp = state + BIAS */
#define STACK_SLOTS 256
#define FRAME (STACK_SLOTS * 8)
#define MAX_SLOTS 32
#define CC_ARG_BASE 0

/*
 * Accesses that lie close together off one base share a TLB check: the first (leader) checks the span of all of them and keeps the
 * addend in a stack slot; the others use it if it is not 0. Every slow path sets these slots to 0: it may change the TLB.
 */
#define GROUP_SLOTS 4
#define GROUP_KEEP_T GROUP_SLOTS          /* stack slot: T while a member's slow path runs */
#define STACK_FIRST (GROUP_SLOTS + 1)     /* of those that values are spilled to */
#define GROUP_SPAN 512                    /* bytes at most */
#define GROUP_MAX 64                      /* in a region */

#define ENV(f) ((int32_t)offsetof(struct tcg_env, f) - BIAS)
#define CTX_ENTRY ((int32_t)offsetof(struct tcg_tlb, entry))

/* What all regions share. Set once by init; constant afterwards except for thunks that are made on first use. */
struct x86_host {
    struct tcg_codebuf *cb;
    const struct tcg_guest *guest;
    const struct tcg_runtime *rt;
    struct code o;                        /* where the next thunk goes (read-write view) */
    uint8_t *thunk_limit;
    uint32_t pinned;                      /* bit mask of slots */
    int8_t home[MAX_SLOTS];               /* host register or NOREG */
    int8_t slot_of[16];                   /* host register -> slot, or -1 */
    uint32_t home_regs;                   /* bit mask of host registers */
    bool bmi1, bmi2, lzcnt, adx, avx;
    uint32_t slow[4096];                  /* by descriptor: offset of thunk or 0 */
    uint32_t again[4096];                 /* the same: thunks that look at the TLB first */
    struct { const struct ir_helper *h; uint32_t off; } helper[512];   /* open hash */
    /* read-execute addresses */
    uint8_t *enter, *leave, *leave_stored, *unwind, *trap;
    uint8_t *slow_common, *done, *done_plain, *link, *lookup, *exit_data, *exit_data32, *exit_dead, *eflags, *x87_load;
    uint8_t *nsave, *nrestore;
};
extern struct x86_host x86_host;

#define SCR(f) ((int32_t)(x86_host.guest->scratch_offset + offsetof(struct tcg_scratch, f)) - BIAS)
static inline struct amem st_at(int32_t off) { return am(HR_STATE, off); }
static inline struct amem slot_mem(unsigned s) { return am(HR_STATE, (int32_t)x86_host.guest->slots[s].offset - BIAS); }

/*
 * T after a failed check is address ^ tag, so the address comes back by another xor; only for read tags, which no other thread changes.
 * Other stubs compute it again.
 */
static inline bool slow_recovers_address(uint32_t desc)
{
    return !(desc & TCG_D_WRITE) && desc >> TCG_D_REGIME == 0;
}

/* thunks.c. Read-execute addresses; NULL: no room. */
uint8_t *thunk_slow(uint32_t desc);
uint8_t *thunk_again(uint32_t desc);      /* for groups: address in T, looks at the TLB for this access alone first */
uint8_t *thunk_helper(const struct ir_helper *h);

/* ---- one compilation ---- */

enum { V_WANT_FLAGS = 1, V_OTHER_USE = 2 /* used by more than flags ops */, V_EAGER = 8 /* must have a place */, V_LAZY = 4 /* carry that only describes flags: made on demand */ };
struct val {
    uint32_t last;           /* last op that needs it (maps and exits that describe flags by it included); 0: none */
    uint32_t def;            /* op that computes it (not its own index when merged) */
    uint32_t slots;          /* slots that hold it now */
    int16_t stk;             /* stack slot or -1 */
    int8_t reg;              /* scratch register or NOREG */
    int8_t hint;             /* slot that it is to be put into, safe to compute there; or -1 */
    uint8_t uses;
    uint8_t flags;
};

enum opnd_kind { O_NONE, O_REG, O_IMM, O_MEM, O_IMM64 };
struct opnd {
    uint8_t kind;
    int8_t reg;
    union { int64_t imm; struct amem mem; };
};

/* How to write a flags value to env.cc_*. lazy: operand 1 is the carry of another flags value, not computed yet. */
struct fldesc {
    uint8_t n;               /* operands; 0: nothing to store */
    uint8_t cc;              /* kind | width << 5 */
    uint8_t g_cc;            /* lazy: that other value; TCG_CC_KEPT: it is what env.cc_* holds */
    bool lazy;
    struct opnd x[3], g[3];
};

/* Descriptions are large and most are empty: copies what there is. */
static inline void fl_copy(struct fldesc *d, const struct fldesc *s)
{
    d->n = s->n;
    d->cc = s->cc;
    d->lazy = s->n && s->lazy;      /* an empty one is not initialised */
    for (unsigned k = 0; k < s->n; k++)
        d->x[k] = s->x[k];
    if (s->n && s->lazy) {
        d->g_cc = s->g_cc;
        for (unsigned k = 0; k < 3; k++)
            d->g[k] = s->g[k];
    }
}

/* What the host's flags register holds: the flags of an operation whose result is value `ref` at width w; or exactly flags value `ref` */
enum hf_kind { HF_NONE, HF_ADD, HF_SUB, HF_LOGIC, HF_ANDN /* as LOGIC, but P is not defined */, HF_ADC, HF_SBB, HF_ZSP /* Z S P only */, HF_EFLAGS /* ref: EFLAGS bits */, HF_EXACT };
struct hostflags { uint8_t kind, w; ir_ref ref; };

/* Something emitted out of line after the hot path. */
enum stub_kind { STUB_SLOW, STUB_EXIT, STUB_POLL, STUB_X87, STUB_LINK, STUB_MISS, STUB_UNDO };
struct stub {
    uint8_t kind;
    bool is_store, no_back, plain;
    bool grouped, keep_t;    /* slow path of a group's member; T holds a value */
    uint8_t wide;            /* wrap32 exits */
    uint8_t *from;           /* rel32 that jumps here */
    uint8_t *poll;           /* links: another one, of the poll: link() sees the kick too */
    uint8_t *back;           /* jump back to */
    uint8_t *copy, *copy_end;/* access to be copied (stores) */
    struct amem addr;        /* address expression; base NOREG + index NOREG: absolute */
    uint32_t desc;
    int32_t off;             /* exits, polls */
    uint16_t target;
    uint32_t exit;           /* index of exit record */
    uint32_t host_trap_rel;  /* offset + 1 of a trapping instruction in the copy */
    uint8_t trap;            /* and its enum tcg_trap */
    struct tcg_map_row row;  /* from here on not cleared, but for fl.n: slow paths set the row, exits and polls the flags */
    struct fldesc fl;
};

/* Accesses that share a TLB check. Displacements are from the root, the value that their addresses are made from. */
struct group {
    ir_ref root, index;      /* root 0: pcbase */
    uint8_t scale, slot, align, size;
    bool write;              /* checks the write tag */
    uint16_t members;
    uint16_t exits;          /* side exits before the leader */
    uint32_t leader;         /* op */
    int64_t disp, lo, hi;    /* the leader's; the span */
};

struct cg {
    struct code o;           /* first: encoders take &c->o */
    struct ir *ir;
    struct arena *a;
    uint8_t *base, *limit;   /* read-write view */
    int64_t rx_delta;        /* rx - rw */
    uint32_t n;              /* ops */
    ir_ref *al;              /* alias: which value stands for op i's result */
    struct val *v;
    struct group *groups;
    unsigned n_groups;
    const struct group *in_i;  /* group whose addend I holds, if its stack slot is not 0 */
    uint8_t *group_of;       /* memory ops: index in groups + 1, or 0 */
    uint32_t i;              /* op being emitted */
    ir_ref regval[16];       /* scratch registers: value held */
    uint32_t lock;           /* scratch registers that must not be evicted now */
    uint32_t going;          /* slots that this op is about to give a new value: what they hold now must have another place */
    ir_ref cur[MAX_SLOTS];   /* value that each slot holds, 0: not known by name */
    unsigned stk_n;
    struct hostflags hf;
    ir_ref dyn;              /* getflags value that stands for env.cc_*, 0: none */
    ir_ref arch;             /* architectural flags value; 0: in env */
    int16_t pc_off;
    uint16_t insn;
    bool x87_live;
    bool vec_high;           /* scratch.vec_low is 0 */
    struct stub *stubs;
    unsigned n_stubs, cap_stubs;
    struct tcg_map_row *map;
    unsigned n_map, cap_map;
    struct tcg_code_exit *exits;
    unsigned n_exits, cap_exits;
    uint32_t fold_at;        /* and where that is */
    ir_ref fold;             /* load whose access is emitted by its consumer */
    struct amem fold_mem;
    bool failed;
    ir_ref stkval[STACK_SLOTS];           /* last, and not cleared: below stk_n they have been set */
};

/* A hole in the back end met at run time: the region is thrown away and interpreted, the emulator goes on. */
void cg_give_up(struct cg *c, const char *why);

static inline const struct ir_op *op_of(struct cg *c, ir_ref r) { return &c->ir->ops[r]; }
static inline ir_ref R(struct cg *c, ir_ref r) { return c->al[r]; }
static inline bool is_const(struct cg *c, ir_ref r) { return c->ir->ops[r].op == IR_const; }
static inline bool dies(struct cg *c, ir_ref r) { return c->v[r].last <= c->i; }
static inline bool fits32(int64_t v) { return v == (int32_t)v; }
static inline int hw(unsigned w) { return w < IR_32 ? IR_32 : (int)w; }

/* liveness.c */
void cg_analyse(struct cg *c);

/* regalloc.c */
int ra_reg_of(struct cg *c, ir_ref v);                      /* a register that holds v now, or NOREG */
struct opnd ra_use(struct cg *c, ir_ref v, int w);          /* where v is; O_IMM only if usable as imm at width w, O_IMM64 otherwise */
struct opnd ra_where(struct cg *c, ir_ref v);               /* for descriptions: immediates as they are */
int ra_use_reg(struct cg *c, ir_ref v);                     /* in a register, locked */
int ra_alloc(struct cg *c, uint32_t allowed);               /* free scratch register out of a mask; evicts; locks it */
void ra_evict(struct cg *c, int reg);                       /* afterwards the register holds nothing that is needed */
void ra_spill(struct cg *c, ir_ref v);                      /* afterwards v is in memory or constant too */
void ra_bind(struct cg *c, int reg, ir_ref v);
void ra_lock_val(struct cg *c, ir_ref v);
void ra_save_slot(struct cg *c, unsigned slot);             /* the slot is about to change: its value survives elsewhere if needed */
void ra_settle_pcrel(struct cg *c, ir_ref r);               /* a pcrel value gets a place in memory */
void ra_unslot(struct cg *c, ir_ref v);                      /* afterwards v is somewhere else than in slots too */
void ra_set_slot(struct cg *c, unsigned slot, ir_ref v);
int ra_dst(struct cg *c, ir_ref v, ir_ref reuse);           /* register to compute v in: its home, or scratch (perhaps reuse's) */
void ra_done(struct cg *c, ir_ref v, int reg);              /* v has been computed in it */
static inline void ra_end_op(struct cg *c)                    /* registers of values that nobody needs any more are free */
{
    for (int r = HR_S; r <= HR_I; r++) {
        ir_ref v = c->regval[r];
        if (v && c->v[v].last <= c->i) {
            c->v[v].reg = NOREG;
            c->regval[r] = 0;
        }
    }
    c->lock = 0;
    c->going = 0;
}
bool ra_holds(struct cg *c, int reg, ir_ref v);             /* does the register hold v now? */
void ra_mov(struct cg *c, int w, int d, struct opnd s);
void ra_forget_slots(struct cg *c, uint32_t mask);          /* contents changed behind our back */
#define SCRATCH_MASK (1u << HR_S | 1u << HR_T | 1u << HR_I)

/* emit_*.c */
void em_int(struct cg *c, const struct ir_op *op);
void em_put(struct cg *c, const struct ir_op *op);
void em_mem(struct cg *c, const struct ir_op *op);
void em_native(struct cg *c, const struct ir_op *op);
void em_call(struct cg *c, const struct ir_op *op);
bool em_exit(struct cg *c, const struct ir_op *op, const struct ir_op *next);   /* true: did next too */
void em_stubs(struct cg *c);

/* emit_flags.c: makes the host's flags show condition `cond` of flags f; returns the host condition to test. */
int fl_cond(struct cg *c, ir_ref f, unsigned cond);
/* sets CF to f's carry */
void fl_carry(struct cg *c, ir_ref f);
void em_flags_op(struct cg *c, const struct ir_op *op);       /* cond, select, eflags, adc, sbb */
void fl_store(struct cg *c, ir_ref f);                        /* env.cc_* = f */
void fl_describe(struct cg *c, ir_ref f, struct fldesc *d);
bool fl_pending(struct cg *c, ir_ref v);                      /* lazy and not computed yet */
void fl_settle(struct cg *c, bool row);                       /* every operand of the architectural flags has a place; row: that a map row can name */
void fl_keep_dynamic(struct cg *c);                           /* env.cc_* is about to change: getflags values still needed move away */
void fl_emit_store(struct cg *c, const struct fldesc *d);
unsigned fl_operands(unsigned kind);
static inline void fl_clobber(struct cg *c) { c->hf.kind = HF_NONE; }

/* emit_mem.c */
struct address { ir_ref a, b; uint8_t scale; int64_t disp; };
struct access {
    struct amem mem;         /* the data, while I is kept */
    uint8_t *start;          /* of the access proper */
    unsigned stub;
    bool spare_t;            /* set before: what follows does not rely on T being free */
};
void cg_row(struct cg *c, struct tcg_map_row *row);           /* fills in all but host_off */
struct tcg_map_row *cg_add_row(struct cg *c);
struct stub *cg_stub(struct cg *c, unsigned kind);
/* TLB check; afterwards x->mem is the operand, I and what the address needs are locked, T is free. `keep`: value that must stay reachable. */
void em_check(struct cg *c, struct access *x, struct address at, const struct ir_mem *m, uint32_t desc);
/* The access (a store) has been emitted since x->start. plain: it leaves no flags that somebody may want. */
void em_stored(struct cg *c, struct access *x, bool plain);

static inline uint32_t host_off(struct cg *c, const uint8_t *p) { return (uint32_t)(p - c->base); }
/* calls a thunk (read-execute address) from region code */
void cg_call(struct cg *c, const uint8_t *rx);
void cg_jmp(struct cg *c, const uint8_t *rx);

#endif
