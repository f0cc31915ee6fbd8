/*
 * Code that all regions share: entry, exit, slow paths, helper calls, host traps. Made once at init into the start of the code
 * buffer; thunks per access descriptor and per helper are added on first use.
 *
 * Inside a region rsp is 16-byte aligned and equal to scratch.host_rsp; a thunk that was called starts 8 below.
 */
#include "tcg/x86_64/cg_priv.h"

#include <cpuid.h>
#include <ucontext.h>

#include "base/error.h"

struct x86_host x86_host;

static struct code *const o = &x86_host.o;

static uint8_t *rx_here(void) { return x86_host.cb->rx + (o->p - x86_host.cb->rw); }

static void call_c(const void *fn)     /* clobbers rax before the call */
{
    i_mov_imm(o, RAX, (int64_t)(uintptr_t)fn);
    i_call_r(o, RAX);
}

static void jmp_rx(const uint8_t *to) { i_jmp_to(o, x86_host.cb->rw + (to - x86_host.cb->rx)); }
static void call_rx(const uint8_t *to) { i_call_to(o, x86_host.cb->rw + (to - x86_host.cb->rx)); }

#define CALLER_SAVED (1u << RAX | 1u << RCX | 1u << RDX | 1u << RSI | 1u << RDI | 1u << R8 | 1u << R9 | 1u << R10 | 1u << R11)

static void store_homes(uint32_t regs)
{
    for (int r = 0; r < 16; r++)
        if (regs & x86_host.home_regs & 1u << r)
            i_store(o, 3, slot_mem((unsigned)x86_host.slot_of[r]), r);
}

static void load_homes(uint32_t regs)
{
    for (int r = 0; r < 16; r++)
        if (regs & x86_host.home_regs & 1u << r)
            i_load(o, 3, r, slot_mem((unsigned)x86_host.slot_of[r]));
}

static void vector_moves(bool store, bool wide)
{
    const struct tcg_guest *g = x86_host.guest;

    for (unsigned x = 0; x < g->n_vec_pinned; x++) {
        struct amem m = st_at((int32_t)(g->vec_offset + x * g->vec_stride) - BIAS);
        if (wide && store)
            i_vex_store(o, 1, m, (int)x);
        else if (wide)
            i_vex_load(o, 1, (int)x, m);
        else if (store)
            i_vstore(o, m, (int)x);
        else
            i_vload(o, (int)x, m);
    }
}

/*
 * Pinned vectors, at the width that is in use. C code is entered with clean upper halves, so that legacy instructions on either side cost
 * nothing extra; it may leave them dirty.
 */
static void vectors(bool store)
{
    uint8_t *wide, *end;

    if (!x86_host.avx) {
        vector_moves(store, false);
        return;
    }
    if (store)
        i_alu_mi(o, 1, ALU_CMP, st_at(SCR(vec_low)), 1);       /* and mem_high is 0 */
    else
        i_alu_mi(o, 0, ALU_CMP, st_at(SCR(vec_low)), 1);
    wide = i_jcc(o, CC_NZ);
    if (!store)
        i_vzero(o, false);
    vector_moves(store, false);
    end = i_jmp(o);
    fix32(wide, o->p);
    vector_moves(store, true);
    if (store) {
        i_vzero(o, false);
        i_alu_mi(o, 0, ALU_CMP, st_at(SCR(vec_low)), 0);
        op_rm(o, 2, OP_0F | 0x90 | CC_Z, 0, st_at(SCR(mem_high)), 0);
    } else {
        i_store_imm(o, 0, st_at(SCR(mem_high)), 1);
    }
    fix32(end, o->p);
}

static void ldmxcsr(struct amem m) { op_rm(o, 2, OP_0F | 0xae, 2, m, 0); }
static void stmxcsr(struct amem m) { op_rm(o, 2, OP_0F | 0xae, 3, m, 0); }
static void fninit(void) { o->insns++; e8(o, 0xdb); e8(o, 0xe3); }
static struct amem fx_at(int32_t off) { return st_at((int32_t)x86_host.guest->fx_offset + off - BIAS); }
static struct amem guest_mxcsr(void) { return st_at((int32_t)x86_host.guest->mxcsr_offset - BIAS); }

