/*
 * The way out of generated code for C that it called. General registers only.
 */
#include "tcg/x86_64/cg_priv.h"

void tcg_unwind(void *state, uint32_t reason)
{
    struct tcg_scratch *s = (struct tcg_scratch *)((char *)state + x86_host.guest->scratch_offset);

    tcg_interp_unwind(s, reason);
    s->exit_reason = reason;
    ((void (*)(void *))x86_host.unwind)(state);
    __builtin_unreachable();
}
