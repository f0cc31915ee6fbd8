/*
 * CPUID bits that a guest can be offered only on a host that has them too: instructions of theirs are run as the host's own (IR_native).
 */
#ifndef CPU_X86_HOST_FEATURES_H
#define CPU_X86_HOST_FEATURES_H

#include <stdint.h>

#include "cpu/x86/models.h"

/* Bits of a CPUID word that this host cannot run. */
uint32_t x86_host_lacks(enum x86_cpuid_word word);

#endif
