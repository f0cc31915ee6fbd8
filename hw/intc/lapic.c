/*
 * Local APIC in xAPIC and x2APIC mode, with its timer (one-shot, periodic, TSC deadline).
 * Spec: Intel SDM vol. 3, chapter 11; register numbers below are MMIO offsets / 16 = x2APIC MSR - 0x800 (table 11-6).
 * Left out: relocation of the MMIO page (IA32_APIC_BASE keeps what is written, the page stays), directed EOI, thermal and
 * performance events (nothing here makes them). Threads: see core/x86_intc.h.
 */
#include "hw/intc/lapic.h"

#include <inttypes.h>

#include "base/log.h"
#include "core/cpu.h"
#include "core/machine.h"

enum {
    R_ID = 0x02, R_VERSION = 0x03, R_TPR = 0x08, R_APR = 0x09, R_PPR = 0x0a, R_EOI = 0x0b, R_RRD = 0x0c, R_LDR = 0x0d,
    R_DFR = 0x0e, R_SVR = 0x0f, R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28, R_CMCI = 0x2f, R_ICR = 0x30,
    R_ICR2 = 0x31, R_LVT_TIMER = 0x32, R_LVT_ERROR = 0x37, R_INITIAL = 0x38, R_CURRENT = 0x39, R_DIVIDE = 0x3e, R_SELF_IPI = 0x3f,
};

#define MSR_APIC_BASE    0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800
#define BASE_WRITABLE    (0xffffff000ull | X86_APIC_BASE_BSP | X86_APIC_BASE_X2 | X86_APIC_BASE_ENABLE)

#define VERSION      (0x14u | (LVT_ERROR - 1) << 16)    /* no CMCI row: max LVT entry is 5 */
#define SVR_ENABLE   0x100u
#define LVT_MASKED   (1u << 16)
#define LVT_LEVEL    (1u << 15)
#define ICR_PENDING  (1u << 12)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
enum { ESR_SEND_ILLEGAL = 1u << 5, ESR_RECEIVE_ILLEGAL = 1u << 6, ESR_REGISTER = 1u << 7 };

/* A guest that programs a period of a few ns must not keep the main loop from its other work. */
#define MIN_PERIOD_NS 20000u

static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_CMCI] = 0x107ff, [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PMC] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};

static struct lapic *of_x86(const struct x86_lapic *x)
{
    return (struct lapic *)((char *)x - offsetof(struct lapic, x86));
}

static bool lock(struct lapic *l)
{
    bool take = !machine_locked(l->dev.machine);
    if (take) {
        machine_lock(l->dev.machine);
    }
    return take;
}

static void unlock(struct lapic *l, bool taken)
{
    if (taken) {
        machine_unlock(l->dev.machine);
    }
}

/* --- 256-bit registers --- */

static void bit_set(uint32_t *r, uint8_t v)   { __atomic_fetch_or(&r[v / 32], 1u << v % 32, __ATOMIC_SEQ_CST); }
static void bit_clear(uint32_t *r, uint8_t v) { __atomic_fetch_and(&r[v / 32], ~(1u << v % 32), __ATOMIC_SEQ_CST); }
static bool bit_test(const uint32_t *r, uint8_t v) { return __atomic_load_n(&r[v / 32], __ATOMIC_RELAXED) >> v % 32 & 1; }

static int bit_highest(const uint32_t *r)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t w = __atomic_load_n(&r[i], __ATOMIC_ACQUIRE);
        if (w) {
            return i * 32 + 31 - __builtin_clz(w);
        }
    }
    return -1;
}

/* --- state questions --- */

static bool x2_mode(const struct lapic *l)
{
    return atomic_load_explicit(&((struct lapic *)l)->x86.base, memory_order_relaxed) & X86_APIC_BASE_X2;
}

bool lapic_software_enabled(const struct lapic *l)
{
    return x86_lapic_enabled(&l->x86) && (l->svr & SVR_ENABLE);
}

unsigned lapic_priority(const struct lapic *l)
{
    int in_service = bit_highest(l->isr);
    unsigned isr_class = in_service < 0 ? 0 : in_service & 0xf0;
    return (l->tpr & 0xf0) >= isr_class ? l->tpr : isr_class;
}

static uint32_t logical_id(const struct lapic *l)
{
    return x2_mode(l) ? (l->x86.id >> 4) << 16 | 1u << (l->x86.id & 15) : l->ldr;
}

