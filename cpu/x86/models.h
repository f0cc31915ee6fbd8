/*
 * CPU models and CPUID feature bits. See models.c.
 */
#ifndef CPU_X86_MODELS_H
#define CPU_X86_MODELS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/state.h"

/* Feature registers of CPUID. */
enum x86_cpuid_word {
    W_1_EDX, W_1_ECX, W_7_EBX, W_7_ECX, W_7_EDX, W_EXT_EDX, W_EXT_ECX, W_D1_EAX, W_6_EAX, W_POWER_EDX, W_7_2_EDX,
    W_COUNT,
};
struct x86_word_place { uint32_t leaf, subleaf; uint8_t reg; };
extern const struct x86_word_place x86_word_places[W_COUNT];

struct x86_model {
    const char *name, *desc, *vendor, *brand;
    uint32_t level, xlevel;
    uint16_t family, model, stepping;
    const char *features;        /* names, space-separated; "*": all we have that are on by default */
};

/*
 * Sets up x for "model,+feat,-feat,feat=on|off,key=value". False: *err says what is wrong and what would be right.
 */
bool x86_model_apply(struct x86_cpu *x, const char *text, GError **err);

#endif