/* x87: saved if live, and the host's made clean for C. x87_live becomes `then`. FXSAVE and FNINIT do not wait for pending exceptions. */
static void x87_save(int then)
{
    uint8_t *j;

    i_alu_mi(o, 0, ALU_CMP, st_at(SCR(x87_live)), 1);
    j = i_jcc8(o, CC_NZ);
    op_rm(o, 3, OP_0F | 0xae, 0, fx_at(0), 0);
    fninit();
    i_store_imm(o, 0, st_at(SCR(x87_live)), then);
    fix8(j, o->p);
}

/* Callable from thunks: state of vectors, x87, MXCSR to memory, the host's own in place. Changes flags only. */
static void make_nsave(void)
{
    x86_host.nsave = rx_here();
    vectors(true);
    stmxcsr(guest_mxcsr());
    ldmxcsr(st_at(SCR(host_mxcsr)));
    x87_save(2);
    i_store_imm(o, 0, st_at(SCR(vec_saved)), 1);
    i_ret(o);

    /* and back. x87 first: FXRSTOR loads XMM registers and MXCSR too */
    x86_host.nrestore = rx_here();
    i_alu_mi(o, 0, ALU_CMP, st_at(SCR(x87_live)), 2);
    uint8_t *j = i_jcc8(o, CC_NZ);
    stmxcsr(fx_at(24));
    op_rm(o, 3, OP_0F | 0xae, 1, fx_at(0), 0);
    i_store_imm(o, 0, st_at(SCR(x87_live)), 1);
    fix8(j, o->p);
    vectors(false);
    ldmxcsr(guest_mxcsr());
    i_store_imm(o, 0, st_at(SCR(vec_saved)), 0);
    i_ret(o);
}

/* First x87 or MMX instruction of a stay: called from a region. FXRSTOR's side effect on XMM registers is made a no-op. */
static void make_x87_load(void)
{
    x86_host.x87_load = rx_here();
    for (int x = 0; x < 16; x++)
        i_vstore(o, fx_at(160 + 16 * x), x);
    stmxcsr(fx_at(24));
    op_rm(o, 3, OP_0F | 0xae, 1, fx_at(0), 0);
    i_store_imm(o, 0, st_at(SCR(x87_live)), 1);
    i_ret(o);
}

static const uint8_t callee_saved[] = { RBX, RBP, R12, R13, R14, R15 };

static void make_enter(void)
{
    x86_host.enter = rx_here();               /* enter(state, code) */
    for (unsigned k = 0; k < sizeof callee_saved; k++)
        i_push(o, callee_saved[k]);
    i_alu_ri(o, 3, ALU_SUB, RSP, FRAME + 8);
    i_lea(o, 3, HR_STATE, am(RDI, BIAS));
    i_mov_rr(o, 3, HR_I, RSI);
    i_store(o, 3, st_at(SCR(host_rsp)), RSP);
    stmxcsr(st_at(SCR(host_mxcsr)));
    ldmxcsr(guest_mxcsr());
    i_store_imm(o, 2, st_at(SCR(x87_live)), 0x00010000);     /* x87_live, vec_saved, in_code = 1, bounce_pending */
    i_store_imm(o, 3, st_at(SCR(call_ra)), 0);
    i_store_imm(o, 3, st_at(SCR(swapped)), 0);
    vectors(false);
    i_load(o, 3, HR_CTX, st_at(ENV(ctx)));
    i_alu_ri(o, 3, ALU_ADD, HR_CTX, CTX_ENTRY);
    load_homes(x86_host.home_regs);
    i_jmp_r(o, HR_I);
}