bool lapic_is_meant(const struct lapic *l, const struct apic_msg *m)
{
    if (!x86_lapic_enabled(&l->x86)) {
        return false;
    }
    uint32_t dest = m->dest, ldr = logical_id(l);
    if (dest == (m->x2 ? 0xffffffffu : 0xffu)) {
        return true;
    }
    if (!m->logical) {
        return dest == l->x86.id;
    }
    if (x2_mode(l)) {
        return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
    }
    if (l->dfr >> 28 == 0xf) {
        return ldr >> 24 & dest & 0xff;
    }
    return (ldr >> 28 == (dest >> 4 & 0xf) || (dest >> 4 & 0xf) == 0xf) && (ldr >> 24 & dest & 0xf);
}

static bool extint_accepted(const struct lapic *l)
{
    uint32_t lvt = l->lvt[LVT_LINT0];
    if (!x86_lapic_enabled(&l->x86)) {
        return true;                               /* 11.4.3: LINT0 is the INTR pin then */
    }
    return !(lvt & LVT_MASKED) && (lvt >> 8 & 7) == APIC_EXTINT;
}

static bool extint_waiting(const struct lapic *l)
{
    return (__atomic_load_n(&l->lint_level, __ATOMIC_ACQUIRE) & 1 && extint_accepted(l)) ||
           __atomic_load_n(&l->extint_message, __ATOMIC_ACQUIRE);
}

static int deliverable(const struct lapic *l)
{
    int v = bit_highest(l->irr);
    return v >= 0 && (unsigned)(v & 0xf0) > (lapic_priority(l) & 0xf0) ? v : -1;
}

/* --- accepting --- */

static void set_error(struct lapic *l, uint32_t bit);

static void accept_fixed(struct lapic *l, uint8_t vector, bool level)
{
    if (!lapic_software_enabled(l)) {
        return;
    }
    if (vector < 16) {
        set_error(l, ESR_RECEIVE_ILLEGAL);
        return;
    }
    if (level) {
        bit_set(l->tmr, vector);
    } else {
        bit_clear(l->tmr, vector);
    }
    bit_set(l->irr, vector);
    cpu_request(l->x86.cpu, CPU_REQ_IRQ);
}

void lapic_accept(struct lapic *l, const struct apic_msg *m)
{
    switch (m->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        accept_fixed(l, m->vector, m->level);
        break;
    case APIC_SMI:
        cpu_request(l->x86.cpu, CPU_REQ_SMI);
        break;
    case APIC_NMI:
        cpu_request(l->x86.cpu, CPU_REQ_NMI);
        break;
    case APIC_INIT:
        cpu_request(l->x86.cpu, CPU_REQ_INIT);
        break;
    case APIC_SIPI:
        atomic_store(&l->x86.sipi_vector, m->vector);
        cpu_request(l->x86.cpu, CPU_REQ_SIPI);
        break;
    case APIC_EXTINT:
        __atomic_store_n(&l->extint_message, 1, __ATOMIC_SEQ_CST);
        cpu_request(l->x86.cpu, CPU_REQ_IRQ);
        break;
    default:
        log_guest("apic: message with reserved delivery mode %u", m->mode);
    }
}

/* A local event: what its LVT entry says (11.5.1). */
static void local_event(struct lapic *l, unsigned n)
{
    uint32_t lvt = l->lvt[n];
    if ((lvt & LVT_MASKED) || !x86_lapic_enabled(&l->x86)) {
        return;
    }
    unsigned mode = n == LVT_TIMER || n == LVT_ERROR ? (unsigned)APIC_FIXED : lvt >> 8 & 7;
    bool level = (n == LVT_LINT0) && (lvt & LVT_LEVEL);
    if (mode == APIC_EXTINT) {
        cpu_request(l->x86.cpu, CPU_REQ_IRQ);      /* lint_level says the rest */
    } else if (mode != APIC_SIPI && mode != APIC_LOWEST) {
        lapic_accept(l, &(struct apic_msg){ .vector = lvt & 0xff, .mode = mode, .level = level });
    }
}

static void set_error(struct lapic *l, uint32_t bit)
{
    uint32_t old = __atomic_fetch_or(&l->esr_pending, bit, __ATOMIC_SEQ_CST);
    if (!(old & bit) && (l->lvt[LVT_ERROR] & 0xff) >= 16) {     /* an illegal error vector must not recurse */
        local_event(l, LVT_ERROR);
    }
}

