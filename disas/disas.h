/*
 * Disassembly for logs and monitors, by capstone. What capstone does not know is printed as .byte.
 */
#ifndef DISAS_DISAS_H
#define DISAS_DISAS_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* What cpu_ops.disas_mode answers: cpu/ does not see this header, so the numbers are fixed. x86: bits of the code segment. */
enum disas_mode { DISAS_NONE = 0, DISAS_X86_16 = 16, DISAS_X86_32 = 32, DISAS_X86_64 = 64, DISAS_ARM64 = 164 };

/*
 * Appends one line for each instruction of bytes[0..len), which lie at pc: "0xPC:  BYTES  mnemonic operands".
 * Stops after max instructions (0: no limit). An instruction that len cuts off is printed as .byte.
 * Returns the bytes used. Any thread.
 */
size_t disas_print(GString *out, enum disas_mode mode, uint64_t pc, const uint8_t *bytes, size_t len, unsigned max);

#endif