static void make_leave(void)
{
    uint8_t *j;

    x86_host.leave = rx_here();
    store_homes(x86_host.home_regs);
    x86_host.leave_stored = rx_here();
    i_alu_mi(o, 0, ALU_CMP, st_at(SCR(vec_saved)), 0);
    j = i_jcc8(o, CC_NZ);
    uint8_t *sub = i_call(o);
    fix32(sub, x86_host.cb->rw + (x86_host.nsave - x86_host.cb->rx));
    fix8(j, o->p);
    i_store_imm(o, 2, st_at(SCR(x87_live)), 0);
    i_store_imm(o, 3, st_at(SCR(call_ra)), 0);
    i_alu_ri(o, 3, ALU_ADD, RSP, FRAME + 8);
    for (unsigned k = sizeof callee_saved; k-- > 0;)
        i_pop(o, callee_saved[k]);
    i_ret(o);

    x86_host.unwind = rx_here();              /* unwind(state): slots are in memory already */
    i_lea(o, 3, HR_STATE, am(RDI, BIAS));
    i_load(o, 3, RSP, st_at(SCR(host_rsp)));
    jmp_rx(x86_host.leave_stored);
}

/* exit stubs: `call exit_data; .long off; .byte reason` */
static void make_exit_data(bool wrap)
{
    i_pop(o, HR_T);
    op_rm(o, 3, 0x63, HR_S, am(HR_T, 0), 0);                 /* movsxd */
    i_alu_rm(o, 3, ALU_ADD, HR_S, st_at(ENV(pcbase)));
    if (wrap)
        i_mov_rr(o, 2, HR_S, HR_S);
    i_store(o, 3, st_at(ENV(pc)), HR_S);
    i_load(o, 0, HR_I, am(HR_T, 4));
    i_store(o, 2, st_at(SCR(exit_reason)), HR_I);
    jmp_rx(x86_host.leave);
}

/* a dead region's entry: `call exit_dead; .short offset` */
static void make_exit_dead(void)
{
    x86_host.exit_dead = rx_here();
    i_pop(o, HR_T);
    i_load(o, 1, HR_S, am(HR_T, 0));
    i_alu_rm(o, 3, ALU_ADD, HR_S, st_at(ENV(pcbase)));
    i_store(o, 3, st_at(ENV(pc)), HR_S);
    i_store_imm(o, 2, st_at(SCR(exit_reason)), TCG_EXIT_LOOKUP);
    jmp_rx(x86_host.leave);
}

static void reload_ctx(void)
{
    i_load(o, 3, HR_CTX, st_at(ENV(ctx)));
    i_alu_ri(o, 3, ALU_ADD, HR_CTX, CTX_ENTRY);
}

/* r9 = linear address that missed the jump table */
static void make_lookup(void)
{
    x86_host.lookup = rx_here();
    i_store(o, 3, st_at(ENV(pc)), HR_S);
    store_homes(x86_host.home_regs);
    i_store_imm(o, 2, st_at(SCR(exit_reason)), TCG_EXIT_LOOKUP);
    i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
    i_mov_rr(o, 3, RSI, HR_S);
    call_c(x86_host.rt->lookup);
    i_test_rr(o, 3, RAX, RAX);
    uint8_t *j = i_jcc(o, CC_Z);
    fix32(j, x86_host.cb->rw + (x86_host.leave_stored - x86_host.cb->rx));
    i_mov_rr(o, 3, HR_I, RAX);
    i_load(o, 3, HR_S, st_at(ENV(pc)));
    i_alu_ri(o, 3, ALU_AND, HR_S, -4096);
    i_store(o, 3, st_at(ENV(pcbase)), HR_S);
    load_homes(CALLER_SAVED);
    i_jmp_r(o, HR_I);
}

