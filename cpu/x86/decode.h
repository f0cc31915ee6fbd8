/*
 * x86 instruction decoder: bytes -> struct x86_insn.
 *
 * All facts about encodings live in insn.def; tools/insngen turns that file into rows, index tables and enums
 * (generated into the build tree: cpu/x86/insn_features.h, insn_handlers.h, insn_rows.h). The decoder only walks these tables.
 * It resolves every operand, so that a translation handler never looks at prefixes, ModRM or SIB again.
 *
 * Left to the caller (they depend on CPU state, not on bytes): is row->need offered by the CPU model; CPL/IOPL and real-mode
 * checks (VEX-encoded rows, X86_PFX_VEX, are #UD in real and virtual-8086 mode); CR0.EM/TS and CR4.OSFXSR by the
 * X86_ROW_VEC/MMX/X87 marks; segment limits and canonical addresses.
 *
 * Spec: Intel SDM vol. 2 chapters 2 and appendices A, B; AMD APM vol. 3 chapter 1 and appendix A.
 */
#ifndef CPU_X86_DECODE_H
#define CPU_X86_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/insn_features.h" /* generated: enum x86_feature, enum x86_handler, enum x86_<handler>_arg */

#define X86_INSN_MAX 15 /* longest legal instruction, bytes */

enum x86_code_mode { X86_CODE16 = 16, X86_CODE32 = 32, X86_CODE64 = 64 };

/* What x86_decode() returns when it is not a length: all are negative. */
enum x86_decode_error {
    X86_DECODE_MORE = -3,     /* `avail` bytes do not hold the whole instruction: fetch more, or fault on the next byte */
    X86_DECODE_UD = -1,       /* #UD: no such row, LOCK not allowed here, or not valid in this mode */
    X86_DECODE_TOO_LONG = -2, /* more than 15 bytes: #GP(0) */
};

/* Register numbers as encoded (with REX/VEX extension bits): 0 = rax, cx, dx, bx, sp, bp, si, di, r8 ... r15. */
enum x86_gpr {
    X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
    X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
};

/* Segment registers as encoded in ModRM.reg and in the override prefixes. */
enum x86_seg { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_SEG_NONE = 0xff };

/* Condition numbers as encoded in Jcc, SETcc, CMOVcc (low opcode nibble); odd = negation of the even one below. */
enum x86_cc {
    X86_CC_O, X86_CC_NO, X86_CC_B, X86_CC_AE, X86_CC_E, X86_CC_NE, X86_CC_BE, X86_CC_A,
    X86_CC_S, X86_CC_NS, X86_CC_P, X86_CC_NP, X86_CC_L, X86_CC_GE, X86_CC_LE, X86_CC_G,
};

/* Bits of EFLAGS; the masks in struct x86_row are made of these. */
enum x86_eflags {
    X86_FL_C = 1 << 0, X86_FL_P = 1 << 2, X86_FL_A = 1 << 4, X86_FL_Z = 1 << 6, X86_FL_S = 1 << 7, X86_FL_T = 1 << 8,
    X86_FL_I = 1 << 9, X86_FL_D = 1 << 10, X86_FL_O = 1 << 11, X86_FL_IOPL = 3 << 12, X86_FL_N = 1 << 14,
    X86_FL_R = 1 << 16, X86_FL_V = 1 << 17, X86_FL_AC = 1 << 18, X86_FL_VIF = 1 << 19, X86_FL_VIP = 1 << 20,
    X86_FL_ID = 1 << 21,
    X86_FL_ARITH = X86_FL_O | X86_FL_S | X86_FL_Z | X86_FL_A | X86_FL_P | X86_FL_C,
};

enum x86_opnd_kind {
    X86_OPND_NONE,  /* past the last operand */
    X86_OPND_REG,   /* general register `reg`, low `size` bytes */
    X86_OPND_REG8H, /* ah ch dh bh: bits 8..15 of general register `reg` (reg is 0..3 already; size 1) */
    X86_OPND_MEM,   /* insn.mem; string operands (seg:rSI, es:rDI; seg:rBX of xlat, to which the
                       handler adds AL; seg:rDI of maskmovq) come this way too */
    X86_OPND_IMM,   /* insn.imm, already extended to 64 bits as the instruction says; the only or first immediate */
    X86_OPND_IMM2,  /* insn.imm2: second immediate (enter, extrq) */
    X86_OPND_REL,   /* branch displacement in insn.imm, sign-extended; target = end of instruction + imm, then cut to opsize */
    X86_OPND_PTR,   /* far pointer: offset insn.imm (zero-extended), selector insn.imm2 */
    X86_OPND_SEG,   /* segment register `reg` (enum x86_seg) */
    X86_OPND_CR,    /* control register 0..15 (only 0 2 3 4 8 decode) */
    X86_OPND_DR,    /* debug register 0..7 */
    X86_OPND_ST,    /* x87 ST(reg) */
    X86_OPND_MMX,   /* mm0..7 */
    X86_OPND_XMM,   /* xmm0..15, ymm0..15; size = bytes of it that are read or written (Wss 4, Wsd 8, else 16; 32 with VEX.L) */
};

