/*
 * x and xp: looking at guest memory. Only RAM and ROM are read: looking must not touch device registers.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "core/accel.h"
#include "core/dma.h"
#include "disas/disas.h"
#include "monitor/monitor_priv.h"

enum { COUNT_MAX = 1 << 20, INSN_MAX = 16 };

struct format {
    unsigned count, size;        /* size: bytes of an item */
    char letter;
};

/* --- the address: numbers, $pc, + - * and parentheses --- */

struct expr {
    const char *at;
    struct cpu *cpu;
    unsigned depth;
};

static bool expr_sum(struct expr *e, uint64_t *v, GError **err);

static void skip(struct expr *e)
{
    e->at += strspn(e->at, " \t");
}

static bool expr_atom(struct expr *e, uint64_t *v, GError **err)
{
    char *end;
    size_t len;

    skip(e);
    if (*e->at == '(' && e->depth < 100) {
        e->at++;
        e->depth++;
        if (!expr_sum(e, v, err)) {
            return false;
        }
        e->depth--;
        skip(e);
        if (*e->at != ')') {
            return error_set(err, EMU_ERROR_INVALID, "')' expected at '%s'", e->at);
        }
        e->at++;
        return true;
    }
    if (*e->at == '-' && e->depth < 100) {
        e->at++;
        e->depth++;
        if (!expr_atom(e, v, err)) {
            return false;
        }
        e->depth--;
        *v = -*v;
        return true;
    }
    if (*e->at == '$') {
        len = strcspn(e->at, " \t+-*()");
        if (e->cpu && ((len == 3 && !strncmp(e->at, "$pc", 3)) || (len == 4 && !strncmp(e->at, "$rip", 4)) ||
                       (len == 4 && !strncmp(e->at, "$eip", 4)))) {
            e->at += len;
            *v = e->cpu->ops->pc(e->cpu);
            return true;
        }
        return error_set(err, EMU_ERROR_NOT_FOUND, "unknown register '%.*s' ($pc is known)", (int)len, e->at);
    }
    if (!g_ascii_isdigit(*e->at)) {
        return error_set(err, EMU_ERROR_INVALID, *e->at ? "'%s' is no address" : "an address is missing%s", e->at);
    }
    *v = g_ascii_strtoull(e->at, &end, g_ascii_strncasecmp(e->at, "0x", 2) ? 10 : 16);
    e->at = end;
    return true;
}

static bool expr_product(struct expr *e, uint64_t *v, GError **err)
{
    uint64_t r;

    if (!expr_atom(e, v, err)) {
        return false;
    }
    for (skip(e); *e->at == '*'; skip(e)) {
        e->at++;
        if (!expr_atom(e, &r, err)) {
            return false;
        }
        *v *= r;
    }
    return true;
}

static bool expr_sum(struct expr *e, uint64_t *v, GError **err)
{
    uint64_t r;
    char op;

    if (!expr_product(e, v, err)) {
        return false;
    }
    for (skip(e); *e->at == '+' || *e->at == '-'; skip(e)) {
        op = *e->at++;
        if (!expr_product(e, &r, err)) {
            return false;
        }
        *v = op == '+' ? *v + r : *v - r;
    }
    return true;
}

static bool parse_address(struct cpu *c, const char *text, uint64_t *v, GError **err)
{
    struct expr e = { text, c, 0 };

    if (!expr_sum(&e, v, err)) {
        return false;
    }
    skip(&e);
    return !*e.at || error_set(err, EMU_ERROR_INVALID, "cannot read '%s'", e.at);
}

/* --- the format: "/4xg" --- */

static bool parse_format(const char **args, struct format *f, GError **err)
{
    const char *p = *args;
    char *end;

    *f = (struct format){ 1, 4, 'x' };
    if (*p != '/') {
        return true;
    }
    p++;
    if (g_ascii_isdigit(*p)) {
        f->count = (unsigned)MIN(g_ascii_strtoull(p, &end, 10), (guint64)COUNT_MAX);
        p = end;
    }
    for (; *p && *p != ' ' && *p != '\t'; p++) {
        switch (*p) {
        case 'b': f->size = 1; break;
        case 'h': f->size = 2; break;
        case 'w': f->size = 4; break;
        case 'g': f->size = 8; break;
        case 'x': case 'd': case 'u': case 'o': case 'i': case 'c': f->letter = *p; break;
        default:
            return error_set(err, EMU_ERROR_INVALID, "'%c' is no format letter (x d u o c i, b h w g)", *p);
        }
    }
    if (f->letter == 'c') {
        f->size = 1;
    }
    *args = p + strspn(p, " \t");
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
    const char *args;
    bool physical, ok;
    GString *out;
    GError **err;
};

/* On the vCPU's thread: its registers and page tables are only consistent there. */
static void examine(struct cpu *c, void *opaque)
{
    struct examine *x = opaque;
    struct format f;
    uint64_t addr;

    if (c->machine->accel && c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
    x->ok = parse_format(&x->args, &f, x->err) && parse_address(c, x->args, &addr, x->err);
    if (x->ok && f.letter == 'i') {
        show_code(c, x->physical, addr, f.count, x->out);
    } else if (x->ok) {
        show_items(c, x->physical, addr, &f, x->out);
    }
}

static bool run_examine(struct machine *m, const char *args, bool physical, GString *out, GError **err)
{
    struct examine x = { args, physical, false, out, err };

    cpu_run_on(m->cpus[0], examine, &x, false);
    return x.ok;
}

bool monitor_x(struct machine *m, const char *args, GString *out, GError **err)
{
    return run_examine(m, args, false, out, err);
}

bool monitor_xp(struct machine *m, const char *args, GString *out, GError **err)
{
    return run_examine(m, args, true, out, err);
}
