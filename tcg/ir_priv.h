/*
 * What the builder, the passes and the interpreter share: evaluation and simplification of single operations.
 */
#ifndef TCG_IR_PRIV_H
#define TCG_IR_PRIV_H

#include "tcg/ir.h"

/* Bits of off_mask, in the order of ir_passes. */
enum ir_pass_bit { PASS_SLOTS = 1, PASS_FLAGS = 2, PASS_DCE = 4, PASS_FOLD = 8, PASS_ALL = 15 };

static inline uint64_t ir_mask(unsigned w) { return w == IR_64 ? ~0ull : (1ull << ir_bits(w)) - 1; }
static inline bool ir_fits32(int64_t v) { return v == (int32_t)v; }

/* The integer result of a PURE op without flags input, from its inputs. Results of widths 8 and 16 come zero-extended
 * here, although the IR leaves their upper bits undefined. False: not an op of that sort (or `hi`, flags, ...). */
bool ir_eval(const struct ir_op *op, uint64_t a, uint64_t b, uint64_t *result);
uint64_t ir_eval_hi(unsigned op, unsigned w, uint64_t a, uint64_t b);     /* second result of mulu2, muls2 */

/*
 * Makes *op simpler. Returns a value that stands for it, or 0: then *op is to be used, possibly changed (into a const,
 * too). Never needs further ops. Constant inputs are const ops.
 */
ir_ref ir_fold(const struct ir *ir, struct ir_op *op);

/* Bits 64..n of the value are known to be zero: returns n. 64 for unknown and for undefined upper bits. */
unsigned ir_known_bits(const struct ir *ir, ir_ref v);
/* All 64 bits of the value are defined. */
bool ir_defined64(const struct ir_op *op);

/* The op can leave the region by an exception (helpers and native ops by what they declare). */
bool ir_may_fault(const struct ir_op *op);

#endif
