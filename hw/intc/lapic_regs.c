/*
 * The local APIC's registers: MMIO page, x2APIC MSRs, IA32_APIC_BASE, IA32_TSC_DEADLINE.
 * Spec: Intel SDM vol. 3, 11.4.1 (MMIO), 11.12 (x2APIC); register numbers are MMIO offsets / 16 = MSR - 0x800 (table 11-6).
 */
#include <inttypes.h>

#include "base/log.h"
#include "core/cpu.h"
#include "core/machine.h"
#include "hw/intc/lapic_priv.h"

enum {
    R_ID = 0x02, R_VERSION = 0x03, R_TPR = 0x08, R_APR = 0x09, R_PPR = 0x0a, R_EOI = 0x0b, R_RRD = 0x0c, R_LDR = 0x0d,
    R_DFR = 0x0e, R_SVR = 0x0f, R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28, R_CMCI = 0x2f, R_ICR = 0x30,
    R_ICR2 = 0x31, R_LVT_TIMER = 0x32, R_LVT_ERROR = 0x37, R_INITIAL = 0x38, R_CURRENT = 0x39, R_DIVIDE = 0x3e, R_SELF_IPI = 0x3f,
};

#define MSR_APIC_BASE    0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800
#define BASE_WRITABLE    (0xffffffffff000ull | X86_APIC_BASE_BSP | X86_APIC_BASE_X2 | X86_APIC_BASE_ENABLE)

#define BASE_ADDRESS     0xffffffffff000ull

#define VERSION      (0x14u | (LVT_ERROR - 1) << 16)    /* no CMCI row: max LVT entry is 5 */
#define ICR_PENDING  (1u << 12)

static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_CMCI] = 0x107ff, [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PMC] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};

static void write_lvt(struct lapic *l, unsigned n, uint32_t value)
{
    unsigned old_mode = lapic_timer_mode(l);

    if (n == LVT_TIMER) {
        lapic_timer_catch_up(l);
    }
    l->lvt[n] = (value & lvt_writable[n]) | (l->svr & SVR_ENABLE ? 0 : LVT_MASKED);
    if (n == LVT_TIMER && lapic_timer_mode(l) != old_mode) {
        if (lapic_timer_mode(l) == TIMER_DEADLINE || old_mode == TIMER_DEADLINE) {
            l->initial_count = 0;                  /* 11.5.4.1: a change into or out of this mode disarms */
            l->deadline = 0;
        }
        lapic_timer_settle(l);
    } else if ((n == LVT_LINT0 && (l->lint_level & 1) && ((value & LVT_LEVEL) || (value >> 8 & 7) == APIC_EXTINT))) {
        lapic_local_event(l, n);
    }
}

/* --- registers --- */

static void write_svr(struct lapic *l, uint32_t value)
{
    l->svr = value & 0x3ff;
    if (!(value & SVR_ENABLE)) {
        for (unsigned i = 0; i < LVT_COUNT; i++) {
            l->lvt[i] |= LVT_MASKED;
        }
    }
}

static unsigned lvt_index(unsigned reg) { return reg == R_CMCI ? (unsigned)LVT_CMCI : reg - R_LVT_TIMER + LVT_TIMER; }

/* Registers that both modes share. False: there is none. */
static bool reg_read(struct lapic *l, unsigned reg, uint32_t *value)
{
    switch (reg) {
    case R_ID:      *value = lapic_x2_mode(l) ? l->x86.id : l->x86.id << 24; return true;
    case R_VERSION: *value = VERSION; return true;
    case R_TPR:     *value = l->tpr; return true;
    case R_PPR:     *value = lapic_priority(l); return true;
    case R_LDR:     *value = lapic_logical_id(l); return true;
    case R_SVR:     *value = l->svr; return true;
    case R_ISR ... R_ISR + 7: *value = l->isr[reg - R_ISR]; return true;
    case R_TMR ... R_TMR + 7: *value = l->tmr[reg - R_TMR]; return true;
    case R_IRR ... R_IRR + 7: *value = __atomic_load_n(&l->irr[reg - R_IRR], __ATOMIC_RELAXED); return true;
    case R_ESR:     *value = l->esr; return true;
    case R_ICR:     *value = l->icr; return true;
    case R_LVT_TIMER ... R_LVT_ERROR: *value = l->lvt[lvt_index(reg)]; return true;
    case R_INITIAL: *value = l->initial_count; return true;
    case R_DIVIDE:  *value = l->divide; return true;
    case R_CURRENT: {
        bool taken = lapic_lock(l);
        *value = lapic_timer_count(l);
        lapic_unlock(l, taken);
        return true;
    }
    }
    return false;
}

