/*
 * Local APIC in xAPIC and x2APIC mode: what arrives, what the CPU takes, what it sends. Its registers are in lapic_regs.c, its
 * timer in lapic_timer.c. Spec: Intel SDM vol. 3, chapter 11.
 * Left out: MMIO pages that differ between CPUs (the last IA32_APIC_BASE written moves it for all), directed EOI, thermal and
 * performance events (nothing here makes them). Threads: see core/x86_intc.h.
 */
#include "base/log.h"
#include "core/cpu.h"
#include "core/machine.h"
#include "hw/intc/lapic_priv.h"

struct lapic *lapic_of(const struct x86_lapic *x)
{
    return (struct lapic *)((char *)x - offsetof(struct lapic, x86));
}

bool lapic_lock(struct lapic *l)
{
    bool take = !machine_locked(l->dev.machine);
    if (take) {
        machine_lock(l->dev.machine);
    }
    return take;
}

void lapic_unlock(struct lapic *l, bool taken)
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

bool lapic_x2_mode(const struct lapic *l)
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

uint32_t lapic_logical_id(const struct lapic *l)
{
    return lapic_x2_mode(l) ? (l->x86.id >> 4) << 16 | 1u << (l->x86.id & 15) : l->ldr;
}

bool lapic_is_meant(const struct lapic *l, const struct apic_msg *m)
{
    if (!x86_lapic_enabled(&l->x86)) {
        return false;
    }
    uint32_t dest = m->dest, ldr = lapic_logical_id(l);
    if (dest == (m->x2 ? 0xffffffffu : 0xffu)) {
        return true;
    }
    if (!m->logical) {
        return dest == l->x86.id;
    }
    if (lapic_x2_mode(l)) {
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

void lapic_accept_fixed(struct lapic *l, uint8_t vector, bool level)
{
    if (!lapic_software_enabled(l)) {
        return;
    }
    if (vector < 16) {
        lapic_set_error(l, ESR_RECEIVE_ILLEGAL);
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
        lapic_accept_fixed(l, m->vector, m->level);
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
void lapic_local_event(struct lapic *l, unsigned n)
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

void lapic_set_error(struct lapic *l, uint32_t bit)
{
    uint32_t old = __atomic_fetch_or(&l->esr_pending, bit, __ATOMIC_SEQ_CST);
    if (!(old & bit) && (l->lvt[LVT_ERROR] & 0xff) >= 16) {     /* an illegal error vector must not recurse */
        lapic_local_event(l, LVT_ERROR);
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
        lapic_local_event(l, LVT_LINT0 + n);
    } else {
        cpu_request(l->x86.cpu, n ? CPU_REQ_NMI : CPU_REQ_IRQ);
    }
}

/* --- the CPU's side --- */

static bool lapic_has_irq(struct x86_lapic *x)
{
    struct lapic *l = lapic_of(x);
    return deliverable(l) >= 0 || extint_waiting(l);
}

static int lapic_ack(struct x86_lapic *x)
{
    struct lapic *l = lapic_of(x);
    int v = deliverable(l);
    if (v >= 0) {
        bit_clear(l->irr, v);
        bit_set(l->isr, v);
        return v;
    }
    if (!extint_waiting(l) || !l->extint_source.ack) {
        return -1;
    }
    bool taken = lapic_lock(l);
    __atomic_store_n(&l->extint_message, 0, __ATOMIC_SEQ_CST);
    v = l->extint_source.ack(l->extint_source.owner);
    lapic_unlock(l, taken);
    return v;
}

static void ring_if_deliverable(struct lapic *l)
{
    if (lapic_has_irq(&l->x86)) {
        cpu_request(l->x86.cpu, CPU_REQ_IRQ);
    }
}

uint8_t lapic_get_cr8(struct x86_lapic *x) { return lapic_of(x)->tpr >> 4; }

void lapic_set_tpr(struct lapic *l, uint8_t tpr)
{
    l->tpr = tpr;
    ring_if_deliverable(l);
}

void lapic_set_cr8(struct x86_lapic *x, uint8_t cr8) { lapic_set_tpr(lapic_of(x), cr8 << 4 & 0xf0); }

void lapic_eoi(struct lapic *l)
{
    int v = bit_highest(l->isr);
    if (v < 0) {
        return;
    }
    bit_clear(l->isr, v);
    if (bit_test(l->tmr, v)) {
        bool taken = lapic_lock(l);
        apic_bus_eoi(l->bus, v);
        uint32_t lvt = l->lvt[LVT_LINT0];
        if ((l->lint_level & 1) && (lvt & LVT_LEVEL) && (lvt & 0x7ff) == (uint32_t)v) {
            lapic_local_event(l, LVT_LINT0);
        }
        lapic_unlock(l, taken);
    }
    ring_if_deliverable(l);
}

void lapic_send_icr(struct lapic *l)
{
    uint32_t lo = l->icr;
    struct apic_msg m = {
        .dest = lapic_x2_mode(l) ? l->icr >> 32 : l->icr >> 56, .x2 = lapic_x2_mode(l),
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
        lapic_set_error(l, ESR_SEND_ILLEGAL);
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

/* --- reset --- */

void lapic_reset_registers(struct lapic *l)
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
    struct lapic *l = lapic_of(x);
    bool taken = lapic_lock(l);
    lapic_reset_registers(l);
    lapic_unlock(l, taken);
}

static const struct x86_lapic_ops lapic_ops = {
    .has_irq = lapic_has_irq, .ack = lapic_ack, .get_cr8 = lapic_get_cr8, .set_cr8 = lapic_set_cr8,
    .msr_read = lapic_msr_read, .msr_write = lapic_msr_write, .init = lapic_init_cpu, .tsc_changed = lapic_timer_tsc_changed,
};

/* --- device --- */

static bool lapic_init(struct device *d, GError **err)
{
    struct lapic *l = (struct lapic *)d;
    (void)err;
    timer_init(&l->timer, d->machine, CLOCK_VIRTUAL_NS, lapic_timer_fire, l);
    l->x86.ops = &lapic_ops;
    return true;
}

static void reset_base(struct lapic *l)
{
    atomic_store(&l->x86.base, X86_APIC_DEFAULT_BASE | X86_APIC_BASE_ENABLE | (l->x86.cpu->index == 0 ? X86_APIC_BASE_BSP : 0));
}

static void lapic_reset(struct device *d, enum reset_phase phase)
{
    struct lapic *l = (struct lapic *)d;
    if (phase == RESET_ENTER) {
        lapic_reset_registers(l);
        reset_base(l);
        lapic_move(l, X86_APIC_DEFAULT_BASE);
    }
}

static void lapic_settle(struct device *d)
{
    struct lapic *l = (struct lapic *)d;
    lapic_timer_settle(l);
    ring_if_deliverable(l);
}

static const struct field x86_lapic_fields[] = {
    WIRING(struct x86_lapic, ops),
    WIRING(struct x86_lapic, cpu),
    WIRING(struct x86_lapic, id),
    STATE(struct x86_lapic, base),
    STATE(struct x86_lapic, sipi_vector),
    { FIELD_OF(struct x86_lapic, tsc_offset), .use = FIELD_STATE, .type = FIELD_U64 },
    WIRING(struct x86_lapic, tsc_hz),
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
    STATE(struct lapic, expired),
    STATE(struct lapic, deadline),
    STATE(struct lapic, timer),
    STATE(struct lapic, lint_level, .keep = true),   /* belongs to those who drive the pins */
    STATE(struct lapic, extint_message),
};

const struct device_class lapic_class = {
    .name = "apic", .desc = "local APIC of a vCPU", .bus = "system", .size = sizeof(struct lapic), .version = 1,
    .fields = lapic_fields, .n_fields = G_N_ELEMENTS(lapic_fields),
    .init = lapic_init, .reset = lapic_reset, .settle = lapic_settle,
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