void lapic_lint(void *opaque, unsigned n, int level)
{
    struct lapic *l = opaque;
    uint8_t bit = 1u << n;
    if (!level) {
        __atomic_fetch_and(&l->lint_level, (uint8_t)~bit, __ATOMIC_SEQ_CST);
        return;
    }
    if (__atomic_fetch_or(&l->lint_level, bit, __ATOMIC_SEQ_CST) & bit) {
        return;
    }
    if (x86_lapic_enabled(&l->x86)) {
        local_event(l, LVT_LINT0 + n);
    } else {
        cpu_request(l->x86.cpu, n ? CPU_REQ_NMI : CPU_REQ_IRQ);
    }
}

/* --- the CPU's side --- */

static bool lapic_has_irq(struct x86_lapic *x)
{
    struct lapic *l = of_x86(x);
    return deliverable(l) >= 0 || extint_waiting(l);
}

static int lapic_ack(struct x86_lapic *x)
{
    struct lapic *l = of_x86(x);
    int v = deliverable(l);
    if (v >= 0) {
        bit_clear(l->irr, v);
        bit_set(l->isr, v);
        return v;
    }
    if (!extint_waiting(l) || !l->extint_source.ack) {
        return -1;
    }
    bool taken = lock(l);
    __atomic_store_n(&l->extint_message, 0, __ATOMIC_SEQ_CST);
    v = l->extint_source.ack(l->extint_source.owner);
    unlock(l, taken);
    return v;
}

static void ring_if_deliverable(struct lapic *l)
{
    if (lapic_has_irq(&l->x86)) {
        cpu_request(l->x86.cpu, CPU_REQ_IRQ);
    }
}

static uint8_t lapic_get_cr8(struct x86_lapic *x) { return of_x86(x)->tpr >> 4; }

static void set_tpr(struct lapic *l, uint8_t tpr)
{
    l->tpr = tpr;
    ring_if_deliverable(l);
}

static void lapic_set_cr8(struct x86_lapic *x, uint8_t cr8) { set_tpr(of_x86(x), cr8 << 4 & 0xf0); }

static void eoi(struct lapic *l)
{
    int v = bit_highest(l->isr);
    if (v < 0) {
        return;
    }
    bit_clear(l->isr, v);
    if (bit_test(l->tmr, v)) {
        bool taken = lock(l);
        apic_bus_eoi(l->bus, v);
        uint32_t lvt = l->lvt[LVT_LINT0];
        if ((l->lint_level & 1) && (lvt & LVT_LEVEL) && (lvt & 0x7ff) == (uint32_t)v) {
            local_event(l, LVT_LINT0);
        }
        unlock(l, taken);
    }
    ring_if_deliverable(l);
}

static void send_icr(struct lapic *l)
{
    uint32_t lo = l->icr;
    struct apic_msg m = {
        .dest = x2_mode(l) ? l->icr >> 32 : l->icr >> 56, .x2 = x2_mode(l),
        .vector = lo & 0xff, .mode = lo >> 8 & 7, .logical = lo >> 11 & 1,
        .level = false,                            /* 11.6.1: IPIs are edge on all CPUs since the Pentium 4 */
    };
    if (m.mode == APIC_INIT && (lo & LVT_LEVEL) && !(lo & 1u << 14)) {
        return;                                    /* INIT level de-assert: Pentium only */
    }
    if (m.mode == 3 || m.mode == APIC_EXTINT) {
        log_guest("lapic %u: IPI with reserved delivery mode %u", l->x86.id, m.mode);
        return;
    }
    if (m.mode <= APIC_LOWEST && m.vector < 16) {
        set_error(l, ESR_SEND_ILLEGAL);
        return;
    }
    unsigned shorthand = lo >> 18 & 3;
    if (shorthand == 0) {
        apic_bus_send(l->bus, &m);
    } else if (shorthand == 1) {
        lapic_accept(l, &m);
    } else {
        for (unsigned i = 0; i < l->bus->n_cpus; i++) {
            if ((shorthand == 2 || l->bus->cpus[i] != l) && x86_lapic_enabled(&l->bus->cpus[i]->x86)) {
                lapic_accept(l->bus->cpus[i], &m);
            }
        }
    }
}

/* --- timer; all with the machine lock --- */

static unsigned timer_mode(const struct lapic *l) { return l->lvt[LVT_TIMER] >> 17 & 3; }

