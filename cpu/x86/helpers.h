/*
 * The helpers of helpers.def: prototypes of the functions, and the descriptors that ir_call() takes.
 */
#ifndef CPU_X86_HELPERS_H
#define CPU_X86_HELPERS_H

#include <stdint.h>

#include "tcg/emit.h"

struct x86_state;

#define HELPER(name, args, ret, effects)                                                              \
    uint64_t x86_do_##name(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d);      \
    extern const struct ir_helper x86_helper_##name;
#include "cpu/x86/helpers.def"
#undef HELPER

#endif
