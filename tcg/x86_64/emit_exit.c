/*
 * Ways out of a region, and everything that lies out of line behind the hot path.
 *
 * A direct exit is one jump whose rel32 is patched; it never crosses a 64-byte line. Unlinked it goes to `call link` (whose return address
 * names the exit), followed by 4 bytes of data: the code page number that a cross-page guard was bound to, -1: none yet.
 *
 * Cross-page exits (only the immediate of `add` arms the guard: its low 12 bits are 0xfff while unlinked, which no code page number has):
 *     mov S,[pcbase]; add S,delta|id_hi; cmp S,[r15-MAP+8*id_lo]; jne link; add [pcbase],delta; jmp rel32
 */
#include "tcg/x86_64/cg_priv.h"
#include "tcg/x86_64/patch_priv.h"

#include <glib.h>

void cg_call(struct cg *c, const uint8_t *rx) { i_call_to(&c->o, rx - c->rx_delta); }
void cg_jmp(struct cg *c, const uint8_t *rx) { i_jmp_to(&c->o, rx - c->rx_delta); }

/* The architectural flags as an exit finds them; none if nobody needs them. */
static void flags_here(struct cg *c, struct fldesc *fl)
{
    fl->n = 0;
    if (c->arch && c->v[c->arch].last >= c->i)
        fl_describe(c, c->arch, fl);
}

static void leave_data(struct cg *c, bool wrap, int32_t off, unsigned reason)
{
    cg_call(c, wrap ? x86_host.exit_data32 : x86_host.exit_data);
    e32(&c->o, (uint32_t)off);
    e8(&c->o, reason);
}

/* Bytes of padding so that none of n fields (offset from here, 4 bytes each) crosses a 64-byte line. */
static void align_fields(struct cg *c, const uint8_t *at, unsigned n)
{
    for (unsigned pad = 0; pad < 64; pad++) {
        bool ok = true;
        for (unsigned k = 0; k < n; k++) {
            uintptr_t f = (uintptr_t)c->o.p + pad + at[k];
            ok = ok && (f & 63) <= 60;
        }
        if (ok) {
            i_nops(&c->o, pad);
            return;
        }
    }
}

static uint32_t new_exit(struct cg *c, unsigned target, bool cross)
{
    struct tcg_code_exit *e;

    if (c->n_exits == c->cap_exits) {
        e = arena_alloc(c->a, 2 * (c->cap_exits + 16) * sizeof *e);
        if (c->n_exits)
            memcpy(e, c->exits, c->n_exits * sizeof *e);
        c->exits = e;
        c->cap_exits = 2 * (c->cap_exits + 16);
    }
    e = &c->exits[c->n_exits];
    memset(e, 0, sizeof *e);
    e->target = (uint16_t)target;
    e->cross = cross;
    return c->n_exits++;
}

static bool crosses(const struct ir_exit *e) { return (e->off & ~0xfff) != 0; }

static void link_stub(struct cg *c, uint8_t *from, uint8_t *poll, uint32_t exit, const struct fldesc *flags)
{
    struct stub *s = cg_stub(c, STUB_LINK);

    s->from = from;
    s->poll = poll;
    s->exit = exit;
    fl_copy(&s->fl, flags);
}

/* Poll, guard and jump. `flags`: what must be stored on ways that do not reach the target (already stored flags: none). */
static void direct_exit(struct cg *c, unsigned target, const struct fldesc *flags)
{
    const struct ir_exit *e = &c->ir->exits[target];
    uint8_t *poll = NULL;
    uint32_t x;

    if (c->ir->no_chain) {
        fl_emit_store(c, flags);
        leave_data(c, e->wrap32, e->off, TCG_EXIT_LOOKUP);
        return;
    }
    if (e->backward || crosses(e)) {
        i_alu_mi(&c->o, 0, ALU_CMP, st_at(ENV(kick)), 0);
        poll = i_jcc(&c->o, CC_NZ);
    }
    x = new_exit(c, target, crosses(e));
    if (crosses(e)) {
        static const uint8_t fields[3] = { GUARD_IMM, GUARD_DISP, GUARD_REL };
        int32_t delta = e->off & ~0xfff;
        uint8_t *start, *jne;

        align_fields(c, fields, 3);
        start = c->o.p;
        i_load(&c->o, e->wrap32 ? 2 : 3, HR_S, st_at(ENV(pcbase)));
        op_rr(&c->o, e->wrap32 ? 2 : 3, 0x81, 0, HR_S, 0);
        e32(&c->o, (uint32_t)delta | GUARD_OFF);
        c->o.insns++;
        e8(&c->o, 0x4d);                                     /* cmp r9,[r15+disp32] */
        e8(&c->o, 0x3b);
        e8(&c->o, 0x8f);
        e32(&c->o, (uint32_t)GUARD_MAP);
        jne = i_jcc(&c->o, CC_NZ);
        if (e->wrap32)
            e8(&c->o, 0x40);                                 /* same length as with REX.W */
        op_rm(&c->o, e->wrap32 ? 2 : 3, 0x81, 0, st_at(ENV(pcbase)), 0);
        e32(&c->o, (uint32_t)delta);
        c->exits[x].patch_off = host_off(c, i_jmp(&c->o));
        g_assert(c->base + c->exits[x].patch_off == start + GUARD_REL);
        link_stub(c, jne, poll, x, flags);
    } else {
        static const uint8_t fields[1] = { 1 };
        align_fields(c, fields, 1);
        uint8_t *rel = i_jmp(&c->o);
        c->exits[x].patch_off = host_off(c, rel);
        link_stub(c, rel, poll, x, flags);
    }
}