/* called from an unlinked exit */
static void make_link(void)
{
    const struct tcg_runtime *rt = x86_host.rt;
    uint8_t *full = NULL, *none;

    x86_host.link = rx_here();
    i_pop(o, HR_T);
    i_store(o, 3, st_at(SCR(exit_ra)), HR_T);
    store_homes(x86_host.home_regs);
    G_STATIC_ASSERT(TCG_EXIT_LOOKUP == 0 && TCG_EXIT_KICK == 1);
    i_alu_rr(o, 2, ALU_XOR, RAX, RAX);
    i_alu_mi(o, 0, ALU_CMP, st_at(ENV(kick)), 0);
    i_setcc(o, CC_NZ, RAX);
    i_store(o, 2, st_at(SCR(exit_reason)), RAX);
    if (rt->link) {
        i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
        i_mov_rr(o, 3, RSI, HR_T);
        call_c(rt->link);
        i_test_rr(o, 3, RAX, RAX);
        full = i_jcc(o, CC_Z);
        i_mov_rr(o, 3, HR_I, RAX);
        load_homes(CALLER_SAVED);
        i_jmp_r(o, HR_I);
        fix32(full, o->p);
    }
    call_rx(x86_host.nsave);
    i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
    i_load(o, 3, RSI, st_at(SCR(exit_ra)));
    call_c(rt->link_full);
    i_test_rr(o, 3, RAX, RAX);
    none = i_jcc(o, CC_Z);
    fix32(none, x86_host.cb->rw + (x86_host.leave_stored - x86_host.cb->rx));
    i_mov_rr(o, 3, HR_I, RAX);
    call_rx(x86_host.nrestore);
    reload_ctx();
    load_homes(x86_host.home_regs);
    i_jmp_r(o, HR_I);
}

/* r10 = address, r11d = descriptor; addend in r11 afterwards, r9 kept */
static void make_slow(void)
{
    uint8_t *j;

    x86_host.slow_common = rx_here();
    store_homes(x86_host.home_regs);
    i_store(o, 3, st_at(SCR(save_s)), HR_S);
    i_store(o, 3, st_at(SCR(save_t)), HR_T);
    i_store(o, 3, st_at(SCR(save_i)), HR_I);
    i_alu_rr(o, 2, ALU_XOR, RAX, RAX);
    for (int k = 0; k < GROUP_SLOTS; k++)
        i_store(o, 3, am(RSP, 8 + 8 * k), RAX);
    i_load(o, 3, RAX, am(RSP, 0));
    i_store(o, 3, st_at(SCR(call_ra)), RAX);
    i_alu_ri(o, 3, ALU_SUB, RSP, 8);
    i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
    i_mov_rr(o, 3, RSI, HR_T);
    i_mov_rr(o, 2, RDX, HR_I);
    call_c(x86_host.rt->slow);
    i_test_rr(o, 3, RDX, RDX);
    j = i_jcc8(o, CC_Z);
    call_rx(x86_host.nsave);
    i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
    i_load(o, 3, RSI, st_at(SCR(save_t)));
    i_load(o, 2, RDX, st_at(SCR(save_i)));
    call_c(x86_host.rt->slow_full);
    call_rx(x86_host.nrestore);
    fix8(j, o->p);
    i_mov_rr(o, 3, HR_I, RAX);
    i_store_imm(o, 3, st_at(SCR(call_ra)), 0);
    i_load(o, 3, HR_S, st_at(SCR(save_s)));
    load_homes(CALLER_SAVED);
    i_alu_ri(o, 3, ALU_ADD, RSP, 8);
    i_ret(o);

    /* after a store that may have gone to the bounce buffer; keeps everything, the host's flags too */
    x86_host.done = rx_here();
    o->insns++;
    e8(o, 0x9c);                                             /* pushfq */
    i_alu_mi(o, 0, ALU_CMP, st_at(SCR(bounce_pending)), 0);
    j = i_jcc8(o, CC_NZ);
    e8(o, 0x9d);                                             /* popfq */
    i_ret(o);
    fix8(j, o->p);
    store_homes(x86_host.home_regs);
    i_store(o, 3, st_at(SCR(save_s)), HR_S);
    i_store(o, 3, st_at(SCR(save_t)), HR_T);
    i_store(o, 3, st_at(SCR(save_i)), HR_I);
    i_load(o, 3, RAX, am(RSP, 8));
    i_store(o, 3, st_at(SCR(call_ra)), RAX);
    call_rx(x86_host.nsave);
    i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
    call_c(x86_host.rt->bounce_flush);
    call_rx(x86_host.nrestore);
    i_store_imm(o, 3, st_at(SCR(call_ra)), 0);
    i_load(o, 3, HR_S, st_at(SCR(save_s)));
    i_load(o, 3, HR_T, st_at(SCR(save_t)));
    i_load(o, 3, HR_I, st_at(SCR(save_i)));
    load_homes(CALLER_SAVED);
    e8(o, 0x9d);
    i_ret(o);

    /* the same where the host's flags do not matter: they are dear to keep */
    x86_host.done_plain = rx_here();
    i_alu_mi(o, 0, ALU_CMP, st_at(SCR(bounce_pending)), 0);
    fix32(i_jcc(o, CC_NZ), x86_host.cb->rw + (x86_host.done - x86_host.cb->rx));
    i_ret(o);
}

