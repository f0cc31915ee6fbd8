/*
 * What a vCPU looks at between regions: pending exceptions and traps, INIT, SIPI, NMI, maskable interrupts, and whether a halted one
 * wakes. Priorities: Intel SDM vol. 3, table 6-2; INIT and SIPI: chapter 9. The APIC's side is core/x86_intc.h.
 */
#include "base/log.h"
#include "core/x86_intc.h"
#include "cpu/x86/sys_priv.h"

static bool take(struct cpu *c, uint32_t bit)
{
    return atomic_load(&c->request) & bit && atomic_fetch_and(&c->request, ~bit) & bit;
}

static void do_init(struct x86_cpu *x)
{
    struct cpu *c = &x->cpu;
    bool bsp = true;

    if (x->lapic) {
        x->lapic->ops->init(x->lapic);
        bsp = atomic_load(&x->lapic->base) & X86_APIC_BASE_BSP;
    }
    x86_reset_registers(x, true);
    accel_of(&x->s)->tlb_flush(c, TLB_FLUSH_ALL, 0, 0);
    accel_of(&x->s)->mode_changed(c);
    atomic_store(&c->powered_off, !bsp);
    atomic_store(&c->halted, !bsp);
}

static void do_sipi(struct x86_cpu *x)
{
    struct x86_state *s = &x->s;
    unsigned vector = x->lapic ? atomic_load(&x->lapic->sipi_vector) : 0;

    s->sipi_vector = vector;
    x86_set_seg(s, X86_CS, vector << 8, (uint64_t)vector << 12, 0xffff, 0x9b, false);
    s->env.pc = s->seg[X86_CS].base;
    x86_update_hflags(s);
    accel_of(s)->mode_changed(&x->cpu);
    atomic_store(&x->cpu.powered_off, false);
    atomic_store(&x->cpu.halted, false);
}

/* Behind an exception that is under way already, and its handler's first instruction is what RSM returns to. */
static void service_smi(struct x86_state *s, struct cpu *c)
{
    if (take(c, CPU_REQ_SMI)) {
        s->smi_waits = true;
    }
    if (s->smi_waits && !s->smm && !s->shadow && !s->shadow_ss && !s->shutdown) {
        s->smi_waits = false;
        x86_smm_enter(s, s->was_halted);
    }
}

/* True when something was delivered. */
static bool service_nmi(struct x86_state *s, struct cpu *c)
{
    if (take(c, CPU_REQ_NMI)) {
        s->nmi_waits = true;
    }
    if (!s->nmi_waits || s->nmi_masked || s->shadow || s->shadow_ss) {
        return false;      /* IRET or the end of the shadow rings again */
    }
    s->nmi_waits = false;
    atomic_store(&c->halted, false);
    x86_deliver_nmi(s);
    return true;
}

static void service_irq(struct x86_state *s, struct x86_cpu *x)
{
    struct x86_lapic *l = x->lapic;
    struct cpu *c = &x->cpu;
    bool rang = take(c, CPU_REQ_IRQ);
    int vector;

    if (!l || !(rang || s->irq_waits)) {
        return;
    }
    if (!l->ops->has_irq(l)) {
        s->irq_waits = false;
        return;
    }
    if (!(s->eflags & FL_IF) || s->shadow || s->shadow_ss) {
        s->irq_waits = true;
        return;
    }
    vector = l->ops->ack(l);
    if (vector >= 0) {
        atomic_store(&c->halted, false);
        x86_deliver_irq(s, vector);
    }
    /* Another may wait behind it; the handler runs with IF clear, unless the gate is a trap gate. */
    s->irq_waits = l->ops->has_irq(l);
    if (s->irq_waits && (s->eflags & FL_IF)) {
        x86_look(s);
    }
}

bool x86_startup(struct cpu *c)
{
    struct x86_cpu *x = x86_of(c);
    bool done = false;

    if (take(c, CPU_REQ_INIT) || x->s.init_waits) {
        x->s.init_waits = x->s.smm;          /* held back until RSM (AMD APM vol. 2, 10.3.3) */
        if (!x->s.smm) {
            do_init(x);
            done = true;
        }
    }
    if (take(c, CPU_REQ_SIPI) && atomic_load(&c->powered_off)) {
        do_sipi(x);
        done = true;
    }
    return done;
}

/* An x87 error with CR0.NE clear: FERR#, and the CPU waits for an interrupt; or, with IGNNE#, the error is forgotten. */
static void service_ferr(struct x86_cpu *x)
{
    struct x86_state *s = &x->s;
    struct machine *m = x->cpu.machine;
    bool take_lock = !machine_locked(m);

    s->ferr_error = false;
    if (s->ignne) {
        s->ignne = false;
        s->fx[2] = 0;                        /* as FNCLEX */
        s->fx[3] &= 0x7f;
        return;
    }
    if (take_lock) {
        machine_lock(m);
    }
    irq_set(&x->ferr, 1);
    if (take_lock) {
        machine_unlock(m);
    }
    atomic_store(&x->cpu.halted, true);
}

void x86_service(struct cpu *c)
{
    struct x86_cpu *x = x86_of(c);
    struct x86_state *s = &x->s;

    x86_startup(c);
    if (atomic_load(&c->powered_off) || s->shutdown) {
        atomic_store(&c->halted, true);
        return;
    }
    take(c, CPU_REQ_TIMER);
    if (s->exc.pending) {
        x86_deliver_pending(s);
        if (s->shutdown) {
            return;
        }
    }
    if (s->ferr_error) {
        service_ferr(x);
    }
    if (s->dr6_pending && !s->shadow_ss) {
        x86_deliver_db(s);
    }
    service_smi(s, c);
    s->was_halted = false;
    if (!service_nmi(s, c)) {
        service_irq(s, x);
    }
}

static bool wakes(struct cpu *c)
{
    struct x86_cpu *x = x86_of(c);
    struct x86_state *s = &x->s;
    uint32_t r = atomic_load(&c->request);

    if (((r & CPU_REQ_INIT) || s->init_waits) && !s->smm) {
        return true;
    }
    if (atomic_load(&c->powered_off)) {
        return r & CPU_REQ_SIPI;
    }
    if (s->shutdown) {
        return false;
    }
    if ((((r & CPU_REQ_SMI) || s->smi_waits) && !s->smm) || (((r & CPU_REQ_NMI) || s->nmi_waits) && !s->nmi_masked) || s->exc.pending || s->dr6_pending) {
        return true;
    }
    return ((r & CPU_REQ_IRQ) || s->irq_waits) && (s->eflags & FL_IF) && x->lapic && x->lapic->ops->has_irq(x->lapic);
}

bool x86_wakes(struct cpu *c)
{
    return x86_of(c)->s.was_halted = wakes(c);
}
