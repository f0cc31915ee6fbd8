/* UART: registers, FIFOs, interrupts by priority, loop, flow control with the host. */
#include "hw/char/uart16550.h"

#include <criterion/criterion.h>

#include "chardev/chardev.h"
#include "tests/hw/hw_util.h"

static struct test_machine t;
static struct chardev *host;
static GByteArray *got;
static size_t room;

static size_t can_take(void *o) { (void)o; return room; }
static void take(void *o, const uint8_t *b, size_t n) { (void)o; room -= n; g_byte_array_append(got, b, n); }

static void setup(void)
{
    struct chardev *guest;
    test_machine_make(&t);
    chardev_pair(&guest, &host);
    got = g_byte_array_new();
    room = 1000;
    chardev_attach(host, &(struct chardev_port){ .can_take = can_take, .take = take });
    t.m->spec.serial[0] = guest;
    test_device(&t, &uart16550_class);
    devices_reset(t.m);
    outb(&t, 0x3fc, 0x0b);
}

static void teardown(void)
{
    struct chardev *guest = t.m->spec.serial[0];
    test_machine_free(&t);
    chardev_close(guest);
    chardev_close(host);
    g_byte_array_unref(got);
}

#define IIR (inb(&t, 0x3fa))
#define LSR (inb(&t, 0x3fd))

TestSuite(uart16550, .init = setup, .fini = teardown);

Test(uart16550, bytes_go_out_at_once)
{
    cr_expect_eq(LSR, 0x60);
    outb(&t, 0x3f8, 'A');
    cr_expect(got->len == 1 && got->data[0] == 'A');
    cr_expect_eq(LSR, 0x60);
}

Test(uart16550, thre_interrupt)
{
    outb(&t, 0x3f9, 2);
    cr_expect_eq(t.irq_level[4], 1, "raised by enabling it while empty");
    cr_expect_eq(IIR, 0x02);
    cr_expect_eq(t.irq_level[4], 0, "reading IIR clears it");
    cr_expect_eq(IIR, 0x01);
    outb(&t, 0x3f8, 'x');
    cr_expect_eq(t.irq_level[4], 1);
}

Test(uart16550, receive_one_byte)
{
    outb(&t, 0x3f9, 1);
    chardev_write(host, "a", 1);
    cr_expect_eq(t.irq_level[4], 1);
    cr_expect_eq(IIR, 0x04);
    cr_expect_eq(LSR & 1, 1);
    cr_expect_eq(inb(&t, 0x3f8), 'a');
    cr_expect_eq(LSR & 1, 0);
    cr_expect_eq(t.irq_level[4], 0);
}

Test(uart16550, fifo_and_flow_control_lose_nothing)
{
    char text[100];
    for (unsigned i = 0; i < sizeof(text); i++) {
        text[i] = i;
    }
    outb(&t, 0x3fa, 0xc1);
    outb(&t, 0x3f9, 1);
    cr_expect_eq(chardev_write(host, text, sizeof(text)), sizeof(text));
    cr_expect_eq(((struct uart *)g_ptr_array_index(t.m->devices, 1))->rx.count, 16, "the rest waits outside");
    cr_expect_eq(IIR, 0xc4, "14 or more");
    size_t n = 0;
    while (LSR & 1) {
        cr_assert_eq(inb(&t, 0x3f8), (uint8_t)n++);
        cr_expect_eq(LSR & 2, 0, "no overrun");
    }
    cr_expect_eq(n, sizeof(text));
    cr_expect_eq(IIR, 0xc1);
}

Test(uart16550, below_the_trigger_it_times_out)
{
    outb(&t, 0x3fa, 0xc1);
    outb(&t, 0x3f9, 1);
    chardev_write(host, "abc", 3);
    cr_expect_eq(IIR, 0xcc);
    outb(&t, 0x3fa, 0xc3);
    cr_expect_eq(IIR, 0xc1, "cleared FIFO");
}

Test(uart16550, host_that_stalls_holds_thre_back)
{
    room = 0;
    unsigned queued = 0;                                  /* what lies between the two ends */
    outb(&t, 0x3fa, 0x01);
    for (; (LSR & 0x20) && queued < 100000; queued++) {
        outb(&t, 0x3f8, '.');
    }
    queued--;
    for (unsigned i = 1; i < 16; i++) {
        outb(&t, 0x3f8, 'a' + i);
    }
    cr_expect_eq(LSR & 0x60, 0);
    cr_expect_eq(got->len, 0);
    outb(&t, 0x3f9, 2);
    cr_expect_eq(t.irq_level[4], 0);
    room = 100000;
    chardev_kick_input(host);
    chardev_kick_input(host);
    cr_expect_eq(got->len, queued + 16);
    cr_expect(got->len == queued + 16 && !memcmp(got->data + queued, ".bcdefghijklmnop", 16));
    cr_expect_eq(LSR & 0x60, 0x60);
    cr_expect_eq(t.irq_level[4], 1);
}

Test(uart16550, loop)
{
    outb(&t, 0x3fc, 0x1f);
    cr_expect_eq(inb(&t, 0x3fe) & 0xf0, 0xf0);
    outb(&t, 0x3fc, 0x12);
    cr_expect_eq(inb(&t, 0x3fe) & 0xf0, 0x10);
    outb(&t, 0x3f8, 0x55);
    cr_expect_eq(got->len, 0);
    cr_expect_eq(inb(&t, 0x3f8), 0x55);
    outb(&t, 0x3f8, 1);
    outb(&t, 0x3f8, 2);
    cr_expect_eq(LSR & 3, 3, "overrun");
    cr_expect_eq(LSR & 2, 0, "reading clears it");
    cr_expect_eq(inb(&t, 0x3f8), 2, "without FIFO the new byte wins");
}

Test(uart16550, divisor_scratch_and_ids)
{
    outb(&t, 0x3fb, 0x83);
    outb(&t, 0x3f8, 0x34);
    outb(&t, 0x3f9, 0x12);
    cr_expect(inb(&t, 0x3f8) == 0x34 && inb(&t, 0x3f9) == 0x12);
    outb(&t, 0x3fb, 0x03);
    cr_expect_eq(inb(&t, 0x3f9), 0);
    outb(&t, 0x3ff, 0xa5);
    cr_expect_eq(inb(&t, 0x3ff), 0xa5);
    outb(&t, 0x3f9, 0xff);
    cr_expect_eq(inb(&t, 0x3f9), 0x0f);
    outb(&t, 0x3fa, 0x01);
    cr_expect_eq(IIR & 0xc0, 0xc0, "16550A");
    outb(&t, 0x3fa, 0x00);
    cr_expect_eq(IIR & 0xc0, 0);
}

Test(uart16550, out2_gates_the_interrupt)
{
    outb(&t, 0x3fc, 0x03);
    outb(&t, 0x3f9, 2);
    cr_expect_eq(t.irq_level[4], 0);
    outb(&t, 0x3fc, 0x0b);
    cr_expect_eq(t.irq_level[4], 1);
}
