/*
 * The IR: one region as a list of SSA operations.
 *
 * A region has one entry and many exits; it is straight-line code with side exits (an extended block). Every integer
 * or flags result is a value, named by the index of the op that makes it (ir_ref; 0 = none). Guest registers are
 * slots, read and written by get and put; vectors and x87 registers are slots that `native` ops work on in place (SSA would buy
 * nothing where the guest's registers are the host's, and it keeps them out of the allocator).
 *
 * Rules (tcg/verify.c checks them):
 *  - a value is made before it is used, with the width its user expects or wider;
 *  - `insn` starts every guest instruction; put, putflags of an instruction come after its last op that may fault
 *    (nothing of an instruction is committed before its last possible fault), unless the slot is marked early;
 *  - `hi` stands right behind its op; the last op is an unconditional exit and nothing follows it.
 */
#ifndef TCG_IR_H
#define TCG_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef uint32_t ir_ref;

enum ir_opcode {
#define OP(name, outs, ins, props, meaning) IR_##name,
#include "tcg/ops.def"
#undef OP
    IR_OP_COUNT
};

enum ir_props { IR_PURE = 1, IR_FAULT = 2, IR_SIDE = 4, IR_EXIT = 8, IR_FLAGS = 16 };

struct ir_op_info {
    const char *name;
    uint8_t outs, ins, props;
    const char *meaning;
};
extern const struct ir_op_info ir_op_info[IR_OP_COUNT];

enum ir_width { IR_8, IR_16, IR_32, IR_64 };
static inline unsigned ir_bits(unsigned w) { return 8u << w; }

/* Conditions: numbered as x86 does; odd = the even one below negated. */
enum ir_cond {
    IR_COND_O, IR_COND_NO, IR_COND_C, IR_COND_NC, IR_COND_Z, IR_COND_NZ, IR_COND_BE, IR_COND_A,
    IR_COND_S, IR_COND_NS, IR_COND_P, IR_COND_NP, IR_COND_L, IR_COND_GE, IR_COND_LE, IR_COND_G,
};

/*
 * Kinds of flags values; a b c as stored in cc_a cc_b cc_c when they are kept across region exits. The reference semantics are
 * tcg/cc.c. In memory a kind is stored as (kind | width << 5).
 */
enum ir_cc {
    IR_CC_EFLAGS,   /* a = the six flags as EFLAGS bits; width ignored */
    IR_CC_ADD,      /* a = result, b = one operand */
    IR_CC_SUB,      /* a = result, b = subtrahend */
    IR_CC_CMP,      /* a = minuend, b = subtrahend: SUB whose result nobody computed */
    IR_CC_LOGIC,    /* a = result: O = C = A = 0 */
    IR_CC_ADC,      /* a = result, b = addend, c = other addend (carry-in follows) */
    IR_CC_SBB,      /* a = result, b = subtrahend, c = minuend */
    IR_CC_INC,      /* a = result, b = the carry before (0 or 1) */
    IR_CC_DEC,      /* a = result, b = the carry before */
    IR_CC_SHL,      /* a = result, b = operand shifted by count - 1: C = its top bit, O = C ^ top of a; A = 0 */
    IR_CC_SHR,      /* a = result, b = operand shifted by count - 1: C = its low bit, O = top bit of b ^ top of a (as count 1 defines it); A = 0 */
    IR_CC_SAR,      /* a = result, b = operand shifted by count - 1: C = its low bit; O = 0; A = 0 */
    IR_CC_MUL,      /* a = low result, b != 0: C = O = 1; Z S P from a, A = 0 */
    IR_CC_BITC,     /* a = 0 or 1: the carry, b = the other flags as EFLAGS bits (its C ignored) */
    IR_CC_ZONLY,    /* a = value: Z = (a == 0), C = b & 1, S O A P from neither: 0 (bsf, bsr, lzcnt, popcnt families) */
    IR_CC_COUNT,
};

enum ir_rmw { IR_RMW_ADD, IR_RMW_SUB, IR_RMW_AND, IR_RMW_OR, IR_RMW_XOR, IR_RMW_XCHG, IR_RMW_NEG, IR_RMW_NOT, IR_RMW_OLD = 0x80 };

