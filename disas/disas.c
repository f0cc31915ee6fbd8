/*
 * Disassembly: see disas/disas.h.
 */
#include "disas/disas.h"

#include <capstone/capstone.h>
#include <inttypes.h>

/* Bytes as shown: the longest x86 instruction has 15, the usual one less than 8. */
enum { SHOWN_COLUMN = 8 };

static const struct mode_row {
    enum disas_mode mode;
    cs_arch arch;
    cs_mode cs;
    unsigned unit;        /* bytes of what cannot be decoded */
} modes[] = {
    { DISAS_X86_16, CS_ARCH_X86, CS_MODE_16, 1 },
    { DISAS_X86_32, CS_ARCH_X86, CS_MODE_32, 1 },
    { DISAS_X86_64, CS_ARCH_X86, CS_MODE_64, 1 },
    { DISAS_ARM64, CS_ARCH_ARM64, CS_MODE_ARM, 4 },
};

static const struct mode_row *mode_find(enum disas_mode mode)
{
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (modes[i].mode == mode) {
            return &modes[i];
        }
    }
    return NULL;
}

static void line_start(GString *out, uint64_t pc, const uint8_t *bytes, size_t n)
{
    g_string_append_printf(out, "0x%016" PRIx64 ":  ", pc);
    for (size_t i = 0; i < MAX(n, (size_t)SHOWN_COLUMN); i++) {
        if (i < n) {
            g_string_append_printf(out, "%02x ", bytes[i]);
        } else {
            g_string_append(out, "   ");
        }
    }
    g_string_append_c(out, ' ');
}

static size_t print_bytes(GString *out, uint64_t pc, const uint8_t *bytes, size_t len, size_t unit)
{
    size_t n = MIN(unit, len);

    line_start(out, pc, bytes, n);
    g_string_append(out, ".byte ");
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(out, "%s0x%02x", i ? ", " : "", bytes[i]);
    }
    g_string_append_c(out, '\n');
    return n;
}

size_t disas_print(GString *out, enum disas_mode mode, uint64_t pc, const uint8_t *bytes, size_t len, unsigned max)
{
    csh handle = 0;
    cs_insn *insn = NULL;
    size_t at = 0, left, start;
    uint64_t address;
    const uint8_t *code;
    const struct mode_row *row = mode_find(mode);
    bool ok = row && cs_open(row->arch, row->cs, &handle) == CS_ERR_OK;

    insn = ok ? cs_malloc(handle) : NULL;
    for (unsigned n = 0; at < len && (!max || n < max); n++) {
        code = bytes + at;
        left = len - at;
        address = pc + at;
        start = at;
        if (insn && cs_disasm_iter(handle, &code, &left, &address, insn)) {
            line_start(out, pc + start, bytes + start, insn->size);
            g_string_append_printf(out, "%s%s%s\n", insn->mnemonic, *insn->op_str ? " " : "", insn->op_str);
            at += insn->size;
        } else {
            at += print_bytes(out, pc + start, bytes + start, left, row ? row->unit : 1);
        }
    }
    if (insn) {
        cs_free(insn, 1);
    }
    if (ok) {
        cs_close(&handle);
    }
    return at;
}
