/*
 * Expressions. See core/expr.h. Precedence as in QEMU's monitor: ~ - +, then * / %, then & | ^, then + -.
 */
#include "core/expr.h"

#include <string.h>

#include "base/error.h"
#include "core/cpu.h"

enum { DEPTH_MAX = 100 };

struct expr {
    const char *at;
    struct cpu *cpu;
    unsigned depth;
};

static bool expr_sum(struct expr *e, uint64_t *v, GError **err);

static void skip(struct expr *e) { e->at += strspn(e->at, " \t"); }

static bool expr_register(struct expr *e, uint64_t *v, GError **err)
{
    size_t len = 1 + strspn(e->at + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    g_autofree char *name = g_strndup(e->at, len);

    if (e->cpu && (!strcmp(name, "$pc") || !strcmp(name, "$rip") || !strcmp(name, "$eip"))) {
        *v = e->cpu->ops->pc(e->cpu);
    } else if (!e->cpu || !e->cpu->ops->reg || !e->cpu->ops->reg(e->cpu, name + 1, v)) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "unknown register '%s'%s", name, e->cpu && e->cpu->ops->reg ? "" : " ($pc is known)");
    }
    e->at += len;
    return true;
}

static bool expr_atom(struct expr *e, uint64_t *v, GError **err)
{
    char *end, sign;

    skip(e);
    sign = *e->at;
    if (sign && strchr("(-+~", sign)) {
        if (++e->depth > DEPTH_MAX) {
            return error_set(err, EMU_ERROR_INVALID, "the expression is nested too deep");
        }
        e->at++;
        if (!(sign == '(' ? expr_sum : expr_atom)(e, v, err)) {
            return false;
        }
        e->depth--;
        *v = sign == '-' ? -*v : sign == '~' ? ~*v : *v;
        if (sign == '(') {
            skip(e);
            if (*e->at != ')') {
                return error_set(err, EMU_ERROR_INVALID, "')' expected at '%s'", e->at);
            }
            e->at++;
        }
        return true;
    }
    if (sign == '$') {
        return expr_register(e, v, err);
    }
    if (sign == '\'' && e->at[1] && e->at[2] == '\'') {
        *v = (uint8_t)e->at[1];
        e->at += 3;
        return true;
    }
    if (!g_ascii_isdigit(sign)) {
        return error_set(err, EMU_ERROR_INVALID, sign ? "'%s' is no address" : "an address is missing%s", e->at);
    }
    *v = g_ascii_strtoull(e->at, &end, 0);
    e->at = end;
    return true;
}

/* The operator that follows, if it is one of these; blanks before it belong to it. "2 /tmp/x" is a number and a file. */
static char operator(struct expr *e, const char *which)
{
    const char *p = e->at + strspn(e->at, " \t");

    if (*p && strchr(which, *p) && !(*p == '/' && p > e->at && p[1] != ' ')) {
        e->at = p + 1;
        return *p;
    }
    return 0;
}

static bool expr_product(struct expr *e, uint64_t *v, GError **err)
{
    uint64_t r;
    char op;

    if (!expr_atom(e, v, err)) {
        return false;
    }
    while ((op = operator(e, "*/%"))) {
        if (!expr_atom(e, &r, err)) {
            return false;
        }
        if (op != '*' && !r) {
            return error_set(err, EMU_ERROR_INVALID, "division by zero");
        }
        *v = op == '*' ? *v * r : op == '/' ? *v / r : *v % r;
    }
    return true;
}

static bool expr_bits(struct expr *e, uint64_t *v, GError **err)
{
    uint64_t r;
    char op;

    if (!expr_product(e, v, err)) {
        return false;
    }
    while ((op = operator(e, "&|^"))) {
        if (!expr_product(e, &r, err)) {
            return false;
        }
        *v = op == '&' ? *v & r : op == '|' ? *v | r : *v ^ r;
    }
    return true;
}

static bool expr_sum(struct expr *e, uint64_t *v, GError **err)
{
    uint64_t r;
    char op;

    if (!expr_bits(e, v, err)) {
        return false;
    }
    while ((op = operator(e, "+-"))) {
        if (!expr_bits(e, &r, err)) {
            return false;
        }
        *v = op == '+' ? *v + r : *v - r;
    }
    return true;
}

bool expr_read(const char **at, struct cpu *cpu, uint64_t *value, GError **err)
{
    struct expr e = { *at, cpu, 0 };

    if (!expr_sum(&e, value, err)) {
        return false;
    }
    if (*e.at && *e.at != ' ' && *e.at != '\t') {
        return error_set(err, EMU_ERROR_INVALID, "cannot read '%s'", e.at);
    }
    *at = e.at;
    return true;
}
