/*
 * CPU models (models.c), the names of CPUID feature bits (features.c), and -cpu's syntax (model_options.c).
 */
#ifndef CPU_X86_MODELS_H
#define CPU_X86_MODELS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cpu/x86/state.h"

/* Feature registers of CPUID; the two of IA32_ARCH_CAPABILITIES (MSR 10Ah) have names of the same kind. */
enum x86_cpuid_word {
    W_1_EDX, W_1_ECX, W_7_EBX, W_7_ECX, W_7_EDX, W_EXT_EDX, W_EXT_ECX, W_D1_EAX, W_6_EAX, W_POWER_EDX, W_7_2_EDX, W_7_1_EAX, W_7_1_EDX,
    W_8_EBX, W_SVM_EDX, W_KVM_EAX, W_ARCH_LO, W_ARCH_HI,
    W_COUNT,
};
struct x86_word_place { uint32_t leaf, subleaf; uint8_t reg; };
extern const struct x86_word_place x86_word_places[W_COUNT];      /* leaf 0: not of CPUID */

struct x86_feature_name {
    uint8_t word, bit;
    uint8_t have;                /* enum x86_have */
    const char *name, *alias;    /* alias: others, space-separated; or NULL */
};
/* NO still means yes when insn.def has a %feature line for the bit: then the front end translates its instructions. */
enum x86_have { X86_NO, X86_YES, X86_ASK };      /* ASK: works, but is off in `max` */
extern const struct x86_feature_name x86_features[];
extern const unsigned x86_feature_count;

/* By name, "tsc_deadline" or "tsc-deadline", n characters of it; NULL. */
const struct x86_feature_name *x86_feature_find(const char *name, size_t n);
/* The bits that this emulator implements and this host can run, by enum x86_cpuid_word. */
void x86_features_offered(uint32_t words[W_COUNT]);
/* "CPUID.01H:ECX.avx [bit 28]", as QEMU's warnings name features. */
void x86_feature_describe(const struct x86_feature_name *f, char *buf, size_t size);

struct x86_cache_set;            /* cpuid.c */
extern const struct x86_cache_set x86_caches_generic, x86_caches_epyc, x86_caches_rome, x86_caches_milan;

struct x86_model {
    const char *name, *alias;    /* "Haswell-v2", "Haswell-noTSX" */
    const char *of;              /* a row further up of which this one is a variant: what is 0 or NULL here is as there */
    const char *vendor, *brand, *desc;
    const struct x86_cache_set *caches;
    uint32_t level, xlevel;
    uint16_t family, model, stepping;
    const char *features, *drop; /* names, space-separated; with `of`: added and taken away. "*": all we have that are on by default */
};
extern const struct x86_model x86_models[];
extern const unsigned x86_model_count;

/* The row itself or the one an alias or family name ("Haswell" is Haswell-v1) stands for; NULL. */
const struct x86_model *x86_model_find(const char *name);

/*
 * Sets up x for "model,+feat,-feat,feat=on|off,key=value". False: *err says what is wrong and what would be right. Features that are not
 * offered are taken away, with a warning on stderr for the first vCPU (check), or refused (enforce).
 */
bool x86_model_apply(struct x86_cpu *x, const char *text, GError **err);

#endif
