/*
 * ACPI fixed hardware. Spec: ACPI 6.3, 4.8.3 (PM1, PM timer), 4.8.4 (general purpose events). Left out: sleep states but S5.
 */
#include "hw/acpi/acpi_pm.h"

#include "base/log.h"
#include "core/machine.h"

enum { SCI_EN = 0x0001, SLP_EN = 0x2000, CONTROL_WRITABLE = 0x1c07 };
#define STATUS_BITS (PM_STS_TIMER | 0x0010 | PM_STS_GLOBAL | PM_STS_BUTTON | 0x0200 | PM_STS_RTC | PM_STS_WAKE)
#define ENABLE_BITS (PM_STS_TIMER | PM_STS_GLOBAL | PM_STS_BUTTON | 0x0200 | PM_STS_RTC)

static uint64_t ticks(struct acpi_pm *p) { return muldiv64(clock_now(p->machine, CLOCK_VIRTUAL_NS), PM_HZ, NS_PER_S); }

uint32_t acpi_pm_ticks(struct acpi_pm *p) { return ticks(p) & 0xffffff; }

static void arm_timer(struct acpi_pm *p)
{
    if ((p->enable & PM_STS_TIMER) && !(p->status & PM_STS_TIMER)) {
        uint64_t next = (ticks(p) | 0x7fffff) + 1;
        timer_set(&p->overflow, muldiv64(next, NS_PER_S, PM_HZ) + 1);
    } else {
        timer_cancel(&p->overflow);
    }
}

void acpi_pm_settle(struct acpi_pm *p)
{
    bool on = (p->status & p->enable & ENABLE_BITS) || (p->gpe_status & p->gpe_enable);
    irq_set(&p->sci, on && (p->control & SCI_EN));
    arm_timer(p);
}

static void overflow_fire(void *opaque)
{
    struct acpi_pm *p = opaque;
    p->status |= PM_STS_TIMER;
    acpi_pm_settle(p);
}

void acpi_pm_init(struct acpi_pm *p, struct machine *m, unsigned gpe_bytes)
{
    p->machine = m;
    p->gpe_bytes = gpe_bytes;
    timer_init(&p->overflow, m, CLOCK_VIRTUAL_NS, overflow_fire, p);
}

void acpi_pm_button(void *opaque, unsigned n, int level)
{
    struct acpi_pm *p = opaque;
    (void)n;
    if (level) {
        p->status |= PM_STS_BUTTON;
        acpi_pm_settle(p);
    }
}

void acpi_gpe_raise(struct acpi_pm *p, unsigned n)
{
    p->gpe_status |= 1ull << n;
    acpi_pm_settle(p);
}

bool acpi_pm_command(struct acpi_pm *p, uint8_t value)
{
    if (value != PM_ACPI_ENABLE && value != PM_ACPI_DISABLE) {
        return false;
    }
    p->control = value == PM_ACPI_ENABLE ? p->control | SCI_EN : p->control & ~SCI_EN;
    acpi_pm_settle(p);
    return true;
}

static void write_control(struct acpi_pm *p, uint16_t value)
{
    p->control = (p->control & ~CONTROL_WRITABLE) | (value & CONTROL_WRITABLE);
    if (!(value & SLP_EN)) {
        return;
    }
    unsigned type = value >> 10 & 7;
    if (type == PM_SLEEP_S5) {
        machine_request_shutdown(p->machine, SHUTDOWN_GUEST);
    } else {
        log_unimp("not supported: sleep type %u (only S5)", type);
    }
}

uint16_t acpi_pm_read(struct acpi_pm *p, unsigned at)
{
    switch (at) {
    case PM_EVENT:     return p->status;
    case PM_EVENT + 2: return p->enable;
    case PM_CONTROL:   return p->control;
    case PM_TIMER:     return ticks(p);
    case PM_TIMER + 2: return ticks(p) >> 16 & 0xff;
    }
    return 0;
}

void acpi_pm_write(struct acpi_pm *p, unsigned at, uint16_t value, uint16_t mask)
{
    switch (at) {
    case PM_EVENT:
        p->status &= ~(value & mask & STATUS_BITS);
        break;
    case PM_EVENT + 2:
        p->enable = ((p->enable & ~mask) | (value & mask)) & ENABLE_BITS;
        break;
    case PM_CONTROL:
        write_control(p, (p->control & ~mask) | (value & mask));
        break;
    }
    acpi_pm_settle(p);
}

uint8_t acpi_gpe_read(struct acpi_pm *p, unsigned at)
{
    return at < p->gpe_bytes ? p->gpe_status >> 8 * at : p->gpe_enable >> 8 * (at - p->gpe_bytes);
}

void acpi_gpe_write(struct acpi_pm *p, unsigned at, uint8_t value)
{
    if (at < p->gpe_bytes) {
        p->gpe_status &= ~((uint64_t)value << 8 * at);
    } else {
        unsigned shift = 8 * (at - p->gpe_bytes);
        p->gpe_enable = (p->gpe_enable & ~(0xffull << shift)) | (uint64_t)value << shift;
    }
    acpi_pm_settle(p);
}

const struct field acpi_pm_fields[9] = {
    WIRING(struct acpi_pm, machine),
    STATE(struct acpi_pm, status),
    STATE(struct acpi_pm, enable),
    STATE(struct acpi_pm, control),
    STATE(struct acpi_pm, gpe_status),
    STATE(struct acpi_pm, gpe_enable),
    WIRING(struct acpi_pm, gpe_bytes),
    STATE(struct acpi_pm, overflow),
    WIRING(struct acpi_pm, sci),
};
