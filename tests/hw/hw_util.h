/*
 * A machine without an engine, for device tests: ports and memory by as_read/as_write, time by clock_step().
 */
#ifndef TESTS_HW_HW_UTIL_H
#define TESTS_HW_HW_UTIL_H

#include "core/device.h"
#include "core/machine.h"

/* A stopped machine with an ISA bus, lock held. irq_level[n], irq_rises[n] follow the bus's lines. */
struct test_machine {
    struct machine *m;
    struct isa_bus *isa;
    int irq_level[16];
    unsigned irq_rises[16];
};

void test_machine_make(struct test_machine *t);
void test_machine_free(struct test_machine *t);
/* device_make without properties; fails the test on error. */
struct device *test_device(struct test_machine *t, const struct device_class *c);
/* A vCPU that runs nothing; requests can be seen in c->request. */
struct cpu *test_cpu(struct test_machine *t, unsigned index);
/* Request bits since the last look. */
uint32_t test_requests(struct cpu *c);

uint64_t in(struct test_machine *t, uint16_t port, unsigned size);
void out(struct test_machine *t, uint16_t port, unsigned size, uint64_t value);
uint8_t inb(struct test_machine *t, uint16_t port);
void outb(struct test_machine *t, uint16_t port, uint8_t value);
uint32_t ld32(struct test_machine *t, uint64_t addr);
void st32(struct test_machine *t, uint64_t addr, uint32_t value);

#endif
