/* 8259 pair: order, cascade, EOI kinds, edge and level, spurious, poll. */
#include "hw/intc/i8259.h"

#include <criterion/criterion.h>

#include "tests/hw/hw_util.h"

static struct test_machine t;
static struct i8259 *p;
static int intr;

static void on_intr(void *o, unsigned n, int level) { (void)o, (void)n; intr = level; }

static void setup(void)
{
    test_machine_make(&t);
    p = (struct i8259 *)test_device(&t, &i8259_class);
    p->out = (struct irq_line){ on_intr, NULL, 0 };
    devices_reset(t.m);
    const uint8_t init[2][4] = { { 0x11, 0x30, 0x04, 0x01 }, { 0x11, 0x38, 0x02, 0x01 } };
    for (unsigned c = 0; c < 2; c++) {
        for (unsigned i = 0; i < 4; i++) {
            outb(&t, (c ? 0xa0 : 0x20) + (i != 0), init[c][i]);
        }
    }
}

static void teardown(void) { test_machine_free(&t); }

TestSuite(i8259, .init = setup, .fini = teardown);

Test(i8259, edge_is_served_once_and_by_priority)
{
    i8259_pin(p, 4, 1);
    i8259_pin(p, 1, 1);
    cr_expect_eq(intr, 1);
    cr_expect_eq(i8259_ack(p), 0x31);
    cr_expect_eq(intr, 0, "4 waits for 1");
    outb(&t, 0x20, 0x20);
    cr_expect_eq(intr, 1);
    cr_expect_eq(i8259_ack(p), 0x34);
    outb(&t, 0x20, 0x20);
    cr_expect_eq(intr, 0, "the edges are used up though the lines are high");
}

Test(i8259, slave_goes_through_input_2)
{
    i8259_pin(p, 12, 1);
    cr_expect_eq(i8259_ack(p), 0x3c);
    outb(&t, 0x20, 0x0b);
    cr_expect_eq(inb(&t, 0x20), 0x04);
    outb(&t, 0xa0, 0x0b);
    cr_expect_eq(inb(&t, 0xa0), 0x10);
    outb(&t, 0xa0, 0x20);
    outb(&t, 0x20, 0x20);
    cr_expect_eq(inb(&t, 0x20) | inb(&t, 0xa0), 0);
}

Test(i8259, mask_holds_back_and_irr_shows)
{
    outb(&t, 0x21, 0xff);
    i8259_pin(p, 3, 1);
    cr_expect_eq(intr, 0);
    cr_expect_eq(inb(&t, 0x20), 0x08);
    outb(&t, 0x21, 0xf7);
    cr_expect_eq(intr, 1);
    cr_expect_eq(inb(&t, 0x21), 0xf7);
}

Test(i8259, request_that_went_away_is_spurious)
{
    i8259_pin(p, 3, 1);
    i8259_pin(p, 3, 0);
    cr_expect_eq(intr, 0);
    cr_expect_eq(i8259_ack(p), 0x37);
    outb(&t, 0x20, 0x0b);
    cr_expect_eq(inb(&t, 0x20), 0, "nothing is in service");
}

Test(i8259, level_comes_again_until_it_falls)
{
    outb(&t, 0x4d1, 0x0c);
    cr_expect_eq(inb(&t, 0x4d1), 0x0c);
    i8259_pin(p, 10, 1);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(i8259_ack(p), 0x3a);
        outb(&t, 0xa0, 0x20);
        outb(&t, 0x20, 0x20);
        cr_expect_eq(intr, 1);
    }
    i8259_pin(p, 10, 0);
    cr_expect_eq(intr, 0);
    outb(&t, 0x4d0, 0xff);
    cr_expect_eq(inb(&t, 0x4d0), 0xf8, "0 to 2 are always edge");
}

Test(i8259, specific_eoi_rotation_and_poll)
{
    i8259_pin(p, 4, 1);
    i8259_ack(p);
    outb(&t, 0x20, 0xe4);                       /* rotate on specific EOI: 4 is lowest now */
    i8259_pin(p, 4, 0);
    i8259_pin(p, 4, 1);
    i8259_pin(p, 5, 1);
    outb(&t, 0x20, 0x0c);
    cr_expect_eq(inb(&t, 0x20), 0x85, "5 before 4, read is the acknowledge");
    outb(&t, 0x20, 0x65);
    cr_expect_eq(i8259_ack(p), 0x34);
}

Test(i8259, auto_eoi_and_special_mask)
{
    outb(&t, 0x20, 0x11), outb(&t, 0x21, 0x30), outb(&t, 0x21, 4), outb(&t, 0x21, 3);
    i8259_pin(p, 5, 1);
    cr_expect_eq(i8259_ack(p), 0x35);
    i8259_pin(p, 5, 0);
    i8259_pin(p, 5, 1);
    cr_expect_eq(intr, 1, "automatic EOI");
    setup();
    i8259_pin(p, 1, 1);
    i8259_ack(p);
    i8259_pin(p, 6, 1);
    cr_expect_eq(intr, 0);
    outb(&t, 0x21, 0x02);
    outb(&t, 0x20, 0x68);
    cr_expect_eq(intr, 1, "special mask mode lets lower ones in");
}
