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
};

#define HELPER(name, args, ret, effects)                                                              \
    uint64_t x86_do_##name(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d);      \
    extern const struct ir_helper x86_helper_##name;
#include "cpu/x86/fpu_helpers.def"
#undef HELPER

#endif