enum ir_ind { IR_IND_JUMP, IR_IND_CALL, IR_IND_RET };

/* Memory operands: size, extension, alignment, atomicity, privilege regime. */
struct ir_mem {
    uint8_t size;        /* log2 bytes: 0..3; native ops: up to 5 (32), 6 (64) */
    uint8_t scale;       /* log2 for the index */
    bool sign;           /* ld: sign-extend to 64 bits (else zero) */
    bool align;          /* must be naturally aligned: else the ISA's alignment fault (IR_TRAP_ALIGN) */
    bool atomic;         /* rmw, cas: one host atomic, also for page-crossing and MMIO (stop-the-world path) */
    bool write;          /* probe, native: the access is a store (or read-modify-write) */
    bool intent;         /* ld: demand write permission, as the first half of a read-modify-write */
    bool swap;           /* other endianness (unused on x86) */
    uint8_t regime;      /* IR_REGIME_CURRENT, or 1 + an explicit regime (implicit supervisor accesses) */
};
#define IR_REGIME_CURRENT 0

/*
 * A host instruction on guest state in place. Emitted by the back end of the same ISA with homes substituted; the
 * interpreter runs it through a thunk on such hosts. x86: encoding fields as in the SDM. Built by the front end in the
 * region's arena.
 */
/*
 * Conventions: rm_kind IR_NR_NONE: the instruction has no ModRM byte (emms, fwait). IR_NR_STATE (rm only): memory of the state struct at
 * state_off. A second integer input (vvvv, or the reg field when reg_int_in is set) is the op's a, since there is no address then.
 * vex map 1, opcode 77 is vzeroupper (l 0) or vzeroall (l 1).
 * x87 fcmovcc (DA/DB, C0+) has an integer input c: the host's Z flag is made c == 0 right before it (`test c,c`, 32 bits).
 */
enum ir_native_reg { IR_NR_NONE, IR_NR_VEC, IR_NR_MMX, IR_NR_INT_IN, IR_NR_INT_OUT, IR_NR_MEM, IR_NR_X87, IR_NR_STATE };
struct ir_native {
    uint8_t kind;            /* enum ir_native_kind */
    uint8_t prefix;          /* 0, 0x66, 0xf3, 0xf2 */
    uint8_t map;             /* 0: one-byte (x87), 1: 0F, 2: 0F38, 3: 0F3A */
    uint8_t opcode;
    bool w;                  /* REX.W / VEX.W */
    bool vex;                /* VEX form with vvvv */
    uint8_t l;               /* VEX.L; 0 where the instruction ignores it */
    bool has_imm;
    uint8_t imm;
    bool imm_vec;            /* the immediate's upper half is the number of a vector register (blendv) */
    uint8_t reg_kind, reg;   /* ModRM.reg: register kind and guest number, or opcode extension (IR_NR_NONE: reg = /n) */
    uint8_t rm_kind, rm;     /* ModRM.rm */
    uint8_t vvvv_kind, vvvv;
    bool rm_int_in, reg_int_in;   /* which field the integer input op.c goes to */
    bool fault_fp;           /* may raise the host's FP trap (#XM, #MF) when unmasked: has a map row */
    bool reads_xmm0;         /* implicit third operand (blendv, sha256rnds2) */
    uint32_t vec_read, vec_written;   /* bit masks of guest vector registers */
    uint32_t state_off;      /* IR_NR_STATE: offset in the state */
    struct ir_mem mem;       /* when a field is IR_NR_MEM */
    int32_t disp;            /* ... its address is the op's a + (b << mem.scale) + disp */
};
enum ir_native_kind { IR_NATIVE_VEC, IR_NATIVE_X87, IR_NATIVE_MMX, IR_NATIVE_INT };
static inline bool ir_is_vzero(const struct ir_native *n) { return n->vex && n->map == 1 && n->opcode == 0x77; }

/* Where an exit goes. Offsets are from pcbase (linear address of the region's page); they may lie outside the page. */
struct ir_exit {
    int32_t off;             /* target's offset from pcbase: 0..4095 is the same page */
    bool backward;           /* taken towards lower or equal addresses: polls */
    bool flags_dead;         /* the target overwrites the flags before anything can see them (look-ahead proved it). On a backward
                              * exit the poll still sees them: kept up to the exit, stored on the poll's way out only */
    uint8_t reason;          /* exit_loop */
    /* 32-bit flat code wraps at 4 GiB: the linear target is (pcbase + off) cut to 32 bits when set */
    bool wrap32;
};