static unsigned divisor(const struct lapic *l)
{
    unsigned code = (l->divide & 3) | (l->divide >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

static uint64_t ticks_to_ns(const struct lapic *l, uint64_t ticks)
{
    return muldiv64(ticks * divisor(l), NS_PER_S, X86_APIC_BUS_HZ);
}

static uint32_t current_count(struct lapic *l)
{
    if (!l->initial_count || timer_mode(l) == TIMER_DEADLINE) {
        return 0;
    }
    uint64_t ns = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS) - l->count_start;
    uint64_t ticks = muldiv64(ns, X86_APIC_BUS_HZ, NS_PER_S) / divisor(l);
    if (timer_mode(l) == TIMER_PERIODIC) {
        return l->initial_count - ticks % l->initial_count;
    }
    return ticks >= l->initial_count ? 0 : l->initial_count - ticks;
}

/* Arms the host timer from the registers. */
static void timer_settle(struct lapic *l)
{
    uint64_t now = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS);
    if (timer_mode(l) == TIMER_DEADLINE) {
        if (!l->deadline) {
            timer_cancel(&l->timer);
            return;
        }
        int64_t offset = atomic_load(&l->x86.tsc_offset);
        uint64_t tsc = now + (uint64_t)offset;
        uint64_t at = l->deadline <= tsc ? now : now + (l->deadline - tsc);
        timer_set(&l->timer, at < now ? TIMER_OFF - 1 : at);
        return;
    }
    uint64_t length = ticks_to_ns(l, l->initial_count), past = now - l->count_start;
    if (!l->initial_count || (timer_mode(l) == TIMER_ONE_SHOT && past > length)) {
        timer_cancel(&l->timer);
    } else if (timer_mode(l) == TIMER_ONE_SHOT) {
        timer_set(&l->timer, l->count_start + length);
    } else {
        if (length < MIN_PERIOD_NS) {
            length = MIN_PERIOD_NS;
        }
        timer_set(&l->timer, l->count_start + (past / length + 1) * length);
    }
}

static void timer_fire(void *opaque)
{
    struct lapic *l = opaque;
    local_event(l, LVT_TIMER);
    if (timer_mode(l) == TIMER_DEADLINE) {
        l->deadline = 0;
    } else if (timer_mode(l) == TIMER_PERIODIC) {
        timer_settle(l);
    }
}

static void lapic_tsc_changed(struct x86_lapic *x)
{
    struct lapic *l = of_x86(x);
    bool taken = lock(l);
    if (l->deadline) {
        timer_settle(l);
    }
    unlock(l, taken);
}

static void write_lvt(struct lapic *l, unsigned n, uint32_t value)
{
    unsigned old_mode = timer_mode(l);
    l->lvt[n] = (value & lvt_writable[n]) | (l->svr & SVR_ENABLE ? 0 : LVT_MASKED);
    if (n == LVT_TIMER && timer_mode(l) != old_mode) {
        if (timer_mode(l) == TIMER_DEADLINE || old_mode == TIMER_DEADLINE) {
            l->initial_count = 0;                  /* 11.5.4.1: a change into or out of this mode disarms */
            l->deadline = 0;
        }
        timer_settle(l);
    } else if ((n == LVT_LINT0 && (l->lint_level & 1) && ((value & LVT_LEVEL) || (value >> 8 & 7) == APIC_EXTINT))) {
        local_event(l, n);
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
    case R_ID:      *value = x2_mode(l) ? l->x86.id : l->x86.id << 24; return true;
    case R_VERSION: *value = VERSION; return true;
    case R_TPR:     *value = l->tpr; return true;
    case R_PPR:     *value = lapic_priority(l); return true;
    case R_LDR:     *value = logical_id(l); return true;
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
        bool taken = lock(l);
        *value = current_count(l);
        unlock(l, taken);
        return true;
    }
    }
    return false;
}

