/*
 * The way out of the interpreter for C that it called. General registers only, like the slow paths that use it.
 */
#include "tcg/backend.h"

#ifdef CONFIG_SANITIZE
/* The frames that are left here never return: the sanitizer must forget what it knows of them. */
void __asan_handle_no_return(void);
#endif

void tcg_interp_unwind(struct tcg_scratch *scratch, uint32_t reason)
{
    if (scratch->interp_jmp) {
        scratch->exit_reason = reason;
#ifdef CONFIG_SANITIZE
        __asan_handle_no_return();
#endif
        __builtin_longjmp(scratch->interp_jmp, 1);
    }
}
