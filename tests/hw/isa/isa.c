/* ISA lines are shared by or; there is an end to the sharing. */
#include "hw/isa/isa.h"

#include <criterion/criterion.h>

#include "tests/hw/hw_util.h"

Test(isa, lines_are_shared)
{
    struct test_machine t;
    struct irq_line a, b;
    GError *err = NULL;
    test_machine_make(&t);
    cr_assert(isa_irq(t.isa, 4, &a, &err) && isa_irq(t.isa, 4, &b, &err));
    irq_set(&a, 1);
    irq_set(&b, 1);
    irq_set(&a, 0);
    cr_expect(t.irq_level[4] == 1 && t.irq_rises[4] == 1);
    irq_set(&b, 0);
    cr_expect_eq(t.irq_level[4], 0);
    cr_expect_not(isa_irq(t.isa, 16, &a, &err));
    g_clear_error(&err);
    for (unsigned i = 0; i < 30; i++) {
        cr_expect(isa_irq(t.isa, 4, &a, &err));
    }
    cr_expect_not(isa_irq(t.isa, 4, &a, &err));
    g_clear_error(&err);
    test_machine_free(&t);
}

Test(isa, a_machine_without_the_bus_says_so)
{
    struct machine *m = machine_new();
    GError *err = NULL;
    machine_lock(m);
    cr_expect(!isa_bus_find(m, &err) && err);
    g_clear_error(&err);
    machine_unlock(m);
    machine_free(m);
}
