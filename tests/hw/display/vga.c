/* VGA: pictures of each kind of mode against pixels worked out by hand; read and write modes; VBE; nonsense. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/display/display.h"
#include "hw/display/edid.h"
#include "hw/pci/i440fx.h"
#include "tests/hw/hw_util.h"
#include "ui/console.h"

static struct test_machine t;
static struct ui *ui;
static struct device *card;

static void setup(void)
{
    GError *err = NULL;

    test_machine_make(&t);
    ui = t.m->ui = ui_new();
    test_device(&t, &i440fx_host_class);
    cr_assert(device_make(t.m, &i440fx_class, NULL, &err, "addr", "0", NULL));
    card = device_make(t.m, &vga_pci_class, NULL, &err, "addr", "2", "romfile", "", NULL);
    cr_assert(card, "%s", err ? err->message : "");
    devices_reset(t.m);
}

static void teardown(void)
{
    test_machine_free(&t);
    ui_free(ui);
}

TestSuite(vga, .init = setup, .fini = teardown);

static void index_out(uint16_t port, uint8_t i, uint8_t v) { outb(&t, port, i); outb(&t, port + 1, v); }
static void st8(uint32_t at, uint8_t v) { as_write(&t.m->memory, at, 1, v); }
static uint8_t ld8(uint32_t at) { uint64_t v = 0; as_read(&t.m->memory, at, 1, &v); return (uint8_t)v; }
static void vbe(uint16_t i, uint16_t v) { out(&t, 0x1ce, 2, i); out(&t, 0x1cf, 2, v); }
static uint16_t vbe_in(uint16_t i) { out(&t, 0x1ce, 2, i); return (uint16_t)in(&t, 0x1cf, 2); }

/* A mode as the BIOS sets it. */
struct mode {
    uint8_t misc, seq[4], crtc[25], attr_mode, gc5, gc6;
};
static const struct mode mode3 = { 0x67, { 0x00, 0x03, 0x00, 0x02 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3,
      0xff }, 0x0c, 0x10, 0x0e };
static const struct mode mode12 = { 0xe3, { 0x01, 0x0f, 0x00, 0x06 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3,
      0xff }, 0x01, 0x00, 0x05 };
static const struct mode mode13 = { 0x63, { 0x01, 0x0f, 0x00, 0x0e },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3,
      0xff }, 0x41, 0x40, 0x05 };
static const struct mode mode4 = { 0x63, { 0x09, 0x03, 0x00, 0x02 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2,
      0xff }, 0x01, 0x30, 0x0f };