/* Where the operand stands in the encoding: who re-emits an SSE/MMX row natively needs to know. */
enum x86_opnd_place {
    X86_AT_FIXED,  /* implied by the opcode (al, dx, st0, xmm0, string operands) */
    X86_AT_REG,    /* ModRM.reg */
    X86_AT_RM,     /* ModRM.rm, register or memory */
    X86_AT_OPCODE, /* low three bits of the opcode */
    X86_AT_VVVV,   /* VEX.vvvv */
    X86_AT_IMM,    /* immediate, displacement, far pointer, moffs */
};

struct x86_opnd {
    uint8_t kind;  /* enum x86_opnd_kind */
    uint8_t size;  /* bytes; 0 where the operand is an address only or larger than 255 (lea, invlpg, fxsave, xsave) */
    uint8_t reg;   /* register number for register kinds */
    uint8_t place; /* enum x86_opnd_place */
};

/* The instruction's memory operand (at most one is general; movs/cmps have two, see x86_insn.mem2). */
struct x86_mem {
    int64_t disp;    /* sign-extended; moffs: zero-extended offset */
    int8_t base;     /* general register or -1 */
    int8_t index;    /* general register or -1 */
    uint8_t scale;   /* log2: 0..3 */
    uint8_t vindex;  /* vector register: index of a gather */
    uint8_t seg;     /* segment in effect (enum x86_seg): override, else SS for sp/bp bases, else DS. In 64-bit mode the
                        overrides of ES CS SS DS are ignored already, so only FS and GS have a base there. */
    bool rip_rel;    /* address = end of instruction + disp (base and index are -1) */
    uint8_t size;    /* bytes accessed, as in the operand; 0: unknown here */
};
/* The effective address is base + (index << scale) + disp, cut to insn.addrsize. */

enum x86_prefix {
    X86_PFX_LOCK = 1 << 0,
    X86_PFX_REP = 1 << 1,   /* F3 was the last of F2/F3, and it did not select the row */
    X86_PFX_REPNE = 1 << 2, /* F2 likewise */
    X86_PFX_66 = 1 << 3,    /* seen (also if REX.W outweighs it or it selected the row) */
    X86_PFX_67 = 1 << 4,
    X86_PFX_REX = 1 << 5,   /* a REX that took effect */
    X86_PFX_VEX = 1 << 6,
};

enum x86_map {
    X86_MAP_0, X86_MAP_0F, X86_MAP_0F38, X86_MAP_0F3A,
    X86_MAP_V0F, X86_MAP_V0F38, X86_MAP_V0F3A, /* VEX */
    X86_MAP_COUNT,
}; /* x87 (D8..DF) lies in map 0 */

/* Mandatory prefix of a row. */
enum x86_row_prefix { X86_RP_ANY, X86_RP_NP, X86_RP_66, X86_RP_F3, X86_RP_F2, X86_RP_N6 /* none or 66 */ };

enum x86_row_mode { X86_ROW_ALL, X86_ROW_NO64, X86_ROW_ONLY64 };

/* Marks of a row. */
enum x86_row_mark {
    X86_ROW_LOCK = 1 << 0,     /* LOCK allowed if the destination is memory (the decoder checks) */
    X86_ROW_SYS = 1 << 1,      /* not for the user-mode test generator: privileged, or depends on I/O rights or the system */
    X86_ROW_VEC = 1 << 2,      /* touches xmm state: #UD if CR0.EM or !CR4.OSFXSR (VEX: if XCR0 does not have AVX on), #NM if CR0.TS */
    X86_ROW_MMX = 1 << 3,      /* touches mm state: #UD if CR0.EM, #NM if CR0.TS, #MF if an x87 exception is pending */
    X86_ROW_X87 = 1 << 4,      /* x87: #NM if CR0.EM or CR0.TS (fwait: only if MP and TS); #MF if pending, unless NOWAIT */
    X86_ROW_NOWAIT = 1 << 5,   /* x87 control instruction that does not check for pending exceptions */
    X86_ROW_ALIGN16 = 1 << 6,  /* a memory operand not on 16 bytes (VEX: not on its own size) is #GP(0) */
    X86_ROW_D64 = 1 << 7,      /* 64-bit mode: operand size is 8, 66 makes it 2 */
    X86_ROW_F64 = 1 << 8,      /* 64-bit mode: operand size is 8 whatever 66 says (near branches as Intel does) */
    X86_ROW_ELSE_NP = 1 << 9,  /* if row->need is absent the prefix is ignored: see x86_decode_plain() */
    X86_ROW_STRING = 1 << 10,  /* REP/REPNE has its meaning */
    X86_ROW_ENDS = 1 << 11,    /* always ends a region: control leaves, or the mode may change */
    X86_ROW_SHIFT = 1 << 12,   /* test hint: flags unchanged if the (masked) count is 0; undefined bits depend on the count */
    X86_ROW_FPEXC = 1 << 13,   /* may raise a numeric exception: #XM (vec) or #MF (x87) */
    X86_ROW_RAND = 1 << 14,    /* test hint: result is not a function of the operands (rdtsc, rdrand, cpuid, sgdt) */
};