static bool reg_write(struct lapic *l, unsigned reg, uint32_t value)
{
    bool taken = false;
    switch (reg) {
    case R_TPR:     set_tpr(l, value); return true;
    case R_EOI:     eoi(l); return true;
    case R_ESR:
        l->esr = __atomic_exchange_n(&l->esr_pending, 0, __ATOMIC_SEQ_CST);
        return true;
    case R_SVR:
        taken = lock(l);
        write_svr(l, value);
        break;
    case R_LVT_TIMER ... R_LVT_ERROR:
        taken = lock(l);
        write_lvt(l, lvt_index(reg), value);
        break;
    case R_INITIAL:
        taken = lock(l);
        if (timer_mode(l) != TIMER_DEADLINE) {
            l->initial_count = value;
            l->count_start = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS);
            timer_settle(l);
        }
        break;
    case R_DIVIDE: {
        taken = lock(l);
        uint32_t left = current_count(l);
        l->divide = value & 0xb;
        if (left) {                                /* the count goes on at the new rate */
            l->count_start = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS) - ticks_to_ns(l, l->initial_count - left);
            timer_settle(l);
        }
        break;
    }
    default:
        return false;
    }
    unlock(l, taken);
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
        send_icr(l);
        return true;
    case R_SELF_IPI:
        if (value > 0xff) {
            return false;
        }
        if (value < 16) {
            set_error(l, ESR_SEND_ILLEGAL);
        } else {
            accept_fixed(l, value, false);
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

/* --- IA32_APIC_BASE --- */

static void reset_registers(struct lapic *l)
{
    for (unsigned i = 0; i < 8; i++) {
        __atomic_store_n(&l->irr[i], 0, __ATOMIC_SEQ_CST);
        l->isr[i] = l->tmr[i] = 0;
    }
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        l->lvt[i] = LVT_MASKED;
    }
    l->tpr = l->ldr = l->esr = l->esr_pending = l->divide = l->initial_count = 0;
    l->dfr = 0xffffffff;
    l->svr = 0xff;
    l->icr = l->deadline = 0;
    __atomic_store_n(&l->extint_message, 0, __ATOMIC_SEQ_CST);
    timer_cancel(&l->timer);
}

static void lapic_init_cpu(struct x86_lapic *x)
{
    struct lapic *l = of_x86(x);
    bool taken = lock(l);
    reset_registers(l);
    unlock(l, taken);
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
    if ((value & 0xffffff000ull) != X86_APIC_DEFAULT_BASE) {
        log_unimp("not supported: local APIC at 0x%" PRIx64 ", it stays at 0x%x", (uint64_t)(value & ~0xfffull), X86_APIC_DEFAULT_BASE);
    }
    bool taken = lock(l);
    atomic_store(&l->x86.base, value);
    if (was_on && !on) {
        reset_registers(l);
    } else if (x2 && !was_x2) {
        l->icr &= 0xffffffff;
    }
    unlock(l, taken);
    return true;
}

