/*
 * Looking at guest memory and ports: x, xp, print, memsave, pmemsave, i, o. Of memory only RAM and ROM are read: looking must not touch registers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/accel.h"
#include "core/dma.h"
#include "disas/disas.h"
#include "monitor/monitor.h"
#include "monitor/monitor_priv.h"

enum { COUNT_MAX = 1 << 20, INSN_MAX = 16 };

struct format {
    unsigned count, size;        /* size: bytes of an item */
    char letter;
};

/* --- the format: "/4xg" --- */

static bool parse_format(const char *p, struct format *f, GError **err)
{
    char *end;

    *f = (struct format){ 1, 0, 'x' };
    if (p && g_ascii_isdigit(*p)) {
        f->count = (unsigned)MIN(g_ascii_strtoull(p, &end, 10), (guint64)COUNT_MAX);
        p = end;
    }
    for (; p && *p; p++) {
        switch (*p) {
        case 'b': f->size = 1; break;
        case 'h': f->size = 2; break;
        case 'w': f->size = 4; break;
        case 'g': case 'L': f->size = 8; break;
        case 'x': case 'd': case 'u': case 'o': case 'i': case 'c': f->letter = *p; break;
        default:
            return error_set(err, EMU_ERROR_INVALID, "'%c' is no format letter (x d u o c i, b h w g)", *p);
        }
    }
    if (f->letter == 'c') {
        f->size = 1;
    }
    return true;
}

/* --- reading --- */

/* Bytes read; less than len where memory ends. */
static size_t read_memory(struct cpu *c, bool physical, uint64_t addr, uint8_t *buf, size_t len)
{
    size_t done = 0, n;
    uint64_t pa;

    while (done < len) {
        n = MIN(len - done, PAGE_SIZE - ((addr + done) & (PAGE_SIZE - 1)));
        pa = addr + done;
        if (!physical && !c->ops->debug_translate(c, addr + done, &pa)) {
            break;
        }
        if (!dma_read(c->memory, pa, buf + done, n)) {
            break;
        }
        done += n;
    }
    return done;
}

static void append_item(GString *out, const struct format *f, uint64_t v)
{
    int digits = (int)f->size * 2;

    switch (f->letter) {
    case 'x': g_string_append_printf(out, " 0x%0*" PRIx64, digits, v); break;
    case 'o': g_string_append_printf(out, " 0%" PRIo64, v); break;
    case 'u': g_string_append_printf(out, " %" PRIu64, v); break;
    case 'd': g_string_append_printf(out, " %" PRId64, (int64_t)(v << (64 - 8 * f->size)) >> (64 - 8 * f->size)); break;
    case 'c':
        if (v >= ' ' && v < 127) {
            g_string_append_printf(out, " '%c'", (char)v);
        } else {
            g_string_append_printf(out, " '\\x%02x'", (unsigned)v);
        }
        break;
    }
}

static void show_items(struct cpu *c, bool physical, uint64_t addr, const struct format *f, GString *out)
{
    unsigned per_line = f->letter == 'c' ? 8 : 16 / f->size;

    for (unsigned i = 0; i < f->count; i++) {
        uint64_t v = 0;

        if (i % per_line == 0) {
            g_string_append_printf(out, "%s%016" PRIx64 ":", i ? "\n" : "", addr);
        }
        if (read_memory(c, physical, addr, (uint8_t *)&v, f->size) != f->size) {
            g_string_append(out, " Cannot access memory\n");
            return;
        }
        append_item(out, f, GUINT64_FROM_LE(v));
        addr += f->size;
    }
    g_string_append_c(out, '\n');
}

static void show_code(struct cpu *c, bool physical, uint64_t addr, unsigned count, GString *out)
{
    unsigned mode = c->ops->disas_mode ? c->ops->disas_mode(c) : DISAS_NONE;
    uint8_t bytes[INSN_MAX];
    size_t n;

    for (; count; count--) {
        n = read_memory(c, physical, addr, bytes, sizeof(bytes));
        if (!n) {
            g_string_append_printf(out, "0x%016" PRIx64 ":  Cannot access memory\n", addr);
            return;
        }
        addr += disas_print(out, (enum disas_mode)mode, addr, bytes, n, 1);
    }
}

struct examine {
    uint64_t addr;
    struct format format;
    bool physical;
    GString *out;
};