/* One line of insn.def. */
struct x86_row {
    const char *name; /* mnemonic; "cbw/cwde/cdqe" = by operand size 2/4/8: see x86_insn_name() */
    uint16_t line;    /* in insn.def */
    uint16_t marks;   /* enum x86_row_mark */
    uint8_t handler;  /* enum x86_handler: X86_H_<handler> */
    uint8_t arg;      /* alu(ADD) gives X86_ALU_ADD of enum x86_alu_arg; rows written "70+cc" have enum x86_cc; else 0 */
    uint8_t need;     /* enum x86_feature; X86_FEAT_NONE = every CPU we model */
    uint8_t modes;    /* enum x86_row_mode */
    uint8_t map;      /* enum x86_map */
    uint8_t opcode;   /* first opcode of the row; insn.opcode has the actual one */
    uint8_t prefix;   /* enum x86_row_prefix */
    uint8_t opnd[4];  /* operand letters, index into the generated list */
    /* EFLAGS masks; undefined ones are in fl_undef only. Rows marked SHIFT or STRING *may* write: a count of 0 leaves flags alone. */
    uint32_t fl_read, fl_written, fl_undef;
};

struct x86_insn {
    const struct x86_row *row;
    uint8_t len;      /* bytes */
    uint8_t mode;     /* enum x86_code_mode */
    uint8_t opsize;   /* 2, 4, 8: by mode, 66, REX.W and the row's d64/f64; also for rows that do not use it */
    uint8_t addrsize; /* 2, 4, 8 */
    uint8_t prefixes; /* enum x86_prefix */
    uint8_t seg;      /* override as written, or X86_SEG_NONE (branch hints, too) */
    uint8_t rex;      /* 0 or 0x40..0x4f; from VEX: the same bits */
    uint8_t vex_l;    /* VEX.L */
    uint8_t vex_w;    /* VEX.W as it stands, in any mode */
    uint8_t map;      /* enum x86_map */
    uint8_t opcode;
    uint8_t modrm;    /* 0 if the row has none */
    uint8_t opcode_at;/* index in bytes[] of the opcode byte; the ModRM byte follows it */
    uint8_t nopnd;    /* operands in use */
    struct x86_opnd op[4];
    struct x86_mem mem;  /* valid if an operand is X86_OPND_MEM */
    struct x86_mem mem2; /* movs, cmps: the second operand's (op[1]) memory */
    int64_t imm, imm2;
    uint8_t bytes[16];   /* the first `len` are the instruction, the rest is 0 */
};

/*
 * Decodes the instruction at `bytes`, of which `avail` can be read (up to 15 are looked at). Returns its length (1..15) with *i
 * filled, or an enum x86_decode_error; then only i->len (bytes looked at), i->mode and i->bytes mean anything.
 * Pure, no allocation, any thread.
 */
int x86_decode(struct x86_insn *i, const uint8_t *bytes, unsigned avail, enum x86_code_mode mode);

/*
 * For a row marked X86_ROW_ELSE_NP whose feature the CPU lacks (tzcnt, lzcnt ...): decodes *i again as such a CPU does, ignoring
 * the mandatory prefix. Returns the length or an error as x86_decode().
 */
int x86_decode_plain(struct x86_insn *i);

/* Mnemonic of a decoded instruction ("cdqe" of "cbw/cwde/cdqe"), without prefixes; writes at most `size` bytes with the final 0. */
void x86_insn_name(const struct x86_insn *i, char *buf, unsigned size);

/* All rows, for tests, coverage lists and the disassembler. */
extern const struct x86_row x86_rows[];
extern const unsigned x86_row_count;

/* The i'th operand letter of a row as in insn.def ("Ev"), or NULL. */
const char *x86_row_opnd(const struct x86_row *row, unsigned n);

/* The %feature lines of insn.def, by enum x86_feature; X86_FEAT_NONE has name "-" and leaf 0. */
struct x86_feature_bit {
    const char *name;       /* "SSE2" */
    uint32_t leaf, subleaf; /* CPUID eax, ecx */
    uint8_t reg, bit;       /* 0 = eax, ebx, ecx, edx */
};
extern const struct x86_feature_bit x86_feature_bits[X86_FEAT_COUNT];

static inline bool x86_insn_rep(const struct x86_insn *i) { return i->prefixes & (X86_PFX_REP | X86_PFX_REPNE); }
static inline bool x86_insn_lock(const struct x86_insn *i) { return i->prefixes & X86_PFX_LOCK; }
static inline bool x86_insn_has_mem(const struct x86_insn *i)
{
    return i->op[0].kind == X86_OPND_MEM || i->op[1].kind == X86_OPND_MEM || i->op[2].kind == X86_OPND_MEM;
}

#endif
