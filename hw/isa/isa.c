/*
 * The ISA bus: sharing of interrupt lines (wired or). Port regions go straight into the machine's port space.
 */
#include "hw/isa/isa.h"

#include "base/error.h"
#include "core/machine.h"

#define MAX_SOURCES 32

static void isa_irq_set(void *owner, unsigned n, int level)
{
    struct isa_bus *b = owner;
    unsigned irq = n & 15, source = n >> 4;
    uint32_t old = b->level[irq];
    b->level[irq] = (old & ~(1u << source)) | (uint32_t)!!level << source;
    /* A pulse of an edge-triggered source must reach the controller even while it is the only one: pass each change. */
    if (!old != !b->level[irq]) {
        irq_set(&b->out[irq], b->level[irq] != 0);
    }
}

struct isa_bus *isa_bus_find(struct machine *m, GError **err)
{
    for (unsigned i = 0; i < m->devices->len; i++) {
        struct device *d = g_ptr_array_index(m->devices, i);
        if (d->class == &isa_bus_class) {
            return (struct isa_bus *)d;
        }
    }
    error_set(err, EMU_ERROR_NOT_SUPPORTED, "this machine has no ISA bus");
    return NULL;
}

bool isa_irq(struct isa_bus *b, unsigned n, struct irq_line *line, GError **err)
{
    if (n >= ISA_IRQS) {
        return error_set(err, EMU_ERROR_INVALID, "ISA interrupt %u: there are only 0 to 15", n);
    }
    if (b->sources[n] >= MAX_SOURCES) {
        return error_set(err, EMU_ERROR_INVALID, "ISA interrupt %u is shared by %u devices already", n, MAX_SOURCES);
    }
    *line = (struct irq_line){ isa_irq_set, b, n | (unsigned)b->sources[n]++ << 4 };
    return true;
}

static const struct field isa_fields[] = {
    WIRING(struct isa_bus, out),
    DERIVED(struct isa_bus, level),      /* each source says its level again in its settle */
    WIRING(struct isa_bus, sources),
};

const struct device_class isa_bus_class = {
    .name = "ISA", .desc = "ISA bus", .bus = "system", .size = sizeof(struct isa_bus), .version = 1,
    .fields = isa_fields, .n_fields = G_N_ELEMENTS(isa_fields),
};