static bool reg_write(struct lapic *l, unsigned reg, uint32_t value)
{
    bool taken = false;
    switch (reg) {
    case R_TPR:     lapic_set_tpr(l, value); return true;
    case R_EOI:     lapic_eoi(l); return true;
    case R_ESR:
        l->esr = __atomic_exchange_n(&l->esr_pending, 0, __ATOMIC_SEQ_CST);
        return true;
    case R_SVR:
        taken = lapic_lock(l);
        write_svr(l, value);
        break;
    case R_LVT_TIMER ... R_LVT_ERROR:
        taken = lapic_lock(l);
        write_lvt(l, lvt_index(reg), value);
        break;
    case R_INITIAL:
        taken = lapic_lock(l);
        lapic_timer_catch_up(l);
        if (lapic_timer_mode(l) != TIMER_DEADLINE) {
            l->initial_count = value;
            l->expired = false;
            l->count_start = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS);
            lapic_timer_settle(l);
        }
        break;
    case R_DIVIDE: {
        taken = lapic_lock(l);
        lapic_timer_catch_up(l);
        uint32_t left = lapic_timer_count(l);
        l->divide = value & 0xb;
        if (left) {                                /* the count goes on at the new rate */
            l->count_start = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS) - lapic_timer_ns(l, l->initial_count - left);
            lapic_timer_settle(l);
        }
        break;
    }
    default:
        return false;
    }
    lapic_unlock(l, taken);
    return true;
}

static bool has_msr(unsigned reg, bool write)
{
    switch (reg) {                                 /* SDM table 11-6 */
    case R_ID: case R_VERSION: case R_PPR: case R_LDR: case R_CURRENT:
    case R_ISR ... R_IRR + 7:
        return !write;
    case R_EOI: case R_SELF_IPI:
        return write;
    case R_TPR: case R_SVR: case R_ESR: case R_ICR: case R_LVT_TIMER ... R_INITIAL: case R_DIVIDE:
        return true;
    }
    return false;
}

static bool x2_write(struct lapic *l, unsigned reg, uint64_t value)
{
    if (!has_msr(reg, true) || (reg != R_ICR && value >> 32)) {
        return false;
    }
    switch (reg) {
    case R_ICR:
        if (value & 0xfff32000u) {
            return false;
        }
        l->icr = value & ~(uint64_t)ICR_PENDING;
        lapic_send_icr(l);
        return true;
    case R_SELF_IPI:
        if (value > 0xff) {
            return false;
        }
        if (value < 16) {
            lapic_set_error(l, ESR_SEND_ILLEGAL);
        } else {
            lapic_accept_fixed(l, value, false);
        }
        return true;
    case R_EOI:
    case R_ESR:
        return value == 0 && reg_write(l, reg, 0);
    case R_TPR:
        return value <= 0xff && reg_write(l, reg, value);
    case R_SVR:
        return !(value & ~0x3ffull) && reg_write(l, reg, value);
    case R_DIVIDE:
        return !(value & ~0xbull) && reg_write(l, reg, value);
    case R_LVT_TIMER ... R_LVT_ERROR:
        return !(value & ~(uint64_t)(lvt_writable[lvt_index(reg)] | 0x5000)) && reg_write(l, reg, value);
    }
    return reg_write(l, reg, value);
}

/* --- MSRs --- */

/* One page serves all CPUs, so it lies where it was put last. */
void lapic_move(struct lapic *l, uint64_t to)
{
    if (l->bus && l->bus->mmio && l->bus->mmio->addr != to) {
        region_move(l->bus->mmio, to);
    }
}

static bool write_base(struct lapic *l, uint64_t value)
{
    uint64_t old = atomic_load(&l->x86.base);
    bool was_on = old & X86_APIC_BASE_ENABLE, was_x2 = old & X86_APIC_BASE_X2;
    bool on = value & X86_APIC_BASE_ENABLE, x2 = value & X86_APIC_BASE_X2;
    /* 11.12.5: x2 without enable is invalid, as are x2 -> xAPIC and disabled -> x2 */
    if ((value & ~BASE_WRITABLE) || (x2 && !on) || (was_x2 && on && !x2) || (!was_on && x2)) {
        return false;
    }
    bool taken = lapic_lock(l);
    lapic_move(l, value & BASE_ADDRESS);
    atomic_store(&l->x86.base, value);
    if (was_on && !on) {
        lapic_reset_registers(l);
    } else if (x2 && !was_x2) {
        l->icr &= 0xffffffff;
    }
    lapic_unlock(l, taken);
    return true;
}

