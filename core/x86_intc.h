/*
 * Where an x86 vCPU (cpu/x86) and its local APIC (hw/intc/lapic.c) meet. Neither includes the other: the board hands the
 * APIC to the CPU with x86_cpu_connect_intc() (cpu/x86/cpu.h). Spec: Intel SDM vol. 3, chapter 11 "APIC".
 *
 * From the APIC to the CPU: cpu_request() with CPU_REQ_IRQ, NMI, SMI, INIT or SIPI. They are doorbells: the CPU clears the bit
 * (atomically) BEFORE it looks, so that nothing is lost.
 *   IRQ   ask has_irq(); if it says yes and IF=1 and there is no shadow: vector = ack(), deliver. has_irq() may change
 *         to true without a doorbell only by what the CPU itself does (EOI, TPR), and then the APIC rings too.
 *         If IF=0 the CPU asks has_irq() again when it becomes interruptible.
 *   INIT  call init(), then reset registers as INIT says; a CPU without IA32_APIC_BASE.BSP then waits for SIPI
 *   SIPI  if it waits for SIPI: start at CS base = sipi_vector << 12, IP 0; otherwise ignore
 * INIT before SIPI when both are there.
 *
 * Threads: IRR and TMR are changed by any thread with atomic or/and. ISR, TPR, PPR and mode belong to the vCPU's own
 * thread. Timer, LVT and ICR side effects are under the machine lock, which the functions below take themselves
 * when they need it: callers on the vCPU thread do NOT need to hold it (they may).
 */
#ifndef CORE_X86_INTC_H
#define CORE_X86_INTC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Guest TSC = x86_tsc_of_ns(clock_now(m, CLOCK_VIRTUAL_NS), tsc_hz) + tsc_offset. tsc_hz is 1 GHz unless an engine or -cpu tsc-frequency=
 * says otherwise. The LAPIC timer's input (before the divider) runs at X86_APIC_BUS_HZ always. The CPU tells both in CPUID 15h
 * (EAX=1, EBX=1, ECX=Hz), 16h and 0x40000010 (EAX, EBX in kHz).
 */
#define X86_TSC_HZ      1000000000u
#define X86_APIC_BUS_HZ 1000000000u

#define X86_APIC_DEFAULT_BASE 0xfee00000u
#define X86_APIC_BASE_BSP     (1u << 8)
#define X86_APIC_BASE_X2      (1u << 10)
#define X86_APIC_BASE_ENABLE  (1u << 11)

struct cpu;
struct x86_lapic;

struct x86_lapic_ops {
    /* Is there a vector (fixed above PPR, or ExtINT from the 8259) to take now? Lock-free, vCPU thread. */
    bool (*has_irq)(struct x86_lapic *l);
    /* Takes it: 0..255, or -1 when it went away meanwhile. vCPU thread. */
    int (*ack)(struct x86_lapic *l);
    /* CR8 (TPR bits 7:4). vCPU thread. */
    uint8_t (*get_cr8)(struct x86_lapic *l);
    void (*set_cr8)(struct x86_lapic *l, uint8_t cr8);
    /* IA32_APIC_BASE (0x1b), x2APIC registers (0x800..0x8ff), IA32_TSC_DEADLINE (0x6e0). False: #GP(0).
     * Whether CPUID offers x2APIC and TSC-deadline is the CPU's to check first. vCPU thread. */
    bool (*msr_read)(struct x86_lapic *l, uint32_t msr, uint64_t *value);
    bool (*msr_write)(struct x86_lapic *l, uint32_t msr, uint64_t value);
    /* INIT has reached the CPU: everything but ID and base goes to its reset value. vCPU thread. */
    void (*init)(struct x86_lapic *l);
    /* tsc_offset was changed (WRMSR TSC, TSC_ADJUST): an armed deadline moves. vCPU thread. */
    void (*tsc_changed)(struct x86_lapic *l);
};

struct x86_lapic {
    const struct x86_lapic_ops *ops;
    struct cpu *cpu;
    uint32_t id;                     /* initial APIC id: CPUID 1 EBX[31:24], 0Bh/1Fh EDX */
    _Atomic uint64_t base;           /* IA32_APIC_BASE as it stands; CPUID.1:EDX.APIC = ENABLE. Changed by msr_write only */
    _Atomic uint8_t sipi_vector;     /* of the last SIPI sent here */
    _Atomic int64_t tsc_offset;      /* the CPU keeps it here: guest TSC - what x86_tsc_of_ns() says */
    _Atomic uint64_t tsc_hz;         /* ... and this, too; 0: X86_TSC_HZ */
};

static inline uint64_t x86_tsc_of_ns(uint64_t ns, uint64_t hz)
{
    return hz == X86_TSC_HZ || !hz ? ns : (uint64_t)((unsigned __int128)ns * hz / 1000000000u);
}

static inline uint64_t x86_ns_of_tsc(uint64_t ticks, uint64_t hz)      /* rounded up: a deadline has passed then */
{
    return hz == X86_TSC_HZ || !hz ? ticks : (uint64_t)(((unsigned __int128)ticks * 1000000000u + hz - 1) / hz);
}

static inline bool x86_lapic_enabled(const struct x86_lapic *l)
{
    return atomic_load_explicit(&((struct x86_lapic *)l)->base, memory_order_relaxed) & X86_APIC_BASE_ENABLE;
}

#endif
