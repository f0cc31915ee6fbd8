/*
 * The IR as text, one line an op, for -d op and -d op_opt.
 */
#include <glib.h>
#include <inttypes.h>

#include "tcg/emit.h"
#include "tcg/ir_priv.h"

static const char width_name[4][3] = { "8", "16", "32", "64" };
static const char cond_name[16][3] = { "o", "no", "c", "nc", "z", "nz", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g" };
static const char *const cc_name[IR_CC_COUNT] = {
    [IR_CC_EFLAGS] = "eflags", [IR_CC_ADD] = "add", [IR_CC_SUB] = "sub", [IR_CC_CMP] = "cmp", [IR_CC_LOGIC] = "logic",
    [IR_CC_ADC] = "adc", [IR_CC_SBB] = "sbb", [IR_CC_INC] = "inc", [IR_CC_DEC] = "dec", [IR_CC_SHL] = "shl",
    [IR_CC_SHR] = "shr", [IR_CC_SAR] = "sar", [IR_CC_MUL] = "mul", [IR_CC_BITC] = "bitc", [IR_CC_ZONLY] = "zonly",
};
static const char *const rmw_name[] = { "add", "sub", "and", "or", "xor", "xchg", "neg", "not" };
static const char *const ind_name[] = { "jump", "call", "ret" };

static void value(GString *s, const struct ir *ir, ir_ref v)
{
    if (v && v < ir->n && ir->ops[v].op == IR_const) {
        int64_t k = ir->ops[v].imm;
        g_string_append_printf(s, k >= -4096 && k < 4096 ? "$%" PRId64 : "$0x%" PRIx64, k);
    } else {
        g_string_append_printf(s, "v%u", v);
    }
}

static void address(GString *s, const struct ir *ir, const struct ir_op *op)
{
    bool native = op->op == IR_native;
    const char *plus = "";

    g_string_append_printf(s, " [");
    if (op->a) {
        value(s, ir, op->a);
        plus = " + ";
    }
    if (op->b) {
        g_string_append(s, plus);
        value(s, ir, op->b);
        g_string_append_printf(s, " * %d", 1 << (native ? op->native->mem.scale : op->mem.scale));
        plus = " + ";
    }
    int64_t disp = native ? op->native->disp : op->imm;
    if (disp || (!native && !*plus)) {
        g_string_append_printf(s, "%s%s0x%" PRIx64, disp < 0 ? " - " : plus, "", disp < 0 ? -disp : disp);
    }
    g_string_append_printf(s, "].%d%s%s%s%s%s", 8 << op->mem.size, op->mem.sign ? " sign" : "", op->mem.align ? " align" : "",
                           op->mem.atomic ? " atomic" : "", op->mem.write ? " write" : "", op->mem.intent ? " intent" : "");
    if (op->mem.regime) {
        g_string_append_printf(s, " regime %d", op->mem.regime - 1);
    }
}

static void native_text(GString *s, const struct ir *ir, const struct ir_op *op)
{
    const struct ir_native *n = op->native;

    g_string_append_printf(s, " %s%02x:%d:%02x%s l%d", n->vex ? "vex " : "", n->prefix, n->map, n->opcode, n->w ? " w" : "", n->l);
    g_string_append_printf(s, " reg %d/%d rm %d/%d", n->reg_kind, n->reg, n->rm_kind, n->rm);
    if (n->vex) {
        g_string_append_printf(s, " v %d/%d", n->vvvv_kind, n->vvvv);
    }
    if (n->has_imm) {
        g_string_append_printf(s, " imm 0x%x", n->imm);
    }
    if (op->a || op->b) {
        address(s, ir, op);
    }
}

static void exit_text(GString *s, const struct ir *ir, const struct ir_op *op)
{
    const struct ir_exit *e = (uint64_t)op->imm < ir->n_exits ? &ir->exits[op->imm] : NULL;

    if (!e) {
        g_string_append_printf(s, " -> exit %" PRId64 "?", op->imm);
        return;
    }
    g_string_append_printf(s, " -> +0x%x%s%s%s", (unsigned)e->off, e->backward ? " backward" : "",
                           e->flags_dead ? " flags dead" : "", e->wrap32 ? " wrap32" : "");
}

/* What stands between the op's name and its inputs. */
static void detail(GString *s, const struct ir *ir, const struct ir_op *op)
{
    switch (op->op) {
    case IR_const: g_string_append_printf(s, " 0x%" PRIx64, (uint64_t)op->imm); break;
    case IR_insn: g_string_append_printf(s, " +0x%" PRIx64 " (%d bytes)", op->imm, op->sub); break;
    case IR_pcrel: g_string_append_printf(s, " +0x%" PRIx64, op->imm); break;
    case IR_get: case IR_put:
        g_string_append_printf(s, " %s", (uint64_t)op->imm < ir->guest->n_slots ? ir->guest->slots[op->imm].name : "?");
        break;
    case IR_ldenv: case IR_stenv: g_string_append_printf(s, " env+%" PRId64, op->imm); break;
    case IR_zext: case IR_sext: g_string_append_printf(s, " from %s", width_name[op->sub & 3]); break;
    case IR_flags: g_string_append_printf(s, " %s", op->sub < IR_CC_COUNT ? cc_name[op->sub] : "?"); break;
    case IR_cond: case IR_select: case IR_exit_if: g_string_append_printf(s, " %s", cond_name[op->sub & 15]); break;
    case IR_exit_ifz: g_string_append(s, op->sub ? " nz" : " z"); break;
    case IR_exit_ind: g_string_append_printf(s, " %s", ind_name[op->sub % 3]); break;
    case IR_exit_loop: g_string_append_printf(s, " reason %d", op->sub); break;
    case IR_rmw: g_string_append_printf(s, " %s%s", rmw_name[op->sub & 7], op->sub & IR_RMW_OLD ? " old" : ""); break;
    case IR_call: g_string_append_printf(s, " %s", op->helper->name); break;
    case IR_native: native_text(s, ir, op); break;
    default: break;
    }
}

static void op_text(GString *s, const struct ir *ir, uint32_t i)
{
    const struct ir_op *op = &ir->ops[i];
    const struct ir_op_info *info = &ir_op_info[op->op];
    const ir_ref in[4] = { op->a, op->b, op->c, op->d };
    bool mem = op->op == IR_ld || op->op == IR_st || op->op == IR_rmw || op->op == IR_cas || op->op == IR_probe;
    const char *sep = " ";

    if (info->outs) {
        g_string_append_printf(s, "  v%-3u = ", i);
    } else {
        g_string_append(s, op->op == IR_insn ? "" : "         ");
    }
    g_string_append_printf(s, "%s", info->name);
    if (op->op != IR_insn && op->op != IR_const && op->op != IR_call && op->op != IR_native && op->op != IR_fence &&
        !(info->props & IR_EXIT && op->op != IR_exit_ifz) && op->op != IR_cond) {
        g_string_append_printf(s, ".%s", width_name[op->w & 3]);
    }
    detail(s, ir, op);
    if (mem) {
        address(s, ir, op);
        sep = ", ";
    }
    for (unsigned k = mem || op->op == IR_native ? 2 : 0; k < info->ins; k++) {
        if (in[k]) {
            g_string_append(s, sep);
            value(s, ir, in[k]);
            sep = ", ";
        }
    }
    if (op->op == IR_lea && (op->imm || op->sub)) {
        g_string_append_printf(s, " << %d + %" PRId64, op->sub, op->imm);
    }
    if (info->props & IR_EXIT && op->op != IR_exit_ind) {
        exit_text(s, ir, op);
    }
}

void ir_dump(const struct ir *ir, void (*line)(void *opaque, const char *text), void *opaque)
{
    GString *s = g_string_new(NULL);

    for (uint32_t i = 1; i < ir->n; i++) {
        if (ir->ops[i].op != IR_nop && ir->ops[i].op != IR_const) {    /* constants stand where they are used */
            g_string_truncate(s, 0);
            op_text(s, ir, i);
            line(opaque, s->str);
        }
    }
    g_string_free(s, TRUE);
}
