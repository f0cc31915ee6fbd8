/*
 * SMBus host controller of Intel's south bridges, with nothing on the bus. See smbus.c.
 */
#ifndef HW_ACPI_SMBUS_H
#define HW_ACPI_SMBUS_H

#include "core/device.h"
#include "core/region.h"

#define SMBUS_SIZE 0x20

struct smbus {
    struct machine *machine;
    uint8_t status, control, command, address, data0, data1, aux_control;
    uint8_t block[32], block_index;
    struct region ports;
    bool mapped;
    uint16_t at;
};

extern const struct field smbus_fields[13];
#define SMBUS_FIELD(type_, member) { FIELD_OF(type_, member), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = 1, \
    .fields = smbus_fields, .n_fields = 13 }

void smbus_init(struct smbus *s, struct machine *m);
/* Shows the ports at `at`; on false: nowhere. Machine lock. */
void smbus_place(struct smbus *s, bool on, uint16_t at);

#endif
