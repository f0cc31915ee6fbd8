/*
 * ACPI fixed hardware that PIIX4 and ICH9 share: PM1 event and control, PM timer, general purpose events. See acpi_pm.c.
 */
#ifndef HW_ACPI_ACPI_PM_H
#define HW_ACPI_ACPI_PM_H

#include "core/clock.h"
#include "core/device.h"
#include "core/irq.h"

/* Offsets from PMBASE that both chips have, and how the guest turns ACPI on. */
enum { PM_EVENT = 0x00, PM_CONTROL = 0x04, PM_TIMER = 0x08 };
#define PM_DEFAULT_BASE 0x600    /* where firmware puts it */
#define PM_SMI_PORT     0xb2
#define PM_ACPI_ENABLE  0xf1
#define PM_ACPI_DISABLE 0xf0
#define PM_SLEEP_S5     0        /* SLP_TYP of soft off: the \_S5 package of the DSDT says the same */
#define PM_HZ           3579545
enum { PM_STS_TIMER = 0x0001, PM_STS_GLOBAL = 0x0020, PM_STS_BUTTON = 0x0100, PM_STS_RTC = 0x0400, PM_STS_WAKE = 0x8000 };

struct acpi_pm {
    struct machine *machine;
    uint16_t status, enable, control;
    uint64_t gpe_status, gpe_enable;
    uint8_t gpe_bytes;           /* of each of the two: 2 or 8 */
    struct timer overflow;       /* PM timer's top bit changes */
    struct irq_line sci;
};

extern const struct field acpi_pm_fields[9];
#define ACPI_PM_FIELD(type_, member) { FIELD_OF(type_, member), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = 1, \
    .fields = acpi_pm_fields, .n_fields = 9 }

/* All with the machine lock. */
void acpi_pm_init(struct acpi_pm *p, struct machine *m, unsigned gpe_bytes);
/* Recomputes the interrupt and the timer. */
void acpi_pm_settle(struct acpi_pm *p);
/* The 16-bit register at an even offset below 0Ch; and the general purpose block, byte by byte (status, then enable). */
uint16_t acpi_pm_read(struct acpi_pm *p, unsigned at);
uint32_t acpi_pm_ticks(struct acpi_pm *p);           /* the timer: 24 bits */
void acpi_pm_write(struct acpi_pm *p, unsigned at, uint16_t value, uint16_t mask);
uint8_t acpi_gpe_read(struct acpi_pm *p, unsigned at);
void acpi_gpe_write(struct acpi_pm *p, unsigned at, uint8_t value);
/* A general purpose event happens. */
void acpi_gpe_raise(struct acpi_pm *p, unsigned n);
/* A press of the power button, as a line: {acpi_pm_button, pm, 0}. */
void acpi_pm_button(void *pm, unsigned n, int level);
/* A value at the SMI command port: turns ACPI on or off when it is one of those commands. False: another one. */
bool acpi_pm_command(struct acpi_pm *p, uint8_t value);

#endif
