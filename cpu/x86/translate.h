/* The x86 front end: guest bytes to IR. Called by accel/tcg through tcg_front. */
#ifndef CPU_X86_TRANSLATE_H
#define CPU_X86_TRANSLATE_H

#include "tcg/emit.h"

/* Slots and their homes (guest.c). */
extern const struct tcg_guest x86_guest;

/* Translates from src->offset until the region ends; see struct tcg_source for what comes back. */
void x86_translate(struct ir *ir, struct tcg_source *src);

#endif