/* scratch.arg[0..2] and r11d = kind | width << 5 -> r11 = EFLAGS bits. Everything else is kept, flags are not. */
static void make_eflags(void)
{
    static const uint8_t keep[] = { RAX, RCX, RDX, RSI, RDI, R8, R9, R10 };

    x86_host.eflags = rx_here();
    for (unsigned k = 0; k < sizeof keep; k++)
        i_push(o, keep[k]);
    i_alu_ri(o, 3, ALU_SUB, RSP, 8);
    i_mov_rr(o, 2, RDI, HR_I);
    i_alu_ri(o, 2, ALU_AND, RDI, 31);
    i_mov_rr(o, 2, RSI, HR_I);
    i_shift_i(o, 2, SH_SHR, RSI, 5);
    i_load(o, 3, RDX, st_at(SCR(arg[0])));
    i_load(o, 3, RCX, st_at(SCR(arg[1])));
    i_load(o, 3, R8, st_at(SCR(arg[2])));
    call_c((void *)(uintptr_t)cc_eflags);
    i_mov_rr(o, 2, HR_I, RAX);
    i_alu_ri(o, 3, ALU_ADD, RSP, 8);
    for (unsigned k = sizeof keep; k-- > 0;)
        i_pop(o, keep[k]);
    i_ret(o);
}

/* SIGFPE came from a region: scratch.call_ra = host pc, scratch.ret = function to call. rsp is as in the region. */
static void make_trap(void)
{
    uint8_t *j;

    x86_host.trap = rx_here();
    i_alu_mi(o, 3, ALU_CMP, st_at(SCR(swapped)), 0);
    j = i_jcc8(o, CC_Z);
    i_mov_rr(o, 3, RAX, HR_T);
    i_mov_rr(o, 3, RDX, HR_I);
    i_store_imm(o, 3, st_at(SCR(swapped)), 0);
    fix8(j, o->p);
    store_homes(x86_host.home_regs);
    i_store(o, 3, st_at(SCR(save_s)), HR_S);
    i_store(o, 3, st_at(SCR(save_t)), HR_T);
    i_store(o, 3, st_at(SCR(save_i)), HR_I);
    call_rx(x86_host.nsave);
    i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
    i_load(o, 3, RSI, st_at(SCR(call_ra)));
    i_load(o, 3, RAX, st_at(SCR(ret)));
    i_call_r(o, RAX);
    o->insns++;
    e8(o, 0x0f);                                             /* fn does not return */
    e8(o, 0x0b);
}

uint8_t *thunk_slow(uint32_t desc)
{
    uint8_t *at;

    if (x86_host.slow[desc & 4095])
        return x86_host.cb->rx + x86_host.slow[desc & 4095];
    if (o->p + 64 > x86_host.thunk_limit)
        return NULL;
    at = rx_here();
    if (slow_recovers_address(desc)) {
        if (desc & TCG_D_ALIGN)
            i_shift_i(o, 3, SH_ROL, HR_T, desc & TCG_D_SIZE);
        i_alu_rm(o, 3, ALU_XOR, HR_T, (struct amem){ HR_CTX, HR_I, 0, 0 });
    }
    i_mov_imm(o, HR_I, desc);
    jmp_rx(x86_host.slow_common);
    x86_host.slow[desc & 4095] = (uint32_t)(at - x86_host.cb->rx);
    return at;
}