bool lapic_msr_read(struct x86_lapic *x, uint32_t msr, uint64_t *value)
{
    struct lapic *l = lapic_of(x);
    uint32_t low = 0;
    if (msr == MSR_APIC_BASE) {
        *value = atomic_load(&x->base);
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        *value = lapic_timer_mode(l) == TIMER_DEADLINE ? l->deadline : 0;
        return true;
    }
    unsigned reg = msr - MSR_X2APIC;
    if (reg > 0xff || !lapic_x2_mode(l) || !has_msr(reg, false)) {
        return false;
    }
    if (reg == R_ICR) {
        *value = l->icr;
        return true;
    }
    bool ok = reg_read(l, reg, &low);
    *value = low;
    return ok;
}

bool lapic_msr_write(struct x86_lapic *x, uint32_t msr, uint64_t value)
{
    struct lapic *l = lapic_of(x);
    if (msr == MSR_APIC_BASE) {
        return write_base(l, value);
    }
    if (msr == MSR_TSC_DEADLINE) {
        bool taken = lapic_lock(l);
        lapic_timer_catch_up(l);
        if (lapic_timer_mode(l) == TIMER_DEADLINE) {
            l->deadline = value;
            lapic_timer_settle(l);
        }
        lapic_unlock(l, taken);
        return true;
    }
    unsigned reg = msr - MSR_X2APIC;
    return reg <= 0xff && lapic_x2_mode(l) && x2_write(l, reg, value);
}

/* --- MMIO: one page for all, the accessing thread says whose APIC it is --- */

static struct lapic *current_lapic(struct apic_bus *b)
{
    struct cpu *c = cpu_current();
    unsigned i = c ? c->index : 0;                 /* none: a debugger looks, or a test */
    return i < b->n_cpus ? b->cpus[i] : NULL;
}

static bool mmio_on(const struct lapic *l)
{
    return l && x86_lapic_enabled(&l->x86) && !lapic_x2_mode(l);
}

static enum access_status lapic_mmio_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct lapic *l = current_lapic(opaque);
    uint32_t v = 0;
    unsigned reg = offset >> 4;
    (void)size;
    if (!mmio_on(l)) {
        *value = 0xffffffff;
        return ACCESS_NONE;
    }
    if (offset & 0xf) {
        v = 0;
    } else if (reg == R_DFR) {
        v = l->dfr;
    } else if (reg == R_ICR2) {
        v = l->icr >> 32;
    } else if (!reg_read(l, reg, &v) && reg != R_APR && reg != R_RRD && reg != R_EOI && reg != R_CMCI) {
        lapic_set_error(l, ESR_REGISTER);
    }
    *value = v;
    return ACCESS_OK;
}

static enum access_status lapic_mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct lapic *l = current_lapic(opaque);
    unsigned reg = offset >> 4;
    (void)size;
    if (!mmio_on(l)) {
        return ACCESS_NONE;
    }
    if (offset & 0xf) {
        log_guest("lapic %u: write at unaligned offset 0x%x", l->x86.id, (unsigned)offset);
        return ACCESS_OK;
    }
    switch (reg) {
    case R_LDR:
        l->ldr = value & 0xff000000;
        break;
    case R_DFR:
        l->dfr = value | 0x0fffffff;
        break;
    case R_ICR2:
        l->icr = (l->icr & 0xffffffff) | (value & 0xff000000) << 32;
        break;
    case R_ICR:
        l->icr = (l->icr & ~0xffffffffull) | (value & 0xcdfff & ~ICR_PENDING);
        lapic_send_icr(l);
        break;
    case R_ID:                                     /* read-only since the Pentium 4; guests write it back */
        break;
    default:
        if (!reg_write(l, reg, value)) {
            lapic_set_error(l, ESR_REGISTER);
            log_guest("lapic %u: write of 0x%x to register 0x%x", l->x86.id, (unsigned)value, (unsigned)offset);
        }
    }
    return ACCESS_OK;
}

const struct region_ops lapic_mmio_ops = {
    .read = lapic_mmio_read, .write = lapic_mmio_write, .min_size = 4, .max_size = 4, .unlocked = true,
};
