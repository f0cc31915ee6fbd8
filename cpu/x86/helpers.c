/*
 * Descriptors of the helpers, made from helpers.def. The functions lie in helpers_*_gpr.c (general registers only) and helpers_*.c.
 */
#include "cpu/x86/helpers.h"

#define RAISE (IR_EFF_GPR | IR_EFF_FAULTS)
#define XFER (RAISE | IR_EFF_READS | IR_EFF_WRITES | IR_EFF_FLAGS_R | IR_EFF_FLAGS_W | IR_EFF_CTX | IR_EFF_MODE)

#define HELPER(name, args, ret, effects) \
    const struct ir_helper x86_helper_##name = {#name, (void *)x86_do_##name, args, ret, effects};
#include "cpu/x86/helpers.def"
