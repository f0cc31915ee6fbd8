/* The pieces that struct tcg_backend is made of. */
#ifndef TCG_X86_64_HOST_PRIV_H
#define TCG_X86_64_HOST_PRIV_H

#include "tcg/backend.h"

#define KILL_BYTES 7

bool x86_host_init(struct tcg_codebuf *cb, const struct tcg_guest *guest, const struct tcg_runtime *rt, GError **err);
bool x86_compile(struct tcg_codebuf *cb, struct ir *ir, struct arena *a, struct tcg_code *out);
void x86_host_enter(void *state, void *code);
void x86_patch(struct tcg_codebuf *cb, uint8_t *rx, const struct tcg_code_exit *e, const uint8_t *target, uint32_t page_id);
void x86_kill(struct tcg_codebuf *cb, uint8_t *rx, uint32_t size);

#endif