static void set_mode(const struct mode *m)
{
    outb(&t, 0x3c2, m->misc);
    index_out(0x3c4, 0, 3);
    for (unsigned i = 0; i < 4; i++) {
        index_out(0x3c4, (uint8_t)(i + 1), m->seq[i]);
    }
    index_out(0x3d4, 0x11, 0x0e);
    for (unsigned i = 0; i < 25; i++) {
        index_out(0x3d4, (uint8_t)i, m->crtc[i]);
    }
    for (unsigned i = 0; i < 5; i++) {
        index_out(0x3ce, (uint8_t)i, 0);
    }
    index_out(0x3ce, 5, m->gc5);
    index_out(0x3ce, 6, m->gc6);
    index_out(0x3ce, 7, 0x0f);
    index_out(0x3ce, 8, 0xff);
    inb(&t, 0x3da);
    for (unsigned i = 0; i < 16; i++) {
        outb(&t, 0x3c0, (uint8_t)i);
        outb(&t, 0x3c0, (uint8_t)i);
    }
    outb(&t, 0x3c0, 0x10), outb(&t, 0x3c0, m->attr_mode);
    outb(&t, 0x3c0, 0x12), outb(&t, 0x3c0, 0x0f);
    outb(&t, 0x3c0, 0x13), outb(&t, 0x3c0, m->attr_mode == 0x0c ? 8 : 0);
    outb(&t, 0x3c0, 0x20);
    outb(&t, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {                    /* colour i: red i & 63, green 63 - that, blue i >> 2 */
        outb(&t, 0x3c9, i & 63), outb(&t, 0x3c9, 63 - (i & 63)), outb(&t, 0x3c9, (uint8_t)(i >> 2));
    }
}

static uint32_t widen(unsigned v) { return v << 2 | v >> 4; }
static uint32_t color(unsigned i) { return widen(i & 63) << 16 | widen(63 - (i & 63)) << 8 | widen(i >> 2); }

static const struct ui_surface *picture(void)
{
    ui_console_update(ui_console_at(ui, 0));
    return ui_console_surface(ui_console_at(ui, 0));
}

static uint32_t pixel(int x, int y)
{
    const struct ui_surface *s = picture();

    cr_assert(x < s->width && y < s->height, "%dx%d", s->width, s->height);
    return ((const uint32_t *)(const void *)(s->data + y * s->stride))[x] & 0xffffff;
}

static void load_font(uint8_t code, const uint8_t *rows)
{
    index_out(0x3c4, 2, 4), index_out(0x3c4, 4, 7), index_out(0x3ce, 4, 2), index_out(0x3ce, 5, 0), index_out(0x3ce, 6, 4);
    for (unsigned i = 0; i < 16; i++) {
        st8(0xa0000 + code * 32u + i, rows[i]);
    }
    index_out(0x3c4, 2, 3), index_out(0x3c4, 4, 2), index_out(0x3ce, 4, 0), index_out(0x3ce, 5, 0x10), index_out(0x3ce, 6, 0x0e);
}

Test(vga, text)
{
    static const uint8_t glyph[16] = { 0x81, 0x42, [15] = 0xff };
    struct ui_text *text = g_new0(struct ui_text, 1);

    set_mode(&mode3);
    load_font('A', glyph);
    load_font(0xc4, glyph);
    index_out(0x3d4, 0x0a, 0x20);                           /* no cursor */
    st8(0xb8000, 'A'), st8(0xb8001, 0x1e);
    st8(0xb8000 + 160 * 24 + 158, 0xc4), st8(0xb8000 + 160 * 24 + 159, 0x0f);
    cr_expect_eq(picture()->width, 720);
    cr_expect_eq(picture()->height, 400);
    cr_expect_eq(pixel(0, 0), color(14));
    cr_expect_eq(pixel(1, 0), color(1));
    cr_expect_eq(pixel(7, 0), color(14));
    cr_expect_eq(pixel(8, 0), color(1));                    /* ninth dot: background */
    cr_expect_eq(pixel(1, 1), color(14));
    cr_expect_eq(pixel(79 * 9 + 8, 24 * 16), color(15));    /* line graphics: the eighth again */
    cr_assert(ui_console_text(ui_console_at(ui, 0), text));
    cr_expect_eq(text->columns, 80);
    cr_expect_eq(text->rows, 25);
    cr_expect_eq(text->cell[0][0].code, 'A');
    cr_expect_eq(text->cell[24][79].attr, 0x0f);
    /* scrolled by a line through the start address */
    index_out(0x3d4, 0x0d, 80);
    st8(0xb8000 + 160, 'A'), st8(0xb8001 + 160, 0x02);
    cr_expect_eq(pixel(0, 0), color(2));
    /* the cursor is a block at cell 1 of the screen */
    index_out(0x3d4, 0x0a, 0), index_out(0x3d4, 0x0b, 15), index_out(0x3d4, 0x0f, 81);
    cr_expect_eq(pixel(9, 5), color(0));                    /* attribute 0: foreground is black, but drawn */
    st8(0xb8000 + 163, 0x04);
    cr_expect_eq(pixel(9, 5), color(4));
    clock_step(t.m, 16 * 1000000000ull / 70 + 1000000);
    cr_expect_eq(pixel(9, 5), color(0));                    /* off for 16 frames */
    g_free(text);
}

Test(vga, planar)
{
    set_mode(&mode12);
    cr_expect_eq(picture()->width, 640);
    cr_expect_eq(picture()->height, 480);
    index_out(0x3c4, 2, 0x05);
    st8(0xa0000, 0x80);
    cr_expect_eq(pixel(0, 0), color(5));
    cr_expect_eq(pixel(1, 0), color(0));
    /* write mode 2 with a bit mask leaves the neighbours */
    index_out(0x3c4, 2, 0x0f), index_out(0x3ce, 5, 2), index_out(0x3ce, 8, 0x40);
    ld8(0xa0000);
    st8(0xa0000, 9);
    cr_expect_eq(pixel(0, 0), color(5));
    cr_expect_eq(pixel(1, 0), color(9));
    /* write mode 1 copies latches: line 0 to line 1 */
    index_out(0x3ce, 5, 1);
    ld8(0xa0000);
    st8(0xa0000 + 80, 0);
    cr_expect_eq(pixel(1, 1), color(9));
    /* read mode 1: where is colour 9? */
    index_out(0x3ce, 5, 8), index_out(0x3ce, 2, 9);
    cr_expect_eq(ld8(0xa0000), 0x40);
    /* write mode 3, set/reset 6, XOR */
    index_out(0x3ce, 5, 3), index_out(0x3ce, 0, 6), index_out(0x3ce, 8, 0xff), index_out(0x3ce, 3, 0x18);
    ld8(0xa0000);
    st8(0xa0000, 0xc0);
    cr_expect_eq(pixel(0, 0), color(5 ^ 6));
    cr_expect_eq(pixel(1, 0), color(9 ^ 6));
    cr_expect_eq(pixel(2, 0), color(0));
    /* panning by three pixels */
    inb(&t, 0x3da);
    outb(&t, 0x3c0, 0x33), outb(&t, 0x3c0, 3);
    cr_expect_eq(pixel(0, 0), color(0));
    st8(0xa0000 + 1, 0x80), (void)0;
    /* split: from line 100 on address 0 is shown */
    index_out(0x3d4, 7, 0x2e), index_out(0x3d4, 0x18, 99), index_out(0x3d4, 0x0c, 0x40);
    cr_expect_eq(pixel(0, 0), color(0));
    outb(&t, 0x3c0, 0x33), outb(&t, 0x3c0, 0);
}

Test(vga, split_screen)
{
    set_mode(&mode12);
    index_out(0x3c4, 2, 0x0f);
    index_out(0x3ce, 5, 2);
    ld8(0xa4000), st8(0xa4000, 3), ld8(0xa0000), st8(0xa0000, 7);
    index_out(0x3d4, 0x11, 0x0c), index_out(0x3d4, 7, 0x2e), index_out(0x3d4, 9, 0x00), index_out(0x3d4, 0x18, 99), index_out(0x3d4, 0x0c, 0x40);
    cr_expect_eq(pixel(0, 0), color(3));
    cr_expect_eq(pixel(0, 99), color(0));
    cr_expect_eq(pixel(0, 100), color(7));
}

Test(vga, chain4)
{
    set_mode(&mode13);
    cr_expect_eq(picture()->width, 640);
    cr_expect_eq(picture()->height, 400);
    st8(0xa0000 + 320 * 10 + 7, 0xab);
    for (unsigned k = 0; k < 4; k++) {
        cr_expect_eq(pixel(14 + (k & 1), 20 + (k >> 1)), color(0xab));
    }
    cr_expect_eq(ld8(0xa0000 + 320 * 10 + 7), 0xab);
    cr_expect_eq(pixel(16, 20), color(0));
    /* the window is memory now: no device sees the store */
    cr_expect_eq(region_find(region_view(&t.m->memory), 0xa0000)->region->kind, REGION_RAM);
    /* unchained, four pixels at once */
    index_out(0x3c4, 4, 6), index_out(0x3d4, 0x14, 0), index_out(0x3d4, 0x17, 0xe3), index_out(0x3c4, 2, 0x0f);
    cr_expect_eq(region_find(region_view(&t.m->memory), 0xa0000)->region->kind, REGION_IO);
    st8(0xa0000 + 80 * 10, 0x33);
    cr_expect_eq(pixel(0, 20), color(0x33));
    cr_expect_eq(pixel(7, 21), color(0x33));
}

Test(vga, cga)
{
    set_mode(&mode4);
    cr_expect_eq(picture()->width, 640);
    cr_expect_eq(picture()->height, 400);
    st8(0xb8000, 0x1b);                                     /* pixels 0 1 2 3 */
    st8(0xba000 + 1, 0xc0);                                 /* odd rows lie 8 KiB further */
    for (unsigned k = 0; k < 4; k++) {
        cr_expect_eq(pixel((int)k * 2, 0), color(k), "pixel %u", k);
    }
    cr_expect_eq(pixel(8, 2), color(3));
    cr_expect_eq(pixel(8, 3), color(3));
    cr_expect_eq(pixel(8, 4), color(0));
}

Test(vga, vbe)
{
    uint8_t *vram;
    const struct ui_surface *s;

    vbe(4, 0), vbe(1, 1024), vbe(2, 768), vbe(3, 32), vbe(4, 0x41);
    inb(&t, 0x3da);
    outb(&t, 0x3c0, 0x20);
    cr_expect_eq(vbe_in(0) & 0xfff0, 0xb0c0);
    cr_expect_eq(vbe_in(6), 1024);
    cr_expect_eq(vbe_in(0x0a), 256);
    s = picture();
    cr_expect_eq(s->width, 1024);
    cr_expect_eq(s->height, 768);
    cr_expect(s->borrowed);
    vram = s->data;
    vram[(768 - 1) * 4096 + 1023 * 4 + 2] = 0xff;
    cr_expect_eq(pixel(1023, 767), 0xff0000);
    vbe(9, 10);                                             /* panned down by ten lines */
    vram[10 * 4096] = 0x12;
    cr_expect_eq(pixel(0, 0), 0x12);
    vbe(4, 0), vbe(1, 640), vbe(2, 480), vbe(3, 16), vbe(4, 0x41);
    vram[0] = 0xe0, vram[1] = 0x07;                         /* green, 5:6:5 */
    ram_store_notify(t.m, g_ptr_array_index(t.m->ram, 0), 0, 2);
    cr_expect_eq(pixel(0, 0), 0x00ff00);
    vbe(4, 0), vbe(3, 24), vbe(4, 0xc1);
    cr_expect_eq(pixel(0, 0), 0x0007e0);
    vbe(4, 0), vbe(3, 15), vbe(4, 0xc1);
    vram[0] = 0x1f, vram[1] = 0x7c;
    cr_expect_eq(pixel(0, 0), 0xff00ff);
    /* more than fits is cut to what fits */
    vbe(4, 0), vbe(1, 16000), vbe(2, 12000), vbe(3, 32), vbe(4, 0x41);
    cr_expect(vbe_in(1) * 4ull * vbe_in(2) <= 16u << 20);
    /* banks */
    vbe(4, 0), vbe(1, 640), vbe(2, 480), vbe(3, 8), vbe(4, 1), index_out(0x3c4, 4, 0x0e), index_out(0x3c4, 2, 0x0f), index_out(0x3ce, 6, 5);
    outb(&t, 0x3c2, 0x63), index_out(0x3ce, 8, 0xff), index_out(0x3ce, 5, 0x40);
    vbe(5, 2);
    st8(0xa0000, 0x77);
    cr_expect_eq(vram[0x20000], 0x77);
}

Test(vga, edid_adds_up)
{
    uint8_t e[EDID_SIZE], sum = 0;

    edid_make(e, 1920, 1080);
    for (unsigned i = 0; i < EDID_SIZE; i++) {
        sum = (uint8_t)(sum + e[i]);
    }
    cr_expect_eq(sum, 0);
    cr_expect_eq(e[56] | (e[58] >> 4) << 8, 1920);
    cr_expect_eq(e[59] | (e[61] >> 4) << 8, 1080);
}

Test(vga, retrace_comes_and_goes)
{
    unsigned changes = 0;
    uint8_t last;

    set_mode(&mode3);
    last = inb(&t, 0x3da) & 8;
    for (unsigned i = 0; i < 20000; i++) {
        clock_step(t.m, 10000);
        uint8_t now = inb(&t, 0x3da) & 8;
        changes += now != last;
        last = now;
    }
    cr_expect(changes >= 26 && changes <= 30, "%u changes in 200 ms at 70 Hz", changes);
}

/* Whatever is programmed, drawing stays inside of everything. */
Test(vga, nonsense)
{
    GRand *r = g_rand_new_with_seed(5);
    struct ui_text *text = g_new0(struct ui_text, 1);

    for (unsigned i = 0; i < 60000; i++) {
        switch (g_rand_int_range(r, 0, 6)) {
        case 0: out(&t, (uint16_t)g_rand_int_range(r, 0x3b0, 0x3e0), 1u << g_rand_int_range(r, 0, 3), g_rand_int(r)); break;
        case 1: in(&t, (uint16_t)g_rand_int_range(r, 0x3b0, 0x3e0), 1u << g_rand_int_range(r, 0, 3)); break;
        case 2: vbe((uint16_t)g_rand_int_range(r, 0, 12), (uint16_t)(g_rand_boolean(r) ? g_rand_int(r) : g_rand_int(r) % 70)); break;
        case 3: st8((uint32_t)g_rand_int_range(r, 0xa0000, 0xc0000), (uint8_t)g_rand_int(r)); break;
        case 4: ld8((uint32_t)g_rand_int_range(r, 0xa0000, 0xc0000)); break;
        case 5:
            if (g_rand_int_range(r, 0, 40) == 0) {
                inb(&t, 0x3da);
                outb(&t, 0x3c0, 0x20);
                ui_console_update(ui_console_at(ui, 0));
                ui_console_text(ui_console_at(ui, 0), text);
            }
            break;
        }
    }
    g_free(text);
    g_rand_free(r);
}
