/*
 * Disassembly for logs and monitors, by capstone. What capstone does not know is printed as .byte.
 */
#ifndef DISAS_DISAS_H
#define DISAS_DISAS_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

enum disas_mode { DISAS_X86_16, DISAS_X86_32, DISAS_X86_64, DISAS_ARM64, DISAS_MODE_COUNT };

/*
 * Appends one line for each instruction of bytes[0..len), which lie at pc: "0xPC:  BYTES  mnemonic operands".
 * Stops after max instructions (0: no limit). An instruction that len cuts off is printed as .byte.
 * Returns the bytes used. Any thread.
 */
size_t disas_print(GString *out, enum disas_mode mode, uint64_t pc, const uint8_t *bytes, size_t len, unsigned max);

#endif