/* Conditional exit on host condition cc. */
static void side_exit(struct cg *c, int cc, unsigned target)
{
    const struct ir_exit *e = &c->ir->exits[target];
    struct stub *s;
    struct fldesc f;

    fl_settle(c, false);
    flags_here(c, &f);
    if ((!f.n || e->flags_dead) && !e->backward && !crosses(e) && !c->ir->no_chain) {
        static const uint8_t fields[1] = { 2 };
        uint32_t x = new_exit(c, target, false);
        align_fields(c, fields, 1);
        uint8_t *rel = i_jcc(&c->o, cc);
        c->exits[x].patch_off = host_off(c, rel);
        link_stub(c, rel, NULL, x, &f);
        return;
    }
    s = cg_stub(c, STUB_EXIT);
    fl_copy(&s->fl, &f);
    s->target = (uint16_t)target;
    s->from = i_jcc(&c->o, cc);
}

/* Unconditional exit, flags stored before unless the target does not want them. */
static void jump_exit(struct cg *c, unsigned target, struct fldesc *f)
{
    const struct ir_exit *e = &c->ir->exits[target];

    if (f->n && !e->flags_dead) {
        fl_emit_store(c, f);
        f->n = 0;
    }
    direct_exit(c, target, f);
}

static void exit_ind(struct cg *c, const struct ir_op *op)
{
    ir_ref a = R(c, op->a);
    struct opnd x;

    fl_settle(c, false);
    if (c->arch && c->v[c->arch].last >= c->i)
        fl_store(c, c->arch);
    c->lock = 0;
    x = ra_where(c, a);
    if (x.kind == O_NONE) {
        i_load(&c->o, 3, HR_S, st_at(ENV(pcbase)));
        if (fits32(op_of(c, a)->imm)) {
            i_alu_ri(&c->o, 3, ALU_ADD, HR_S, (int32_t)op_of(c, a)->imm);
        } else {
            i_mov_imm(&c->o, HR_T, op_of(c, a)->imm);
            i_alu_rr(&c->o, 3, ALU_ADD, HR_S, HR_T);
        }
    } else if (x.kind != O_REG || x.reg != HR_S) {
        ra_mov(c, IR_64, HR_S, x);
    }
    if (c->ir->no_chain) {
        i_store(&c->o, 3, st_at(ENV(pc)), HR_S);
        i_store_imm(&c->o, 2, st_at(SCR(exit_reason)), TCG_EXIT_LOOKUP);
        cg_jmp(c, x86_host.leave);
        return;
    }
    if (x86_host.bmi2) {
        i_rorx(&c->o, 3, HR_T, HR_S, 60);
    } else {
        i_mov_rr(&c->o, 2, HR_T, HR_S);
        i_shift_i(&c->o, 2, SH_SHL, HR_T, 4);
    }
    i_alu_rr(&c->o, 2, ALU_XOR, HR_T, HR_S);                 /* jump_index() * 16 */
    i_alu_ri(&c->o, 2, ALU_AND, HR_T, (JUMP_ENTRIES - 1) << 4);
    i_alu_rm(&c->o, 3, ALU_ADD, HR_T, st_at(ENV(jt)));
    i_alu_rm(&c->o, 3, ALU_CMP, HR_S, am(HR_T, 0));
    fix32(i_jcc(&c->o, CC_NZ), x86_host.lookup - c->rx_delta);
    i_alu_ri(&c->o, 3, ALU_AND, HR_S, -4096);
    i_store(&c->o, 3, st_at(ENV(pcbase)), HR_S);
    op_rm(&c->o, 2, 0xff, 4, am(HR_T, 8), 0);
}

static void exit_poll(struct cg *c, const struct ir_exit *e)
{
    struct stub *s;

    fl_settle(c, false);
    i_alu_mi(&c->o, 0, ALU_CMP, st_at(ENV(kick)), 0);
    fl_clobber(c);
    s = cg_stub(c, STUB_POLL);
    flags_here(c, &s->fl);
    s->off = e->off;
    s->wide = e->wrap32;
    s->from = i_jcc(&c->o, CC_NZ);
}

/* `exit_if back; exit_jump on`: the loop edge falls through, the other one jumps. */
static void loop_pair(struct cg *c, int cc, unsigned back, unsigned on)
{
    struct fldesc f;

    side_exit(c, cc ^ 1, on);
    flags_here(c, &f);
    jump_exit(c, back, &f);
}

