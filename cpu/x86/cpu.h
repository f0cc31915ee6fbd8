/*
 * The x86 CPU's public face, for boards and main/.
 */
#ifndef CPU_X86_CPU_H
#define CPU_X86_CPU_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/irq.h"

struct cpu;
struct cpu_ops;
struct machine;
struct x86_entry;
struct x86_lapic;

extern const struct cpu_ops x86_cpu_ops;

/* Makes vCPU `index` with the model text of -cpu ("max,+feat,-feat"; NULL: max). NULL with *err on failure. Machine lock. */
struct cpu *x86_cpu_create(struct machine *m, unsigned index, const char *model, GError **err);
/* APIC id of vCPU `index`, by the machine's sockets/cores/threads as CPUID leaf 0Bh tells them. */
uint32_t x86_apic_id(struct machine *m, unsigned index);
/* Its local APIC (core/x86_intc.h); before the first reset. */
void x86_cpu_connect_intc(struct cpu *c, struct x86_lapic *lapic);
/* Writes *entry into the registers, and MTRRs as firmware leaves them: for loaders, after the CPU's reset. vCPU parked, machine lock. */
void x86_cpu_apply_entry(struct cpu *c, const struct x86_entry *entry);
/* A20 gate of this vCPU: false masks address bit 20. vCPU's thread or parked; flushes the TLB. */
void x86_cpu_set_a20(struct cpu *c, bool open);

/*
 * x87 errors the PC/AT way, for CR0.NE = 0: the vCPU raises `line` (to IRQ 13) and waits for an interrupt; x86_cpu_ignne(), which a write to
 * port F0h calls, lowers it and lets the instruction pass. vCPU's thread or parked, machine lock.
 */
void x86_cpu_connect_ferr(struct cpu *c, struct irq_line line);
void x86_cpu_ignne(struct cpu *c);

/* Names for -cpu: the n'th, NULL at the end; and -cpu help. */
const char *x86_model_name(unsigned n);
void x86_models_help(FILE *out);

#endif
