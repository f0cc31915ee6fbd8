/* See hw_util.h. */
#include "tests/hw/hw_util.h"

#include <criterion/criterion.h>

#include "hw/isa/isa.h"

static void line(void *owner, unsigned n, int level)
{
    struct test_machine *t = owner;
    t->irq_rises[n] += level && !t->irq_level[n];
    t->irq_level[n] = level;
}

void test_machine_make(struct test_machine *t)
{
    *t = (struct test_machine){ .m = machine_new() };
    machine_lock(t->m);
    t->isa = (struct isa_bus *)test_device(t, &isa_bus_class);
    for (unsigned i = 0; i < 16; i++) {
        t->isa->out[i] = (struct irq_line){ line, t, i };
    }
}

void test_machine_free(struct test_machine *t)
{
    machine_unlock(t->m);
    machine_free(t->m);
}

struct device *test_device(struct test_machine *t, const struct device_class *c)
{
    GError *err = NULL;
    struct device *d = device_make(t->m, c, NULL, &err, NULL);
    cr_assert(d, "%s: %s", c->name, err ? err->message : "?");
    return d;
}

static bool cpu_init(struct cpu *c, GError **err) { (void)c, (void)err; return true; }
static void cpu_nothing(struct cpu *c) { (void)c; }
static const struct cpu_ops ops = {
    .isa = "none", .size = sizeof(struct cpu), .init = cpu_init, .fini = cpu_nothing, .reset = cpu_nothing, .service = cpu_nothing,
};

struct cpu *test_cpu(struct test_machine *t, unsigned index)
{
    GError *err = NULL;
    struct cpu *c = cpu_new(t->m, &ops, index, "none", &err);
    cr_assert(c, "%s", err ? err->message : "?");
    return c;
}

uint32_t test_requests(struct cpu *c) { return atomic_exchange(&c->request, 0); }

uint64_t in(struct test_machine *t, uint16_t port, unsigned size)
{
    uint64_t v = 0;
    as_read(&t->m->io, port, size, &v);
    return size == 8 ? v : v & ((1ull << 8 * size) - 1);
}

void out(struct test_machine *t, uint16_t port, unsigned size, uint64_t value) { as_write(&t->m->io, port, size, value); }
uint8_t inb(struct test_machine *t, uint16_t port) { return in(t, port, 1); }
void outb(struct test_machine *t, uint16_t port, uint8_t value) { out(t, port, 1, value); }

uint32_t ld32(struct test_machine *t, uint64_t addr)
{
    uint64_t v = 0;
    as_read(&t->m->memory, addr, 4, &v);
    return v;
}

void st32(struct test_machine *t, uint64_t addr, uint32_t value) { as_write(&t->m->memory, addr, 4, value); }
