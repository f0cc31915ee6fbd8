/*
 * What a front end needs of the translator: the guest's description, and the builder that writes IR. The only header of
 * tcg/ that cpu/ includes (with tcg/ir.h and tcg/env.h, which it brings).
 */
#ifndef TCG_EMIT_H
#define TCG_EMIT_H

#include "tcg/env.h"
#include "tcg/ir.h"

struct cpu;

/* A guest register as the translator sees it. */
struct tcg_slot {
    const char *name;
    uint16_t offset;         /* in the state struct */
    uint8_t w;               /* enum ir_width */
    int8_t home;             /* host register number it lives in at region boundaries, or -1: memory (per host table) */
};

/* One per ISA (and host): the only place that knows which register lives where. */
struct tcg_guest {
    const char *isa;
    const struct tcg_slot *slots;
    unsigned n_slots;
    uint32_t vec_offset;         /* of vector register 0 in the state */
    uint32_t vec_stride;         /* bytes from one to the next */
    unsigned n_vec;
    unsigned n_vec_pinned;       /* registers 0..n-1 live in the host's vector registers of the same number */
    uint32_t fx_offset;          /* of a 512-byte FXSAVE image whose x87 part is the guest's x87/MMX state; 16-byte aligned */
    uint32_t mxcsr_offset;       /* u32 */
    uint32_t scratch_offset;     /* of struct tcg_scratch in the state */
};

/* Mode key and address context, as the run loop and the jump table see them. */
struct tcg_key {
    uint32_t mode;           /* everything that translation depends on besides bytes (enum of the ISA); never 0xffffffff */
    uint32_t asid;           /* address space identity: equal ids share TLB and jump table */
    uint8_t regime;          /* privilege regime for data accesses: 0 .. TCG_REGIMES-1 */
    uint8_t code_regime;     /* regime that instruction fetches use */
    bool salted;             /* 16-bit or based code: the region key also takes `salt` */
    uint32_t salt;           /* EIP of the entry, when salted */
};

/* What the front end is given to translate. */
struct tcg_source {
    struct cpu *cpu;
    const uint8_t *bytes;    /* the code page's bytes, 4096 of them (a stable copy or guest RAM) */
    unsigned offset;         /* of the entry in the page */
    const uint8_t *next;     /* the following page's bytes, for an instruction that crosses, or NULL: crossing faults or is not mapped */
    uint64_t pcbase;         /* linear address of the page. For messages and disassembly only: code must not depend on it */
    struct tcg_key key;
    unsigned max_insns;      /* 1: cpu_run_one() */
    bool need_next;          /* out: the first instruction crosses and `next` was NULL; nothing was emitted */
    bool crosses;            /* out: the region consists of one instruction that crosses into the next page */
    bool ends_fetch_fault;   /* reserved */
};

struct tcg_front {
    /* Bits of the mode key that only code which sets ir.mode_bound looks at: other code serves under any value of them. */
    uint32_t mode_optional;
    /* GPR-only: called from generated code's slow path too. `state` is the start of the state struct. */
    void (*key)(void *state, struct tcg_key *key);
    void (*translate)(struct ir *ir, struct tcg_source *src);
    /* state.pc bookkeeping is tcg_env.pc; this tells the ISA a fault or trap that generated code met. Raises; state is precise. */
    void (*trap)(struct cpu *c, enum tcg_trap trap, uint64_t addr);
};

/* ---- builder. Each returns the value it makes. `w` is enum ir_width. ---- */

void ir_begin(struct ir *ir, struct arena *arena, const struct tcg_guest *guest);
ir_ref ir_emit(struct ir *ir, struct ir_op op);                       /* everything below ends here */

ir_ref ir_const(struct ir *ir, int64_t v);
ir_ref ir_get(struct ir *ir, unsigned slot);
void ir_put(struct ir *ir, unsigned slot, ir_ref v);
ir_ref ir_pcrel(struct ir *ir, int64_t off);
ir_ref ir_ldenv(struct ir *ir, unsigned w, unsigned offset);
void ir_stenv(struct ir *ir, unsigned w, unsigned offset, ir_ref v);

ir_ref ir_op1(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a);
ir_ref ir_op2(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, ir_ref b);
ir_ref ir_op3(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, ir_ref b, ir_ref c);
ir_ref ir_op2i(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, int64_t imm);   /* b = constant */
ir_ref ir_hi(struct ir *ir, ir_ref of);
ir_ref ir_zext(struct ir *ir, unsigned from, ir_ref a);               /* to 64 bits */
ir_ref ir_sext(struct ir *ir, unsigned w, unsigned from, ir_ref a);
ir_ref ir_lea(struct ir *ir, unsigned w, ir_ref base, ir_ref index, unsigned scale, int64_t disp);

ir_ref ir_flags(struct ir *ir, enum ir_cc kind, unsigned w, ir_ref a, ir_ref b, ir_ref c);
ir_ref ir_getflags(struct ir *ir);
void ir_putflags(struct ir *ir, ir_ref f);
ir_ref ir_cond(struct ir *ir, unsigned cond, ir_ref f);
ir_ref ir_select(struct ir *ir, unsigned w, unsigned cond, ir_ref f, ir_ref yes, ir_ref no);

/* An address as memory ops take it. base or index may be 0 (none). */
struct ir_addr {
    ir_ref base, index;
    uint8_t scale;
    int64_t disp;            /* fits 32 bits signed; larger ones go into base */
};
ir_ref ir_ld(struct ir *ir, struct ir_addr at, struct ir_mem mem);
void ir_st(struct ir *ir, struct ir_addr at, struct ir_mem mem, ir_ref v);
ir_ref ir_rmw(struct ir *ir, unsigned kind, struct ir_addr at, struct ir_mem mem, ir_ref v);
ir_ref ir_cas(struct ir *ir, struct ir_addr at, struct ir_mem mem, ir_ref expect, ir_ref desired);
void ir_probe(struct ir *ir, struct ir_addr at, struct ir_mem mem);
ir_ref ir_native(struct ir *ir, const struct ir_native *n, struct ir_addr at, ir_ref int_in);  /* n is copied to the arena */
ir_ref ir_call(struct ir *ir, const struct ir_helper *h, ir_ref a, ir_ref b, ir_ref c, ir_ref d);

void ir_insn(struct ir *ir, unsigned off, unsigned len);
unsigned ir_exit_target(struct ir *ir, struct ir_exit e);             /* index for the ops below */
void ir_exit_if(struct ir *ir, unsigned cond, ir_ref f, unsigned target);
void ir_exit_ifz(struct ir *ir, unsigned w, ir_ref a, bool nonzero, unsigned target);
void ir_exit_jump(struct ir *ir, unsigned target);
void ir_exit_ind(struct ir *ir, enum ir_ind kind, ir_ref linear);
void ir_exit_loop(struct ir *ir, enum tcg_exit_reason reason, unsigned target);
void ir_poll(struct ir *ir, unsigned target);

/* Room for this many more side exits and guest instructions? Front ends stop the region when it says no. */
bool ir_has_room(const struct ir *ir);

#endif