/* Helpers: declared by whoever owns them, in tables. fn(state, a, b, c, d) -> result. */
struct ir_helper {
    const char *name;
    void *fn;                /* uint64_t (*)(void *state, uint64_t, uint64_t, uint64_t, uint64_t) */
    uint8_t args;
    bool ret;
    uint16_t effects;        /* enum ir_effect */
};
enum ir_effect {
    IR_EFF_PURE     = 1 << 0,   /* function of its arguments only */
    IR_EFF_GPR      = 1 << 1,   /* built with general registers only, calls nothing else: vectors, x87, MXCSR need no saving */
    IR_EFF_READS    = 1 << 2,   /* looks at slots in the state (pinned ones are written back before) */
    IR_EFF_WRITES   = 1 << 3,   /* changes slots in the state (pinned ones are loaded after) */
    IR_EFF_FAULTS   = 1 << 4,   /* may raise an exception: pc and flags can be restored from its map row */
    IR_EFF_FLAGS_R  = 1 << 5,   /* looks at the flags in memory */
    IR_EFF_FLAGS_W  = 1 << 6,   /* leaves new flags in memory */
    IR_EFF_CTX      = 1 << 7,   /* may change the address context (regime, address space): r15 is loaded again */
    IR_EFF_MODE     = 1 << 8,   /* may change the mode key: only an exit_ind or exit_loop may follow in the region */
    IR_EFF_VEC      = 1 << 9,   /* looks at or changes vector or x87 state in memory (implies: not GPR) */
    IR_EFF_LOCK     = 1 << 10,  /* wants the machine lock around it (device access by instruction: in, out) */
};

struct ir_op {
    uint8_t op, w, sub;
    uint8_t uses;            /* filled by the passes; saturates at 255 */
    ir_ref a, b, c, d;
    union {
        int64_t imm;
        const struct ir_helper *helper;
        const struct ir_native *native;
    };
    struct ir_mem mem;
};

#define IR_MAX_SLOTS 64

struct ir {
    struct arena *arena;
    const struct tcg_guest *guest;
    struct ir_op *ops;       /* [0] unused */
    uint32_t n, cap;
    uint32_t n_exits;
    uint32_t n_insns;        /* guest instructions */
    uint32_t guest_bytes;
    bool uses_vec, uses_x87;
    uint32_t second_page;    /* 1 + number of the code page behind it that its instruction runs into: the entry proves it. 0: none */
    bool mode_bound;         /* the front end looked at a bit of tcg_front.mode_optional */
    bool no_chain;           /* cpu_run_one() and -d nochain: every exit returns to the loop */
    /* The builder does the forward half of the passes at once. Set between ir_begin() and the first op: */
    bool no_fold;            /* append what is told (tests); ir_optimise() then does all of it */
    uint32_t off_mask;       /* passes that are off, as for ir_optimise() */
    /* builder's own */
    ir_ref last_put, flags_value;
    ir_ref slot_value[IR_MAX_SLOTS];         /* what the slot holds, if known */
    ir_ref const_hash[32];   /* the const op last made for each hash of its value */
    struct ir_exit exits[64];    /* last: not cleared by ir_begin() */
};

/* passes.c */
struct ir_pass {
    const char *name;
    void (*run)(struct ir *ir);
};
extern const struct ir_pass ir_passes[];     /* NULL name ends */
/* off_mask: bit n: pass n is skipped; set ir.off_mask to the same before building. */
void ir_optimise(struct ir *ir, uint32_t off_mask);

/* verify.c: NULL, or a static text that says which rule is broken; *at = the op. */
const char *ir_verify(const struct ir *ir, uint32_t *at);

/* dump.c */
void ir_dump(const struct ir *ir, void (*line)(void *opaque, const char *text), void *opaque);

/* cc.c: reference semantics of flags kinds, GPR-only. */
uint32_t cc_eflags(unsigned kind, unsigned w, uint64_t a, uint64_t b, uint64_t c);
bool cc_test(unsigned cond, uint32_t eflags);

#endif
