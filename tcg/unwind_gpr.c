/*
 * The way out of the interpreter for C that it called. General registers only, like the slow paths that use it.
 */
#include "tcg/backend.h"

void tcg_interp_unwind(struct tcg_scratch *scratch, uint32_t reason)
{
    if (scratch->interp_jmp) {
        scratch->exit_reason = reason;
        __builtin_longjmp(scratch->interp_jmp, 1);
    }
}