static bool lapic_msr_read(struct x86_lapic *x, uint32_t msr, uint64_t *value)
{
    struct lapic *l = of_x86(x);
    uint32_t low = 0;
    if (msr == MSR_APIC_BASE) {
        *value = atomic_load(&x->base);
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        *value = timer_mode(l) == TIMER_DEADLINE ? l->deadline : 0;
        return true;
    }
    unsigned reg = msr - MSR_X2APIC;
    if (reg > 0xff || !x2_mode(l) || !has_msr(reg, false)) {
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

static bool lapic_msr_write(struct x86_lapic *x, uint32_t msr, uint64_t value)
{
    struct lapic *l = of_x86(x);
    if (msr == MSR_APIC_BASE) {
        return write_base(l, value);
    }
    if (msr == MSR_TSC_DEADLINE) {
        bool taken = lock(l);
        if (timer_mode(l) == TIMER_DEADLINE) {
            l->deadline = value;
            timer_settle(l);
        }
        unlock(l, taken);
        return true;
    }
    unsigned reg = msr - MSR_X2APIC;
    return reg <= 0xff && x2_mode(l) && x2_write(l, reg, value);
}

static const struct x86_lapic_ops lapic_ops = {
    .has_irq = lapic_has_irq, .ack = lapic_ack, .get_cr8 = lapic_get_cr8, .set_cr8 = lapic_set_cr8,
    .msr_read = lapic_msr_read, .msr_write = lapic_msr_write, .init = lapic_init_cpu, .tsc_changed = lapic_tsc_changed,
};

/* --- MMIO: one page for all, the accessing thread says whose APIC it is --- */

static struct lapic *current_lapic(struct apic_bus *b)
{
    struct cpu *c = cpu_current();
    unsigned i = c ? c->index : 0;                 /* none: a debugger looks, or a test */
    return i < b->n_cpus ? b->cpus[i] : NULL;
}

static bool mmio_on(const struct lapic *l)
{
    return l && x86_lapic_enabled(&l->x86) && !x2_mode(l);
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
        set_error(l, ESR_REGISTER);
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
        send_icr(l);
        break;
    case R_ID:                                     /* read-only since the Pentium 4; guests write it back */
        break;
    default:
        if (!reg_write(l, reg, value)) {
            set_error(l, ESR_REGISTER);
            log_guest("lapic %u: write of 0x%x to register 0x%x", l->x86.id, (unsigned)value, (unsigned)offset);
        }
    }
    return ACCESS_OK;
}

const struct region_ops lapic_mmio_ops = {
    .read = lapic_mmio_read, .write = lapic_mmio_write, .min_size = 4, .max_size = 4, .unlocked = true,
};

/* --- device --- */

static bool lapic_init(struct device *d, GError **err)
{
    struct lapic *l = (struct lapic *)d;
    (void)err;
    timer_init(&l->timer, d->machine, CLOCK_VIRTUAL_NS, timer_fire, l);
    l->x86.ops = &lapic_ops;
    return true;
}

static void lapic_fini(struct device *d)
{
    timer_cancel(&((struct lapic *)d)->timer);
}

static void reset_base(struct lapic *l)
{
    atomic_store(&l->x86.base, X86_APIC_DEFAULT_BASE | X86_APIC_BASE_ENABLE | (l->x86.cpu->index == 0 ? X86_APIC_BASE_BSP : 0));
}

static void lapic_reset(struct device *d, enum reset_phase phase)
{
    struct lapic *l = (struct lapic *)d;
    if (phase == RESET_ENTER) {
        reset_registers(l);
        reset_base(l);
    }
}

static void lapic_settle(struct device *d)
{
    struct lapic *l = (struct lapic *)d;
    timer_settle(l);
    ring_if_deliverable(l);
}

static const struct field x86_lapic_fields[] = {
    WIRING(struct x86_lapic, ops),
    WIRING(struct x86_lapic, cpu),
    WIRING(struct x86_lapic, id),
    STATE(struct x86_lapic, base),
    STATE(struct x86_lapic, sipi_vector),
    { FIELD_OF(struct x86_lapic, tsc_offset), .use = FIELD_STATE, .type = FIELD_U64 },
};

static const struct field lapic_fields[] = {
    STATE_STRUCT(struct lapic, x86, x86_lapic_fields, 1),
    WIRING(struct lapic, bus),
    WIRING(struct lapic, extint_source),
    STATE(struct lapic, irr, .elem = 4),
    STATE(struct lapic, tmr, .elem = 4),
    STATE(struct lapic, isr, .elem = 4),
    STATE(struct lapic, tpr),
    STATE(struct lapic, ldr),
    STATE(struct lapic, dfr, .reset = 0xffffffff),
    STATE(struct lapic, svr, .reset = 0xff),
    STATE(struct lapic, esr),
    STATE(struct lapic, esr_pending),
    STATE(struct lapic, icr),
    STATE(struct lapic, lvt, .elem = 4),
    STATE(struct lapic, divide),
    STATE(struct lapic, initial_count),
    STATE(struct lapic, count_start),
    STATE(struct lapic, deadline),
    STATE(struct lapic, timer),
    STATE(struct lapic, lint_level, .keep = true),   /* belongs to those who drive the pins */
    STATE(struct lapic, extint_message),
};

const struct device_class lapic_class = {
    .name = "apic", .desc = "local APIC of a vCPU", .bus = "system", .size = sizeof(struct lapic), .version = 1,
    .fields = lapic_fields, .n_fields = G_N_ELEMENTS(lapic_fields),
    .init = lapic_init, .fini = lapic_fini, .reset = lapic_reset, .settle = lapic_settle,
};

struct lapic *lapic_new(struct machine *m, struct cpu *cpu, uint32_t id, struct apic_bus *bus, GError **err)
{
    struct lapic *l = (struct lapic *)device_new(m, &lapic_class, NULL);
    l->x86.cpu = cpu;
    l->x86.id = id;
    l->bus = bus;
    reset_base(l);                                 /* the CPU's reset comes before ours and asks for BSP */
    return device_add(&l->dev, err) ? l : NULL;
}

void lapic_virtual_wire(struct lapic *l)
{
    l->svr = SVR_ENABLE | 0xf;
    l->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    l->lvt[LVT_LINT1] = APIC_NMI << 8;
}
