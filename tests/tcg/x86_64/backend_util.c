#include "tests/tcg/x86_64/backend_util.h"

#include <capstone/capstone.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/log.h"

struct bt bt;

static struct tcg_tlb tlb __attribute__((aligned(64)));
static struct tcg_jump jumps[JUMP_ENTRIES];

/* ---- restoring ---- */

static uint64_t loc_value(struct randir_state *s, const struct tcg_loc *l, uint64_t kept)
{
    switch (l->kind) {
    case LOC_SLOT: return s->gpr[l->v] >> (l->high8 ? 8 : 0);
    case LOC_S: return s->tcg.save_s;
    case LOC_T: return s->tcg.save_t;
    case LOC_I: return s->tcg.save_i;
    case LOC_STACK: return *(uint64_t *)(s->tcg.host_rsp + (uint64_t)l->v);
    case LOC_CONST: return (uint64_t)(int64_t)l->v;
    case LOC_ENV_CARRY: return cc_eflags(s->env.cc_op & 31, s->env.cc_op >> 5, s->env.cc_a, s->env.cc_b, s->env.cc_c) & 1;
    default: return kept;
    }
}

static const struct tcg_map_row *row_of(uint64_t host)
{
    uint32_t off = (uint32_t)(host - (uint64_t)(uintptr_t)bt.code.rx);
    for (uint32_t i = 0; i < bt.code.n_map; i++)
        if (bt.code.map[i].host_off == off)
            return &bt.code.map[i];
    fprintf(stderr, "no map row for offset 0x%x\n", off);
    abort();
}

static void restore(struct randir_state *s, const struct tcg_map_row *r)
{
    s->env.pc = s->env.pcbase + (uint64_t)(int64_t)r->pc_off;
    if (r->cc != TCG_CC_KEPT) {
        uint64_t a = loc_value(s, &r->loc[0], s->env.cc_a), b = loc_value(s, &r->loc[1], s->env.cc_b);
        uint64_t c = loc_value(s, &r->loc[2], s->env.cc_c);
        s->env.cc_a = a;
        s->env.cc_b = b;
        s->env.cc_c = c;
        s->env.cc_op = r->cc;
    }
}

/* Called with the guest's vectors live; the address sanitizer's code before calls that do not return would use them. */
#define VECTORS_LIVE __attribute__((no_sanitize("address")))

static VECTORS_LIVE void raise_at(struct randir_state *s, uint64_t host)
{
    s->faults++;
    restore(s, row_of(host));
    tcg_unwind(s, TCG_EXIT_RAISED);
}

/* ---- runtime ---- */

static uint8_t *ram_at(struct randir_state *s, uint64_t addr, unsigned size)
{
    if (addr - RANDIR_LOW <= RANDIR_RAM - size)
        return s->ram + (addr - RANDIR_LOW);
    if (addr - RANDIR_HIGH <= RANDIR_RAM - size)
        return s->ram + (addr - RANDIR_HIGH);
    return NULL;
}

static VECTORS_LIVE struct tcg_slow_result slow(void *state, uint64_t addr, uint32_t desc)
{
    struct randir_state *s = state;
    unsigned size = 1u << (desc & TCG_D_SIZE);
    uint8_t *at = ram_at(s, addr, size);
    struct tlb_entry *e = &bt.tlb->entry[addr >> 12 & (TLB_ENTRIES - 1)];
    uint64_t addend;

    bt.slow_calls++;
    if (!at || ((desc & TCG_D_ALIGN) && (addr & (size - 1))))
        raise_at(s, s->tcg.call_ra);
    if ((addr & 4095) + size > 4096 || ((bt.mode & BT_BOUNCE) && (randir_next(&bt.rng) & 1)))
        return (struct tcg_slow_result){ 0, 1 };
    addend = (uint64_t)(uintptr_t)at - addr;
    if (bt.mode & BT_FILL) {
        atomic_store(&e->read, addr & ~4095ull);
        atomic_store(&e->write, desc & TCG_D_WRITE ? addr & ~4095ull : tlb_invalid_tag((unsigned)(addr >> 12) & (TLB_ENTRIES - 1)));
        e->addend = addend;
    }
    return (struct tcg_slow_result){ addend, 0 };
}

static uint64_t slow_full(void *state, uint64_t addr, uint32_t desc)
{
    struct randir_state *s = state;
    unsigned size = 1u << (desc & TCG_D_SIZE);

    memset(s->tcg.bounce, 0xcc, sizeof s->tcg.bounce);
    if (desc & TCG_D_READ)
        memcpy(s->tcg.bounce, ram_at(s, addr, size), size);
    if (desc & TCG_D_WRITE && !(desc & TCG_D_PROBE)) {
        s->tcg.bounce_pending = 1;
        s->tcg.bounce_addr = addr;
        s->tcg.bounce_size = size;
    }
    return (uint64_t)(uintptr_t)s->tcg.bounce - addr;
}

