/* 8254: counts, output and interrupts of each mode, latching, read-back, gate and port 61h. */
#include "hw/timer/i8254.h"

#include <criterion/criterion.h>

#include "hw/isa/isa.h"
#include "tests/hw/hw_util.h"

static struct test_machine t;

static void setup(void)
{
    test_machine_make(&t);
    test_device(&t, &i8254_class);
    devices_reset(t.m);
}

static void teardown(void) { test_machine_free(&t); }

/* Time for n ticks, a little more than less. */
static void ticks(unsigned n) { clock_step(t.m, (uint64_t)n * 1000000000 / 1193182 + 1); }

static void program(unsigned ch, uint8_t mode, uint16_t count)
{
    outb(&t, 0x43, ch << 6 | 0x30 | mode << 1);
    outb(&t, 0x40 + ch, count);
    outb(&t, 0x40 + ch, count >> 8);
}

static unsigned count(unsigned ch)
{
    outb(&t, 0x43, ch << 6);
    unsigned low = inb(&t, 0x40 + ch);
    return low | inb(&t, 0x40 + ch) << 8;
}

static bool out2(void) { return inb(&t, 0x61) >> 5 & 1; }

TestSuite(i8254, .init = setup, .fini = teardown);

Test(i8254, rate_generator_interrupts)
{
    program(0, 2, 11932);                                 /* 100 Hz */
    unsigned before = t.irq_rises[0];
    clock_step(t.m, 1000500000);
    cr_expect_eq(t.irq_rises[0] - before, 100);
}

Test(i8254, square_wave_interrupts)
{
    program(0, 3, 1193);
    unsigned before = t.irq_rises[0];
    clock_step(t.m, 100050000);
    cr_expect_eq(t.irq_rises[0] - before, 100);
}

Test(i8254, one_shot_counts_down_and_interrupts_once)
{
    program(0, 0, 1000);
    cr_expect_eq(t.irq_level[0], 0);
    unsigned before = t.irq_rises[0];
    ticks(400);
    cr_expect_eq(count(0), 600);
    ticks(599);
    cr_expect_eq(t.irq_level[0], 0);
    ticks(2);
    cr_expect_eq(t.irq_level[0], 1);
    clock_step(t.m, 1000000000);
    cr_expect_eq(t.irq_rises[0] - before, 1);
}

Test(i8254, speaker_channel_as_linux_calibrates)
{
    outb(&t, 0x61, (inb(&t, 0x61) & ~2) | 1);
    program(2, 0, 59659);                                 /* 50 ms */
    cr_expect_not(out2());
    clock_step(t.m, 49990000);
    cr_expect_not(out2());
    clock_step(t.m, 20000);
    cr_expect(out2());
}

Test(i8254, gate_stops_and_goes_on)
{
    outb(&t, 0x61, 1);
    program(2, 0, 1000);
    ticks(100);
    outb(&t, 0x61, 0);
    clock_step(t.m, 5000000);
    cr_expect(abs((int)count(2) - 900) <= 1);
    outb(&t, 0x61, 1);
    ticks(100);
    cr_expect(abs((int)count(2) - 800) <= 2);
}

Test(i8254, gate_triggers_one_shot)
{
    outb(&t, 0x61, 0);
    program(2, 1, 500);
    ticks(1000);
    cr_expect(out2());
    outb(&t, 0x61, 1);
    cr_expect_not(out2());
    ticks(501);
    cr_expect(out2());
}

Test(i8254, latch_holds_and_bytes_alternate)
{
    program(0, 2, 0x8000);
    outb(&t, 0x43, 0);
    ticks(0x100);
    unsigned low = inb(&t, 0x40), high = inb(&t, 0x40);
    cr_expect_eq(high << 8 | low, 0x8000);
    cr_expect(count(0) < 0x7f02);
    outb(&t, 0x43, 0x14);                                 /* low byte only */
    outb(&t, 0x40, 0x40);
    cr_expect_eq(inb(&t, 0x40), 0x40);
    cr_expect_eq(inb(&t, 0x40), 0x40);
}

Test(i8254, read_back_status)
{
    program(2, 3, 1000);
    outb(&t, 0x43, 0xe8);                                 /* status of channel 2 */
    cr_expect_eq(inb(&t, 0x42), 0xb6);
    outb(&t, 0x43, 0xb2);
    outb(&t, 0x43, 0xe8);
    cr_expect_eq(inb(&t, 0x42) & 0x41, 0x40, "null count, high byte access next");
}

Test(i8254, bcd)
{
    outb(&t, 0x61, 1);
    outb(&t, 0x43, 0xb1);
    outb(&t, 0x42, 0x00);
    outb(&t, 0x42, 0x10);
    ticks(1);
    cr_expect_eq(count(2), 0x0999);
}

Test(i8254, fastest_rate_does_not_hang)
{
    program(0, 2, 1);
    clock_step(t.m, 1000000000);
    program(0, 3, 2);
    clock_step(t.m, 1000000000);
    cr_expect(t.irq_rises[0] > 1000);
}