/* On the vCPU's thread: its registers and page tables are only consistent there. */
static void examine(struct cpu *c, void *opaque)
{
    struct examine *x = opaque;

    if (c->machine->accel && c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
    if (x->format.letter == 'i') {
        show_code(c, x->physical, x->addr, x->format.count, x->out);
    } else {
        show_items(c, x->physical, x->addr, &x->format, x->out);
    }
}

static bool run_examine(struct machine *m, const struct command_args *a, bool physical, GString *out, GError **err)
{
    struct examine x = { .addr = args_number(a, "addr", 0), .physical = physical, .out = out };

    if (!parse_format(args_string(a, "fmt"), &x.format, err)) {
        return false;
    }
    x.format.size = x.format.size ? x.format.size : 4;
    cpu_run_on(monitor_cpu(m), examine, &x, false);
    return true;
}

static bool do_x(struct machine *m, const struct command_args *a, GString *out, GError **err) { return run_examine(m, a, false, out, err); }
static bool do_xp(struct machine *m, const struct command_args *a, GString *out, GError **err) { return run_examine(m, a, true, out, err); }

static bool do_print(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    uint64_t v = args_number(a, "val", 0);
    struct format f;

    (void)m;
    if (!parse_format(args_string(a, "fmt"), &f, err)) {
        return false;
    }
    switch (f.letter) {
    case 'o': g_string_append_printf(out, "0%" PRIo64 "\n", v); break;
    case 'u': g_string_append_printf(out, "%" PRIu64 "\n", v); break;
    case 'd': g_string_append_printf(out, "%" PRId64 "\n", (int64_t)v); break;
    case 'c': g_string_append_printf(out, "'%c'\n", v >= ' ' && v < 127 ? (char)v : '.'); break;
    case 'i': return error_set(err, EMU_ERROR_INVALID, "'i' is no format for a value");
    default: g_string_append_printf(out, "0x%" PRIx64 "\n", v); break;
    }
    return true;
}

/* --- memory to files --- */

enum { SAVE_PIECE = 65536 };

struct save {
    FILE *file;
    uint64_t addr, size;
    bool physical;
    GError **err;
    bool ok;
};

static void save(struct cpu *c, void *opaque)
{
    struct save *s = opaque;
    g_autofree uint8_t *buf = g_malloc(SAVE_PIECE);

    while (s->ok && s->size) {
        size_t want = MIN(s->size, (uint64_t)SAVE_PIECE), n = read_memory(c, s->physical, s->addr, buf, want);

        if (n < want) {
            s->ok = error_set(s->err, EMU_ERROR_INVALID, "Invalid addr 0x%016" PRIx64 "/size %" PRIu64 " specified", s->addr, s->size);
        } else if (fwrite(buf, 1, n, s->file) != n) {
            s->ok = error_set(s->err, EMU_ERROR_HOST, "writing memory to the file: %s", g_strerror(errno));
        }
        s->addr += n;
        s->size -= n;
    }
}

static bool run_save(struct machine *m, const struct command_args *a, bool physical, GError **err)
{
    const char *path = args_string(a, "filename");
    struct save s = { fopen(path, "wbe"), args_number(a, "val", 0), args_number(a, "size", 0), physical, err, true };

    if (!s.file) {
        return error_set(err, EMU_ERROR_HOST, "Could not open '%s': %s", path, g_strerror(errno));
    }
    cpu_run_on(monitor_cpu(m), save, &s, false);
    if (fclose(s.file) && s.ok) {
        s.ok = error_set(err, EMU_ERROR_HOST, "writing '%s': %s", path, g_strerror(errno));
    }
    return s.ok;
}

static bool do_memsave(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return run_save(m, a, false, err);
}

static bool do_pmemsave(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)out;
    return run_save(m, a, true, err);
}

/* --- addresses --- */

static bool do_gva2gpa(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    struct cpu *c = monitor_cpu(m);
    uint64_t va = args_number(a, "addr", 0), pa;

    (void)err;
    if (c->ops->debug_translate && c->ops->debug_translate(c, va, &pa)) {
        g_string_append_printf(out, "gpa: %#" PRIx64 "\n", pa);
    } else {
        g_string_append(out, "Unmapped\n");
    }
    return true;
}

/* --- ports --- */

static bool do_in(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    uint64_t port = args_number(a, "addr", 0) & 0xffff, v = 0;
    struct format f;

    if (!parse_format(args_string(a, "fmt"), &f, err)) {
        return false;
    }
    f.size = MIN(f.size ? f.size : 4, 4u);
    as_read(&m->io, port, f.size, &v);
    g_string_append_printf(out, "port%c[0x%04x] = 0x%0*" PRIx64 "\n", f.size == 1 ? 'b' : f.size == 2 ? 'w' : 'l', (unsigned)port, (int)f.size * 2,
                           v & (0xffffffffu >> (32 - 8 * f.size)));
    return true;
}

static bool do_out(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    struct format f;

    (void)out;
    if (!parse_format(args_string(a, "fmt"), &f, err)) {
        return false;
    }
    as_write(&m->io, args_number(a, "addr", 0) & 0xffff, MIN(f.size ? f.size : 4, 4u), args_number(a, "val", 0));
    return true;
}

static const struct command_arg fmt_addr[] = { { "fmt", ARG_FORMAT, .optional = true }, { "addr", ARG_NUMBER }, { 0 } };
static const struct command_arg fmt_val[] = { { "fmt", ARG_FORMAT, .optional = true }, { "val", ARG_NUMBER }, { 0 } };
static const struct command_arg fmt_addr_val[] = { { "fmt", ARG_FORMAT, .optional = true }, { "addr", ARG_NUMBER }, { "val", ARG_NUMBER }, { 0 } };
static const struct command_arg addr_only[] = { { "addr", ARG_NUMBER }, { 0 } };
static const struct command_arg save_args[] = { { "val", ARG_NUMBER }, { "size", ARG_NUMBER }, { "filename", ARG_STRING, false, COMPLETE_FILE }, { 0 } };

const struct command memory_commands[] = {
    { "gva2gpa", NULL, "addr", "print the guest physical address corresponding to a guest virtual address", .arg = addr_only, .exec = do_gva2gpa },
    { "i", NULL, "/fmt addr", "I/O port read", .arg = fmt_addr, .exec = do_in },
    { "memsave", NULL, "addr size file", "save to disk virtual memory dump starting at 'addr' of size 'size'", .arg = save_args, .exec = do_memsave },
    { "o", NULL, "/fmt addr value", "I/O port write", .arg = fmt_addr_val, .exec = do_out },
    { "pmemsave", NULL, "addr size file", "save to disk physical memory dump starting at 'addr' of size 'size'", .arg = save_args,
      .exec = do_pmemsave },
    { "print", "p", "/fmt expr", "print expression value (use $reg for CPU register access)", .arg = fmt_val, .exec = do_print },
    { "x", NULL, "/fmt addr", "virtual memory dump starting at 'addr'", .arg = fmt_addr, .exec = do_x },
    { "xp", NULL, "/fmt addr", "physical memory dump starting at 'addr'", .arg = fmt_addr, .exec = do_xp },
    { 0 },
};
