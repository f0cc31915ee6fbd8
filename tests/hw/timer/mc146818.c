/* RTC: date in all formats, setting it, update/alarm/periodic flags, RAM and its life over resets. */
#include "hw/timer/mc146818.h"

#include <criterion/criterion.h>
#include <time.h>

#include "tests/hw/hw_util.h"

static struct test_machine t;
static struct mc146818 *r;

static void setup(void)
{
    test_machine_make(&t);
    r = (struct mc146818 *)test_device(&t, &mc146818_class);
    devices_reset(t.m);
}

static void teardown(void) { test_machine_free(&t); }

static uint8_t rd(uint8_t n) { outb(&t, 0x70, n); return inb(&t, 0x71); }
static void wr(uint8_t n, uint8_t v) { outb(&t, 0x70, n); outb(&t, 0x71, v); }
static unsigned bcd(uint8_t v) { return (v >> 4) * 10 + (v & 15); }

TestSuite(mc146818, .init = setup, .fini = teardown);

Test(mc146818, date_is_the_hosts)
{
    struct tm tm = { 0 };
    time_t now = time(NULL);
    tm.tm_year = bcd(rd(0x32)) * 100 + bcd(rd(9)) - 1900;
    tm.tm_mon = bcd(rd(8)) - 1;
    tm.tm_mday = bcd(rd(7));
    tm.tm_hour = bcd(rd(4));
    tm.tm_min = bcd(rd(2));
    tm.tm_sec = bcd(rd(0));
    cr_expect(labs((long)(timegm(&tm) - now)) <= 2);
    gmtime_r(&now, &tm);
    cr_expect_eq(rd(6), tm.tm_wday + 1);
    cr_expect_eq(rd(0x0d), 0x80);
}

static void set_date(void)
{
    const uint8_t v[] = { 58, 0, 59, 0, 23, 0, 4, 31, 12, 99 };
    wr(0x0b, 0x86);                                       /* SET, binary, 24 h */
    for (unsigned i = 0; i < 10; i++) {
        wr(i, v[i]);
    }
    wr(0x32, 19);
    wr(0x0b, 0x06);
}

Test(mc146818, set_and_read_in_all_formats)
{
    set_date();
    cr_expect(rd(4) == 23 && rd(2) == 59 && rd(7) == 31 && rd(8) == 12 && rd(9) == 99 && rd(0x32) == 19);
    cr_expect_eq(rd(6), 6, "Friday");
    wr(0x0b, 0x02);
    cr_expect_eq(rd(4), 0x23);
    wr(0x0b, 0x00);
    cr_expect_eq(rd(4), 0x91, "11 p.m.");
    wr(0x0b, 0x04);
    cr_expect_eq(rd(4), 0x8b);
    wr(4, 12);                                            /* 12 a.m. is midnight */
    wr(0x0b, 0x06);
    cr_expect_eq(rd(4), 0);
}

Test(mc146818, clock_runs_over_midnight)
{
    set_date();
    r->offset_ns += 3000000000ll;
    cr_expect(rd(9) == 0 && rd(0x32) == 20 && rd(8) == 1 && rd(7) == 1 && rd(4) == 0);
}

Test(mc146818, nonsense_dates_are_harmless)
{
    wr(0x0b, 0x80);
    for (unsigned i = 0; i < 10; i++) {
        wr(i, 0xff);
    }
    wr(0x32, 0xff);
    wr(0x0b, 0x06);
    for (unsigned i = 0; i < 14; i++) {
        rd(i);
    }
    cr_expect(rd(8) >= 1 && rd(8) <= 12);
}

Test(mc146818, periodic_interrupt)
{
    wr(0x0a, 0x26);                                       /* 1024 Hz */
    wr(0x0b, 0x42);
    clock_step(t.m, 980000);
    cr_expect_eq(t.irq_level[8], 1);
    cr_expect_eq(rd(0x0c) & 0xc0, 0xc0);
    cr_expect_eq(t.irq_level[8], 0);
    cr_expect_eq(rd(0x0c) & 0xc0, 0);
    unsigned before = t.irq_rises[8];
    for (unsigned i = 0; i < 2048; i++) {
        clock_step(t.m, 488281);
        rd(0x0c);
    }
    cr_expect(abs((int)(t.irq_rises[8] - before) - 1024) <= 1);
}

Test(mc146818, periodic_flag_can_be_polled)
{
    wr(0x0a, 0x26);
    wr(0x0b, 0x02);
    clock_step(t.m, 2000000);
    cr_expect_eq(rd(0x0c) & 0xc0, 0x40, "flag without interrupt");
}

Test(mc146818, update_and_alarm)
{
    wr(0x0b, 0x12);
    r->second.fire(r->second.opaque);
    cr_expect_eq(t.irq_level[8], 1);
    cr_expect_eq(rd(0x0c) & 0x90, 0x90);
    wr(0x0b, 0x22);
    wr(1, 0xff), wr(3, 0xff), wr(5, 0xff);                /* any */
    r->second.fire(r->second.opaque);
    cr_expect_eq(rd(0x0c) & 0xa0, 0xa0);
    wr(5, bcd(rd(4)) == 12 ? 0x13 : 0x12);
    r->second.fire(r->second.opaque);
    cr_expect_eq(rd(0x0c) & 0x20, 0);
}

Test(mc146818, ram_survives_reset_and_time_too)
{
    wr(0x40, 0x5a);
    set_date();
    wr(0x0b, 0x76);
    devices_reset(t.m);
    cr_expect_eq(rd(0x40), 0x5a);
    cr_expect_eq(rd(0x0b), 0x06);
    cr_expect_eq(rd(9), 99);
}
