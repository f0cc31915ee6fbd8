/* Between interp.c and interp_native.c. */
#ifndef TCG_INTERP_PRIV_H
#define TCG_INTERP_PRIV_H

#include "tcg/backend.h"

/* Runs a `native` op; address and integer input are ready. Returns the integer result: of the IR_NR_INT_OUT field, else
 * the host's EFLAGS after the instruction (comisd, ptest). */
uint64_t interp_native(void *state, const struct ir *ir, const struct ir_op *op, uint64_t addr, uint64_t int_in,
                       const struct tcg_interp_mem *mem);

#endif