static void bounce_flush(void *state)
{
    struct randir_state *s = state;
    row_of(s->tcg.call_ra);
    memcpy(ram_at(s, s->tcg.bounce_addr, s->tcg.bounce_size), s->tcg.bounce, s->tcg.bounce_size);
    s->tcg.bounce_pending = 0;
    bt.flushes++;
}

static void *link_full(void *state, uint64_t ra)
{
    struct randir_state *s = state;
    uint32_t off = (uint32_t)(ra - (uint64_t)(uintptr_t)bt.code.rx);

    bt.link_calls++;
    if (bt.link_hook)
        return bt.link_hook(ra);
    for (uint32_t i = 0; i < bt.code.n_exits; i++)
        if (bt.code.exits[i].link_ra == off) {
            const struct ir_exit *e = &bt.ir->exits[bt.code.exits[i].target];
            s->env.pc = s->env.pcbase + (uint64_t)(int64_t)e->off;
            if (e->wrap32)
                s->env.pc = (uint32_t)s->env.pc;
            return NULL;
        }
    fprintf(stderr, "no exit for offset 0x%x\n", off);
    abort();
}

static void *lookup(void *state, uint64_t pc)
{
    (void)state, (void)pc;
    return NULL;
}

static void changed(void *state) { (void)state; }
static void lock(void *state, bool on) { (void)state, (void)on; }

static const struct tcg_runtime runtime = {
    .slow = slow, .slow_full = slow_full, .bounce_flush = bounce_flush, .link_full = link_full, .lookup = lookup,
    .changed = changed, .lock = lock,
};

static VECTORS_LIVE void trapped(void *state, uint64_t pc) { raise_at(state, pc); }

static void on_fpe(int sig, siginfo_t *si, void *uc)
{
    uint64_t pc = (uint64_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
    (void)si;
    if (!codebuf_holds(&bt.cb, pc)) {
        signal(sig, SIG_DFL);
        return;
    }
    tcg_host_trap_redirect(uc, trapped);
}

void bt_open(void)
{
    struct sigaction sa = { .sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO | SA_NODEFER };
    GError *err = NULL;

    memset(&bt, 0, sizeof bt);
    if (getenv("RANDIR_SHOW"))
        log_set_items("unimp", &err);                        /* says why a region does not compile */
    if (!codebuf_init(&bt.cb, 16 << 20, &err) || !tcg_backend_x86_64.init(&bt.cb, &randir_guest, &runtime, &err)) {
        fprintf(stderr, "%s\n", err->message);
        abort();
    }
    sigaction(SIGFPE, &sa, NULL);
    bt.tlb = &tlb;
    bt.mode = BT_FILL;
    bt.rng = 1;
}

bool bt_compile(struct ir *ir, struct arena *a)
{
    bt.ir = ir;
    if (tcg_backend_x86_64.compile(&bt.cb, ir, a, &bt.code))
        return true;
    codebuf_next_generation(&bt.cb);
    return tcg_backend_x86_64.compile(&bt.cb, ir, a, &bt.code);
}

uint32_t bt_run(struct randir_state *s)
{
    bt.s = s;
    tlb.h.mask = (TLB_ENTRIES - 1) * sizeof(struct tlb_entry);
    tlb.h.jump = jumps;
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        atomic_store_explicit(&tlb.entry[i].read, tlb_invalid_tag(i), memory_order_relaxed);
        atomic_store_explicit(&tlb.entry[i].write, tlb_invalid_tag(i), memory_order_relaxed);
    }
    for (unsigned i = 0; i < JUMP_ENTRIES; i++)
        jumps[i].pc = jump_invalid_pc(i);
    s->env.ctx = &tlb;
    s->env.jt = jumps;
    tcg_backend_x86_64.enter(s, bt.code.rx);
    return s->tcg.exit_reason;
}

static void print_line(void *opaque, const char *text) { (void)opaque; fprintf(stderr, "%s\n", text); }

void bt_dump_ir(const struct ir *ir) { ir_dump(ir, print_line, NULL); }

void bt_dump(const struct ir *ir)
{
    csh h;
    cs_insn *insn;
    size_t n;

    ir_dump(ir, print_line, NULL);
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &h) != CS_ERR_OK)
        return;
    cs_option(h, CS_OPT_SKIPDATA, CS_OPT_ON);
    n = cs_disasm(h, bt.code.rx, bt.code.size, 0, 0, &insn);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%4lx%s %s %s\n", (unsigned long)insn[i].address, insn[i].address >= bt.code.hot_size ? "." : " ", insn[i].mnemonic, insn[i].op_str);
    cs_free(insn, n);
    cs_close(&h);
}