bool em_exit(struct cg *c, const struct ir_op *op, const struct ir_op *next)
{
    unsigned target = (unsigned)op->imm;
    struct fldesc f;
    int cc;

    switch (op->op) {
    case IR_exit_if: case IR_exit_ifz:
        if (op->op == IR_exit_if) {
            cc = fl_cond(c, op->a, op->sub);
        } else {
            struct opnd x = ra_use(c, R(c, op->a), op->w);
            if (x.kind == O_MEM) {
                i_alu_mi(&c->o, op->w, ALU_CMP, x.mem, 0);
            } else {
                int r = ra_use_reg(c, R(c, op->a));
                i_test_rr(&c->o, op->w, r, r);
            }
            c->hf = (struct hostflags){ HF_LOGIC, op->w, R(c, op->a) };
            cc = op->sub & 1 ? CC_NZ : CC_Z;
        }
        if (c->ir->exits[target].backward && next && next->op == IR_exit_jump && !c->ir->exits[next->imm].backward) {
            c->i++;                                          /* both are done here: values needed by the second live on */
            loop_pair(c, cc, target, (unsigned)next->imm);
            return true;
        }
        side_exit(c, cc, target);
        return false;
    case IR_exit_jump:
        fl_settle(c, false);
        flags_here(c, &f);
        jump_exit(c, target, &f);
        return false;
    case IR_exit_ind:
        exit_ind(c, op);
        return false;
    case IR_exit_loop:
        fl_settle(c, false);
        flags_here(c, &f);
        fl_emit_store(c, &f);
        leave_data(c, c->ir->exits[target].wrap32, c->ir->exits[target].off, op->sub);
        return false;
    default:
        exit_poll(c, &c->ir->exits[target]);
        return false;
    }
}

static void slow_stub(struct cg *c, struct stub *s)
{
    uint8_t *thunk = s->grouped ? thunk_again(s->desc) : thunk_slow(s->desc);

    if (!thunk) {
        c->failed = true;
        return;
    }
    if (s->keep_t)
        i_store(&c->o, 3, am(RSP, GROUP_KEEP_T * 8), HR_T);
    if (slow_recovers_address(s->desc) && !s->grouped)
        ;
    else if (s->addr.base == NOREG)
        i_mov_imm(&c->o, HR_T, s->addr.disp);
    else if (s->addr.disp == 0)
        i_mov_rr(&c->o, 3, HR_T, s->addr.base);
    else
        i_lea(&c->o, 3, HR_T, s->addr);
    cg_call(c, thunk);
    s->row.host_off = host_off(c, c->o.p);
    *cg_add_row(c) = s->row;
    if (s->keep_t)
        i_load(&c->o, 3, HR_T, am(RSP, GROUP_KEEP_T * 8));
    if (s->is_store) {
        size_t n = (size_t)(s->copy_end - s->copy);
        if (s->host_trap_rel) {
            struct tcg_map_row *row = cg_add_row(c);
            *row = s->row;
            row->host_off = host_off(c, c->o.p) + s->host_trap_rel - 1;
            row->trap = s->trap;
        }
        memcpy(c->o.p, s->copy, n);
        c->o.p += n;
        cg_call(c, s->plain ? x86_host.done_plain : x86_host.done);
        s->row.host_off = host_off(c, c->o.p);
        *cg_add_row(c) = s->row;
    }
    i_jmp_to(&c->o, s->back);
}

void em_stubs(struct cg *c)
{
    for (unsigned k = 0; k < c->n_stubs && !c->failed; k++) {
        struct stub *s = &c->stubs[k];        /* where it is now: the list may grow and move meanwhile, the old copy stays */

        if (c->o.p + 512 > c->limit) {
            c->failed = true;
            return;
        }
        fix32(s->from, c->o.p);
        switch (s->kind) {
        case STUB_SLOW:
            slow_stub(c, s);
            break;
        case STUB_EXIT:
            jump_exit(c, s->target, &s->fl);
            break;
        case STUB_POLL:
            fl_emit_store(c, &s->fl);
            leave_data(c, s->wide, s->off, TCG_EXIT_KICK);
            break;
        case STUB_LINK: {
            struct tcg_code_exit *e = &c->exits[s->exit];
            e->stub_off = host_off(c, c->o.p);
            if (s->poll)
                fix32(s->poll, c->o.p);
            if (e->cross)
                fix32(c->base + e->patch_off, c->o.p);
            fl_emit_store(c, &s->fl);
            cg_call(c, x86_host.link);
            e->link_ra = host_off(c, c->o.p);
            e->id_off = e->link_ra;
            if (e->cross)
                e32(&c->o, ~0u);
            break;
        }
        case STUB_X87:
            cg_call(c, x86_host.x87_load);
            i_jmp_to(&c->o, s->back);
            break;
        default:
            g_assert_not_reached();
        }
    }
}