uint8_t *thunk_again(uint32_t desc)
{
    unsigned size = desc & TCG_D_SIZE, n = desc & TCG_D_ALIGN ? size : 0;
    uint8_t *at, *j;

    if (x86_host.again[desc & 4095])
        return x86_host.cb->rx + x86_host.again[desc & 4095];
    if (o->p + 192 > x86_host.thunk_limit)
        return NULL;
    at = rx_here();
    for (int k = 0; k < GROUP_SLOTS; k++)
        i_store_imm(o, 3, am(RSP, 8 + 8 * k), 0);
    i_store(o, 3, st_at(SCR(save_t)), HR_T);
    i_mov_rr(o, 2, HR_I, HR_T);
    i_shift_i(o, 2, SH_SHR, HR_I, 7);
    i_alu_rm(o, 2, ALU_AND, HR_I, am(HR_CTX, -8));
    i_alu_rm(o, 3, ALU_XOR, HR_T, (struct amem){ HR_CTX, HR_I, 0, desc & TCG_D_WRITE ? 8 : 0 });
    if (n)
        i_shift_i(o, 3, SH_ROR, HR_T, n);
    i_alu_ri(o, 3, ALU_CMP, HR_T, (4096 - (1 << size)) >> n);
    j = i_jcc8(o, CC_A);
    i_load(o, 3, HR_I, (struct amem){ HR_CTX, HR_I, 0, 16 });
    i_ret(o);
    fix8(j, o->p);
    i_load(o, 3, HR_T, st_at(SCR(save_t)));
    i_mov_imm(o, HR_I, desc);
    jmp_rx(x86_host.slow_common);
    x86_host.again[desc & 4095] = (uint32_t)(at - x86_host.cb->rx);
    return at;
}

static uint8_t *make_helper(const struct ir_helper *h)
{
    static const int8_t arg_reg[4] = { RSI, RDX, RCX, R8 };
    bool native = !(h->effects & IR_EFF_GPR) || (h->effects & IR_EFF_LOCK);
    bool sync = (h->effects & (IR_EFF_READS | IR_EFF_WRITES | IR_EFF_FAULTS | IR_EFF_MODE | IR_EFF_CTX)) || native;
    uint8_t *at = rx_here();

    store_homes(sync ? x86_host.home_regs : CALLER_SAVED);
    i_store(o, 3, st_at(SCR(save_s)), HR_S);
    i_store(o, 3, st_at(SCR(save_t)), HR_T);
    i_store(o, 3, st_at(SCR(save_i)), HR_I);
    i_load(o, 3, RAX, am(RSP, 0));
    i_store(o, 3, st_at(SCR(call_ra)), RAX);
    i_alu_ri(o, 3, ALU_SUB, RSP, 8);
    if (native)
        call_rx(x86_host.nsave);
    if (native && x86_host.rt->outside) {
        i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
        i_mov_imm(o, RSI, 1);
        call_c(x86_host.rt->outside);
    }
    if (h->effects & IR_EFF_LOCK) {
        i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
        i_mov_imm(o, RSI, 1);
        call_c(x86_host.rt->lock);
    }
    i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
    for (int k = 0; k < h->args && k < 4; k++)
        i_load(o, 3, arg_reg[k], st_at(SCR(arg[0]) + 8 * k));
    call_c(h->fn);
    if (h->ret)
        i_store(o, 3, st_at(SCR(ret)), RAX);
    if (h->effects & IR_EFF_LOCK) {
        i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
        i_mov_imm(o, RSI, 0);
        call_c(x86_host.rt->lock);
    }
    if (native && x86_host.rt->outside) {
        i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
        i_mov_imm(o, RSI, 0);
        call_c(x86_host.rt->outside);
    }
    if (h->effects & (IR_EFF_CTX | IR_EFF_MODE)) {
        if (x86_host.rt->changed) {
            i_lea(o, 3, RDI, am(HR_STATE, -BIAS));
            call_c(x86_host.rt->changed);
        }
        reload_ctx();
    }
    if (native)
        call_rx(x86_host.nrestore);
    i_store_imm(o, 3, st_at(SCR(call_ra)), 0);
    i_load(o, 3, HR_S, st_at(SCR(save_s)));
    i_load(o, 3, HR_T, st_at(SCR(save_t)));
    i_load(o, 3, HR_I, st_at(SCR(save_i)));
    load_homes(h->effects & IR_EFF_WRITES ? x86_host.home_regs : CALLER_SAVED);
    i_alu_ri(o, 3, ALU_ADD, RSP, 8);
    i_ret(o);
    return at;
}

