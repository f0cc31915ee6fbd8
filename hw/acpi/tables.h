/*
 * ACPI tables of a machine as it was built. See tables.c.
 */
#ifndef HW_ACPI_TABLES_H
#define HW_ACPI_TABLES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct acpi_serial {
    uint16_t port;
    uint8_t irq;
};

struct acpi_config {
    unsigned n_cpus;
    const uint32_t *apic_id;          /* n_cpus of them */
    uint32_t lapic_base, ioapic_base;
    uint16_t pm_base;                 /* PMBASE of the PIIX4 */
    uint8_t sci_irq;
    uint16_t level_irqs;              /* bit n: ISA IRQ n is level triggered, active high */
    const struct acpi_serial *serial;
    unsigned n_serial;
    bool vga;
};

/* One block to be placed at guest-physical `at` (a multiple of 64); the RSDP is its first byte. Free with g_byte_array_free. */
GByteArray *acpi_build(const struct acpi_config *c, uint64_t at);

#endif
