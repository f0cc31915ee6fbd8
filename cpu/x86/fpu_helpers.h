/* The helpers of fpu_helpers.def: prototypes and descriptors, as helpers.h has them for helpers.def. */
#ifndef CPU_X86_FPU_HELPERS_H
#define CPU_X86_FPU_HELPERS_H

#include "tcg/emit.h"

struct x86_state;

/* What a pcmpXstrX is, in one word (bit positions). */
enum x86_pcmpstr_form {
    X86_PS_IMM = 0,           /* 8 bits: the immediate */
    X86_PS_REG = 8,           /* 5 bits: first operand */
    X86_PS_RM = 16,           /* 5 bits: second operand, if not in memory */
    X86_PS_MEM = 24,          /* second operand is in the arguments */
    X86_PS_EXPLICIT = 25,     /* lengths in eax and edx */
    X86_PS_LONG = 26,         /* ... in rax and rdx */
    X86_PS_MASK = 27,         /* result is a mask in xmm0, not an index */
    X86_PS_VEX = 28,          /* ... whose upper half becomes zero */
};

/* A masked access, in one word (bit positions). */
enum x86_masked_form {
    X86_MF_SEG = 0,           /* 3 bits: enum x86_seg */
    X86_MF_HOW = 3,           /* 2 bits: */
    X86_MF_FLAT = 0,          /*   offset is the linear address */
    X86_MF_BASE = 1,          /*   the segment has a base (FS, GS in 64-bit code) */
    X86_MF_LIMITS = 2,        /*   base and limit */
    X86_MF_ADDRSIZE = 5,      /* 4 bits: bytes */
    X86_MF_SCALE = 9,         /* 2 bits: of the index */
    X86_MF_LONG = 11,         /* 32 bytes, not 16 */
    X86_MF_WIDE = 12,         /* lanes of 8 bytes, not 4 */
    X86_MF_QINDEX = 13,       /* indices of 8 bytes, not 4 */
};

/* Places in state.native_tmp. */
enum { X86_TMP_DATA = 0, X86_TMP_MASK = 32, X86_TMP_INDEX = 64 };

#define HELPER(name, args, ret, effects)                                                              \
    uint64_t x86_do_##name(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d);      \
    extern const struct ir_helper x86_helper_##name;
#include "cpu/x86/fpu_helpers.def"
#undef HELPER

#endif
