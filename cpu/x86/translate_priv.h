/*
 * The front end's inside: what the translate_*.c files share. A handler x86_tr_<name>() turns one decoded instruction into IR
 * and answers true ("go on") or false ("the region ends here; I have emitted its exit").
 *
 * Rule for every handler: nothing is put before the instruction's last op that may fault.
 */
#ifndef CPU_X86_TRANSLATE_PRIV_H
#define CPU_X86_TRANSLATE_PRIV_H

#include "cpu/x86/decode.h"
#include "cpu/x86/front_helpers.h"
#include "cpu/x86/helpers.h"
#include "cpu/x86/state.h"
#include "tcg/emit.h"

struct x86_tr {
    struct ir *ir;
    struct tcg_source *src;
    struct x86_cpu *cpu;
    uint32_t mode;            /* enum x86_mode */
    bool code64, code32;      /* neither: 16-bit code */
    const struct x86_insn *i; /* the instruction at hand */
    unsigned off, next_off;   /* of it and of its end, from pcbase */
    unsigned insn_off;        /* of the last instruction begun: targets up to there are backward and poll */
    uint64_t eip;             /* of the instruction; salted modes only */
    ir_ref flags;             /* architectural flags as a value, or 0: not known in this region yet */
    bool sti_shadow;          /* the previous instruction was sti: look for events after this one */
};

static inline unsigned x86_width(unsigned bytes) { return (unsigned)__builtin_ctz(bytes); }

/* ---- operands (translate.c) ---- */
ir_ref tr_reg(struct x86_tr *t, unsigned reg);                         /* whole general register */
ir_ref tr_read(struct x86_tr *t, const struct x86_opnd *o);            /* register, immediate or memory; loads zero-extend */
void tr_write(struct x86_tr *t, const struct x86_opnd *o, ir_ref v);   /* v's low o->size bytes */
void tr_write_reg(struct x86_tr *t, unsigned reg, unsigned size, ir_ref v);
/* Address of the instruction's memory operand, segment applied; size and direction matter for limit checks only. */
struct ir_addr tr_addr(struct x86_tr *t, const struct x86_mem *m, unsigned size, bool write);
ir_ref tr_ea(struct x86_tr *t, const struct x86_mem *m);               /* offset in the segment, cut to addrsize */
struct ir_addr tr_seg_addr(struct x86_tr *t, unsigned seg, ir_ref offset, unsigned size, bool write);
ir_ref tr_addr_value(struct x86_tr *t, struct ir_addr a);              /* linear address as a value */
struct ir_mem tr_mem(struct x86_tr *t, unsigned size);                 /* plain memop of `size` bytes */

/* ---- flags ---- */
ir_ref tr_flags(struct x86_tr *t);                                     /* the architectural flags now */
void tr_set_flags(struct x86_tr *t, ir_ref f);
void tr_set(struct x86_tr *t, enum ir_cc kind, unsigned w, ir_ref a, ir_ref b, ir_ref c);
/* Flags in which `mask` comes from `bits` (EFLAGS positions) and the rest is kept. */
void tr_merge_flags(struct x86_tr *t, uint32_t mask, ir_ref bits);
/* carry (0 or 1) replaces C, the rest is kept. */
void tr_set_carry(struct x86_tr *t, ir_ref carry);

/* ---- calls and exits ---- */
ir_ref tr_call(struct x86_tr *t, const struct ir_helper *h, ir_ref a, ir_ref b, ir_ref c, ir_ref d);
ir_ref tr_const(struct x86_tr *t, int64_t v);
bool tr_ud(struct x86_tr *t);                                          /* #UD; false */
bool tr_fault(struct x86_tr *t, unsigned vector, int code);            /* code < 0: none; false */
bool tr_end(struct x86_tr *t, enum tcg_exit_reason reason);            /* leave to the loop behind this instruction; false */
unsigned tr_target(struct x86_tr *t, int64_t off);                     /* exit target at pcbase + off */
bool tr_goto(struct x86_tr *t, int64_t off);                           /* jump there; false */
bool tr_goto_linear(struct x86_tr *t, ir_ref linear, enum ir_ind kind);/* indirect; false */
ir_ref tr_next_ip(struct x86_tr *t);                                   /* rip/eip behind the instruction, as call pushes it */
void tr_check_ip(struct x86_tr *t, ir_ref ip);                             /* #GP(0) if it lies beyond a small CS limit */
/* Linear address of an offset in CS (a value already cut to size). */
ir_ref tr_cs_linear(struct x86_tr *t, ir_ref ip);
/* Do the flags die at this target before anything can see them? */
bool tr_flags_dead_at(struct x86_tr *t, int64_t off);

/* In MODE_TF, before the instruction's exit: the trap becomes pending. Was it a taken branch (DEBUGCTL.BTF)? By `v` if that is said. */
enum tr_step { TR_STEP_ON, TR_STEP_BRANCH, TR_STEP_IF_NONZERO, TR_STEP_IF_ZERO };
void tr_step(struct x86_tr *t, enum tr_step kind, ir_ref v);
bool tr_io_done(struct x86_tr *t);                                     /* behind port I/O: its breakpoints trap now; false: the region has ended */

/* ---- stack ---- */
unsigned tr_sp_size(struct x86_tr *t);                                 /* 2, 4, 8 */
ir_ref tr_sp_add(struct x86_tr *t, ir_ref sp, int64_t n);              /* sp + n, cut to the stack's size; not put */
struct ir_addr tr_stack(struct x86_tr *t, ir_ref sp, int64_t disp, unsigned size, bool write);
void tr_put_sp(struct x86_tr *t, ir_ref sp);
void tr_push(struct x86_tr *t, unsigned size, ir_ref v);               /* whole push; the store is the last fault */

static inline unsigned tr_cpl(const struct x86_tr *t) { return t->mode >> X86_MODE_CPL_SHIFT & 3; }
static inline bool tr_protected(const struct x86_tr *t) { return (t->mode & (X86_MODE_PE | X86_MODE_VM)) == X86_MODE_PE; }
bool tr_has(const struct x86_tr *t, enum x86_feature f);

#define X86_ENV(member) ((unsigned)__builtin_offsetof(struct x86_state, member))

#endif