uint8_t *thunk_helper(const struct ir_helper *h)
{
    unsigned k = (unsigned)(((uintptr_t)h >> 3) * 2654435761u >> 7) % G_N_ELEMENTS(x86_host.helper);

    while (x86_host.helper[k].h && x86_host.helper[k].h != h)
        k = (k + 1) % G_N_ELEMENTS(x86_host.helper);
    if (!x86_host.helper[k].h) {
        if (o->p + 1024 > x86_host.thunk_limit)
            return NULL;
        x86_host.helper[k].off = (uint32_t)(make_helper(h) - x86_host.cb->rx);
        x86_host.helper[k].h = h;
    }
    return x86_host.cb->rx + x86_host.helper[k].off;
}

static uint32_t xgetbv0(void)
{
    uint32_t a, d;

    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

static void host_features(void)
{
    unsigned a, b, c, d;

    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        x86_host.bmi1 = b >> 3 & 1;
        x86_host.bmi2 = b >> 8 & 1;
        x86_host.adx = b >> 19 & 1;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        x86_host.lzcnt = c >> 5 & 1;
    /* VEX-coded instructions need the OS to have enabled AVX state */
    x86_host.avx = __get_cpuid(1, &a, &b, &c, &d) && (c >> 27 & 1) && (c >> 28 & 1) && (xgetbv0() & 6) == 6;
    if (!x86_host.avx)
        x86_host.bmi1 = x86_host.bmi2 = false;
}

bool x86_host_init(struct tcg_codebuf *cb, const struct tcg_guest *guest, const struct tcg_runtime *rt, GError **err)
{
    if (guest->n_slots > MAX_SLOTS || guest->n_vec_pinned > 14) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: guest with %u slots, %u pinned vectors", guest->n_slots, guest->n_vec_pinned);
        return false;
    }
    memset(&x86_host, 0, sizeof x86_host);
    x86_host.cb = cb;
    x86_host.guest = guest;
    x86_host.rt = rt;
    memset(x86_host.slot_of, -1, sizeof x86_host.slot_of);
    for (unsigned s = 0; s < guest->n_slots; s++) {
        int h = guest->slots[s].home;
        x86_host.home[s] = (int8_t)h;
        if (h >= 0) {
            x86_host.slot_of[h] = (int8_t)s;
            x86_host.home_regs |= 1u << h;
            x86_host.pinned |= 1u << s;
        }
    }
    host_features();
    o->p = cb->rw + 64;
    o->insns = 0;
    x86_host.thunk_limit = cb->rw + cb->thunk_end;
    make_nsave();
    make_x87_load();
    make_enter();
    make_leave();
    x86_host.exit_data = rx_here();
    make_exit_data(false);
    x86_host.exit_data32 = rx_here();
    make_exit_data(true);
    make_exit_dead();
    make_lookup();
    make_link();
    make_slow();
    make_eflags();
    make_trap();
    return true;
}

void x86_host_enter(void *state, void *code)
{
    void (*enter)(void *, void *);

    if (!x86_host.avx)
        ((struct tcg_scratch *)((char *)state + x86_host.guest->scratch_offset))->vec_low = 1;      /* there are no upper halves */
    memcpy(&enter, &x86_host.enter, sizeof enter);
    enter(state, code);
}

void tcg_host_trap_redirect(void *uc, void (*fn)(void *state, uint64_t host_pc))
{
    greg_t *r = ((ucontext_t *)uc)->uc_mcontext.gregs;
    struct tcg_scratch *s = (struct tcg_scratch *)((char *)(uintptr_t)r[REG_RBP] - BIAS + x86_host.guest->scratch_offset);

    s->call_ra = (uint64_t)r[REG_RIP];
    s->ret = (uint64_t)(uintptr_t)fn;
    r[REG_RIP] = (greg_t)(uintptr_t)x86_host.trap;
}
