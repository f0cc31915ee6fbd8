/*
 * The translator as an engine: core/ drives it through accel_tcg, main/ names it in the list of engines.
 */
#ifndef ACCEL_TCG_TCG_ACCEL_H
#define ACCEL_TCG_TCG_ACCEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/accel.h"

extern const struct accel_ops accel_tcg;

/*
 * Who turns bytes into text for -d in_asm and -d out_asm. `mode` is what cpu_ops.disas_mode says, or TCG_DISAS_HOST for
 * generated code. Set once by main/ before the machine is built; without it the log shows bytes.
 */
#define TCG_DISAS_HOST (~0u)
typedef void (*tcg_disassembler)(FILE *out, unsigned mode, uint64_t pc, const uint8_t *bytes, size_t len);
void tcg_set_disassembler(tcg_disassembler fn);

#endif
