/*
 * cpu_run_one(): a single guest instruction, exactly, outside the cache; and guest memory as the interpreter sees it.
 *
 * Stores into the running region, code in devices, atomics that cross a page, watchpoints: all end here. The interpreter runs the same
 * IR as the back end compiles, so there is one description of every instruction.
 */
#include <string.h>

#include "accel/tcg/accel_priv.h"

/* ---- memory ---- */

static uint64_t access_at(void *state, uint64_t addr, uint32_t desc)
{
    struct tcg_slow_result r = tcg_slow(state, addr, desc);

    return r.status ? tcg_slow_full(state, addr, desc) : r.addend;
}

static void access_done(void *state)
{
    if (accel_of_state(state)->scratch->bounce_pending) {
        tcg_bounce_flush(state);
    }
}

static uint64_t load(uint64_t host, unsigned size)
{
    switch (size) {
    case 0: return __atomic_load_n((uint8_t *)(uintptr_t)host, __ATOMIC_RELAXED);
    case 1: return __atomic_load_n((uint16_t *)(uintptr_t)host, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((uint32_t *)(uintptr_t)host, __ATOMIC_RELAXED);
    default: return __atomic_load_n((uint64_t *)(uintptr_t)host, __ATOMIC_RELAXED);
    }
}

static void store(uint64_t host, unsigned size, uint64_t v)
{
    switch (size) {
    case 0: __atomic_store_n((uint8_t *)(uintptr_t)host, (uint8_t)v, __ATOMIC_RELAXED); break;
    case 1: __atomic_store_n((uint16_t *)(uintptr_t)host, (uint16_t)v, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint32_t *)(uintptr_t)host, (uint32_t)v, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)(uintptr_t)host, v, __ATOMIC_RELAXED); break;
    }
}

static bool exchange(uint64_t host, unsigned size, uint64_t *old, uint64_t v)
{
    bool ok;

    switch (size) {
    case 0: {
        uint8_t o = (uint8_t)*old;

        ok = __atomic_compare_exchange_n((uint8_t *)(uintptr_t)host, &o, (uint8_t)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *old = o;
        return ok;
    }
    case 1: {
        uint16_t o = (uint16_t)*old;

        ok = __atomic_compare_exchange_n((uint16_t *)(uintptr_t)host, &o, (uint16_t)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *old = o;
        return ok;
    }
    case 2: {
        uint32_t o = (uint32_t)*old;

        ok = __atomic_compare_exchange_n((uint32_t *)(uintptr_t)host, &o, (uint32_t)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *old = o;
        return ok;
    }
    default:
        return __atomic_compare_exchange_n((uint64_t *)(uintptr_t)host, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
}

static uint64_t interp_ld(void *state, uint64_t addr, uint32_t desc)
{
    uint64_t addend = access_at(state, addr, desc);

    return desc & TCG_D_READ ? load(addr + addend, desc & TCG_D_SIZE) : 0;
}

static void interp_st(void *state, uint64_t addr, uint32_t desc, uint64_t value)
{
    uint64_t addend = access_at(state, addr, desc);

    store(addr + addend, desc & TCG_D_SIZE, value);
    access_done(state);
}

static void interp_ld_bytes(void *state, uint64_t addr, uint32_t desc, void *buf)
{
    uint64_t addend = access_at(state, addr, desc);

    memcpy(buf, (void *)(uintptr_t)(addr + addend), 1u << (desc & TCG_D_SIZE));
}

static void interp_st_bytes(void *state, uint64_t addr, uint32_t desc, const void *buf)
{
    uint64_t addend = access_at(state, addr, desc);

    memcpy((void *)(uintptr_t)(addr + addend), buf, 1u << (desc & TCG_D_SIZE));
    access_done(state);
}

static uint64_t interp_rmw(void *state, uint64_t addr, uint32_t desc, uint64_t (*fn)(uint64_t old, void *opaque), void *opaque)
{
    uint64_t host = addr + access_at(state, addr, desc), old;
    unsigned size = desc & TCG_D_SIZE;

    old = load(host, size);
    if (desc & TCG_D_ATOMIC) {
        while (!exchange(host, size, &old, fn(old, opaque))) {
        }
    } else {
        store(host, size, fn(old, opaque));
    }
    access_done(state);
    return old;
}

static void interp_trap(void *state, enum tcg_trap trap, uint64_t addr)
{
    tcg_trap(accel_of_state(state), trap, addr);
}

const struct tcg_interp_mem tcg_interp_mem = {
    .ld = interp_ld,
    .st = interp_st,
    .ld_bytes = interp_ld_bytes,
    .st_bytes = interp_st_bytes,
    .rmw = interp_rmw,
    .changed = tcg_changed,
    .lock = tcg_lock,
    .outside = tcg_outside,
    .trap = interp_trap,
};

/* ---- one instruction ---- */

uint32_t cpu_run_one(struct cpu *c)
{
    struct accel_cpu *ac = c->accel;
    struct ir *ir;
    uint32_t reason;

    ac->st.ones++;
    ctx_select(ac);
    ir = code_one(ac);
    if (!ir) {
        return TCG_EXIT_RAISED;
    }
    ac->env->pcbase = ac->env->pc & PAGE_MASK;
    ac->interp_region = NULL;
    vcpu_in(ac);
    ac->in_enter = true;
    reason = tcg_interp(ac->state, ir, &tcg_interp_mem);
    ac->in_enter = false;
    vcpu_out(ac);
    return reason;
}
