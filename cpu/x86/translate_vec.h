/* What the vector, MMX and x87 parts of the front end share. */
#ifndef CPU_X86_TRANSLATE_VEC_H
#define CPU_X86_TRANSLATE_VEC_H

#include "cpu/x86/translate_priv.h"

/* How operand 0 is used. */
enum tr_native_use { TR_WRITE, TR_READ_WRITE, TR_READ };

/* The instruction at hand as a native op with its operands as the row says. A general register that is written is put. The op's value. */
ir_ref tr_native(struct x86_tr *t, enum tr_native_use use);
/* Memory operand of a native op: alignment as the row demands. */
struct ir_mem tr_native_mem(struct x86_tr *t, unsigned size, bool write);
bool tr_maskmov(struct x86_tr *t, bool mmx);

#endif
