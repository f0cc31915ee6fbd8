/*
 * From video memory to the surface: text, planar, CGA, 256-colour and VBE pictures. Called when a display pulls; what is drawn is
 * what the dirty pages of video memory and the changed text cells ask for. 32-bit VBE pictures are not drawn at all: the surface is video memory.
 *
 * The picture has the size that the beam would paint, in dots and scan lines: 320x200 modes are 640x400.
 * Left out: overscan, interlace, preset row scan in graphics modes, underline at 512-character fonts.
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem".
 */
#include <string.h>

#include "core/clock.h"
#include "core/machine.h"
#include "hw/display/vga_priv.h"

/* The layout of the picture now. */
struct picture {
    enum { PICTURE_BLANK, PICTURE_TEXT, PICTURE_PLANAR, PICTURE_CGA, PICTURE_256, PICTURE_VBE } kind;
    unsigned width, height;             /* of the surface */
    unsigned bpp;                       /* VBE */
    unsigned dots;                      /* surface pixels for each of the mode's (1, 2) */
    unsigned scan;                      /* scan lines for each row of memory */
    unsigned start, pitch;              /* in character clocks; VBE: bytes */
    unsigned split;                     /* first scan line that shows offset 0; beyond the height: none */
    unsigned pan;
};

/* What was written since the last look. */
struct dirty {
    bool any;
    uint8_t page[];                     /* one for each page of video memory */
};

static uint32_t dac_color(const struct vga *v, uint8_t index)
{
    const uint8_t *c = &v->dac[(index & v->dac_mask) * 3];

    if (v->vbe[VBE_ENABLE] & VBE_8BIT_DAC) {
        return (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
    }
    return (uint32_t)(c[0] << 2 | c[0] >> 4) << 16 | (uint32_t)(c[1] << 2 | c[1] >> 4) << 8 | (uint32_t)(c[2] << 2 | c[2] >> 4);
}

/* Colour of one of 16: through the attribute controller's palette. */
static uint32_t attr_color(const struct vga *v, unsigned i)
{
    uint8_t c = v->attr[i & v->attr[ATTR_PLANES] & 15] & 0x3f;

    if (v->attr[ATTR_MODE] & ATTR_MODE_P54) {
        c = (c & 0x0f) | (v->attr[ATTR_COLOR_SELECT] & 3) << 4;
    }
    return dac_color(v, c | (v->attr[ATTR_COLOR_SELECT] & 0x0c) << 4);
}

/* Recomputes the palette; true if it differs from what was drawn with. */
static bool palette_changed(struct vga *v, bool all256)
{
    uint32_t now[256] = { 0 };

    for (unsigned i = 0; i < (all256 ? 256u : 16u); i++) {
        now[i] = all256 ? dac_color(v, (uint8_t)i) : attr_color(v, i);
    }
    if (!memcmp(now, v->drawn->palette, sizeof(now))) {
        return false;
    }
    memcpy(v->drawn->palette, now, sizeof(now));
    return true;
}

/* --- layout --- */

static void layout_vbe(const struct vga *v, struct picture *p)
{
    const uint16_t *r = v->vbe;

    p->bpp = r[VBE_BPP];
    p->width = r[VBE_XRES];
    p->height = r[VBE_YRES];
    p->dots = p->scan = 1;
    p->split = p->height;
    if (p->bpp == 4) {
        p->kind = PICTURE_PLANAR;
        p->pitch = r[VBE_VIRT_WIDTH] / 8;
        p->start = r[VBE_Y_OFFSET] * p->pitch + r[VBE_X_OFFSET] / 8;
        p->pan = r[VBE_X_OFFSET] & 7;
        return;
    }
    p->kind = PICTURE_VBE;
    p->pitch = r[VBE_VIRT_WIDTH] * ((p->bpp + 7) / 8);
    p->start = r[VBE_Y_OFFSET] * p->pitch + r[VBE_X_OFFSET] * ((p->bpp + 7) / 8);
}

static void layout_vga(const struct vga *v, struct picture *p)
{
    unsigned chars = v->crtc[CRTC_HDISPLAY] + 1u, o = v->crtc[CRTC_OVERFLOW], ms = v->crtc[CRTC_MAX_SCAN];
    bool half = v->seq[SEQ_CLOCK] & CLOCK_HALF;
    unsigned cell = v->seq[SEQ_CLOCK] & CLOCK_8_DOTS ? 8 : 9;

    p->height = vga_lines(v) << (v->crtc[CRTC_MODE] >> 2 & 1);
    p->start = v->crtc[CRTC_START_HIGH] << 8 | v->crtc[CRTC_START_LOW];
    p->pitch = v->crtc[CRTC_OFFSET] * 2u;
    p->split = (v->crtc[CRTC_LINE_COMPARE] | (o & 0x10) << 4 | (ms & 0x40) << 3) + 1u;
    p->scan = ((ms & 0x1f) + 1u) << (ms >> 7);
    p->dots = half ? 2 : 1;
    p->pan = v->attr[ATTR_PAN] & 15;
    if (!(v->gc[GC_MISC] & GC_MISC_GRAPHICS)) {
        p->kind = PICTURE_TEXT;
        p->width = chars * cell * p->dots;
        p->pan = cell == 9 ? (p->pan >= 8 ? 0 : p->pan + 1) : p->pan & 7;
        return;
    }
    p->width = chars * 8 * p->dots;
    p->kind = v->gc[GC_MODE] & GC_MODE_256 ? PICTURE_256 : v->gc[GC_MODE] & GC_MODE_CGA ? PICTURE_CGA : PICTURE_PLANAR;
    if (p->kind == PICTURE_256) {
        p->dots = 2;
        p->pan = p->pan >> 1 & 3;
    } else {
        p->pan &= 7;
    }
}

static struct picture layout(const struct vga *v)
{
    struct picture p = { 0 };

    if (vga_vbe_on(v)) {
        layout_vbe(v, &p);
    } else {
        layout_vga(v, &p);
    }
    if (!(v->attr_index & ATTR_VIDEO) || (v->seq[SEQ_CLOCK] & CLOCK_SCREEN_OFF)) {
        p.kind = PICTURE_BLANK;
    }
    return p;
}

/* --- what is dirty --- */

static void note_pages(void *opaque, uint64_t offset, uint64_t len)
{
    struct dirty *d = opaque;

    memset(&d->page[offset >> PAGE_BITS], 1, len >> PAGE_BITS);
    d->any = true;
}

static bool touched(const struct dirty *d, uint64_t from, uint64_t to)
{
    for (uint64_t n = from >> PAGE_BITS; n <= (to - 1) >> PAGE_BITS; n++) {
        if (d->page[n]) {
            return true;
        }
    }
    return false;
}

/* --- lines of the graphics modes: `out` gets p->width pixels --- */

/* Bits of a byte to nibbles, leftmost bit lowest. */
static uint32_t nibbles(uint8_t b)
{
    uint32_t x = 0;

    for (unsigned i = 0; i < 8; i++) {
        x |= (uint32_t)(b >> (7 - i) & 1) << 4 * i;
    }
    return x;
}

/* Where the CRTC's counter points: byte, word or double-word mode (CR14, CR17); row scans may replace bits 13 and 14 (CGA, Hercules). */
static unsigned address(const struct vga *v, unsigned counter, unsigned row_scan)
{
    unsigned a = counter;

    if (vga_vbe_on(v)) {
        return a;
    }
    if (v->crtc[CRTC_UNDERLINE] & 0x40) {
        a = counter << 2 | (counter >> 14 & 3);
    } else if (!(v->crtc[CRTC_MODE] & 0x40)) {
        a = counter << 1 | (counter >> (v->crtc[CRTC_MODE] & 0x20 ? 15 : 13) & 1);
    }
    if (!(v->crtc[CRTC_MODE] & 1)) {
        a = (a & ~0x2000u) | (row_scan & 1) << 13;
    }
    if (!(v->crtc[CRTC_MODE] & 2)) {
        a = (a & ~0x4000u) | (row_scan & 2) << 13;
    }
    return a & 0xffff;
}

static uint32_t dword_at(const struct vga *v, uint64_t n)
{
    uint32_t x;

    memcpy(&x, v->vram->host + ((n * 4) & (v->vram->size - 1)), 4);
    return GUINT32_FROM_LE(x);
}

static void put_pixels(uint32_t *out, unsigned width, int x, unsigned dots, uint32_t color)
{
    for (unsigned k = 0; k < dots; k++) {
        int at = x * (int)dots + (int)k;

        if (at >= 0 && at < (int)width) {
            out[at] = color;
        }
    }
}

static void line_planar(const struct vga *v, const struct picture *p, unsigned counter, unsigned row_scan, uint32_t *out)
{
    const uint32_t *color = v->drawn->palette;
    unsigned n = p->width / p->dots / 8 + (p->pan != 0);

    for (unsigned c = 0; c < n; c++) {
        uint32_t d = dword_at(v, address(v, counter + c, row_scan));
        uint32_t x = nibbles((uint8_t)d) | nibbles((uint8_t)(d >> 8)) << 1 | nibbles((uint8_t)(d >> 16)) << 2 | nibbles((uint8_t)(d >> 24)) << 3;

        if (p->dots == 1 && !p->pan) {
            for (unsigned i = 0; i < 8; i++) {
                out[c * 8 + i] = color[x >> 4 * i & 15];
            }
            continue;
        }
        for (unsigned i = 0; i < 8; i++) {
            put_pixels(out, p->width, (int)(c * 8 + i) - (int)p->pan, p->dots, color[x >> 4 * i & 15]);
        }
    }
}

/* CGA's four colours: two bits a pixel from plane 0 and then plane 1, upper two from planes 2 and 3. */
static void line_cga(const struct vga *v, const struct picture *p, unsigned counter, unsigned row_scan, uint32_t *out)
{
    unsigned n = p->width / p->dots / 8 + (p->pan != 0);

    for (unsigned c = 0; c < n; c++) {
        uint32_t d = dword_at(v, address(v, counter + c, row_scan));

        for (unsigned i = 0; i < 8; i++) {
            unsigned shift = (3 - (i & 3)) * 2, low = d >> (i < 4 ? 0 : 8) >> shift & 3, high = d >> (i < 4 ? 16 : 24) >> shift & 3;

            put_pixels(out, p->width, (int)(c * 8 + i) - (int)p->pan, p->dots, v->drawn->palette[low | high << 2]);
        }
    }
}

static void line_256(const struct vga *v, const struct picture *p, unsigned counter, unsigned row_scan, uint32_t *out)
{
    bool chain4 = v->seq[SEQ_MEMORY] & MEMORY_CHAIN4;
    unsigned n = p->width / 8 + (p->pan != 0);

    for (unsigned c = 0; c < n; c++) {
        uint32_t d = dword_at(v, chain4 ? counter + c : address(v, counter + c, row_scan));

        for (unsigned i = 0; i < 4; i++) {
            put_pixels(out, p->width, (int)(c * 4 + i) - (int)p->pan, 2, v->drawn->palette[d >> 8 * i & 0xff]);
        }
    }
}

static void line_vbe(const struct vga *v, const struct picture *p, uint64_t from, uint32_t *out)
{
    const uint8_t *in = v->vram->host + from;

    for (unsigned x = 0; x < p->width; x++) {
        unsigned c;

        switch (p->bpp) {
        case 8:
            out[x] = v->drawn->palette[in[x]];
            break;
        case 15:
            c = in[2 * x] | in[2 * x + 1] << 8;
            out[x] = (c >> 7 & 0xf8) << 16 | (c >> 12 & 7) << 16 | (c >> 2 & 0xf8) << 8 | (c >> 7 & 7) << 8 | (c << 3 & 0xf8) | (c >> 2 & 7);
            break;
        case 16:
            c = in[2 * x] | in[2 * x + 1] << 8;
            out[x] = (c >> 8 & 0xf8) << 16 | (c >> 13 & 7) << 16 | (c >> 3 & 0xfc) << 8 | (c >> 9 & 3) << 8 | (c << 3 & 0xf8) | (c >> 2 & 7);
            break;
        default:
            out[x] = in[3 * x] | (uint32_t)in[3 * x + 1] << 8 | (uint32_t)in[3 * x + 2] << 16;
            break;
        }
    }
}

/* --- graphics --- */

static uint32_t *surface_line(const struct vga *v, unsigned y)
{
    const struct ui_surface *s = ui_console_surface(v->console);

    return (uint32_t *)(void *)(s->data + (size_t)y * (size_t)s->stride);
}

static void draw_graphics_line(const struct vga *v, const struct picture *p, unsigned counter, unsigned row_scan, uint32_t *out)
{
    switch (p->kind) {
    case PICTURE_PLANAR: line_planar(v, p, counter, row_scan, out); break;
    case PICTURE_CGA:    line_cga(v, p, counter, row_scan, out); break;
    default:             line_256(v, p, counter, row_scan, out); break;
    }
}

/* Scan lines as the CRTC makes them. Lines that repeat a row are copied. */
static void draw_graphics(struct vga *v, struct picture p, const struct dirty *d, bool all)
{
    unsigned row_scan = 0, max = (v->crtc[CRTC_MAX_SCAN] & 0x1f) + 1u, counter = p.start, bytes = p.width;
    unsigned repeat = vga_vbe_on(v) ? 1 : (v->crtc[CRTC_MAX_SCAN] & 0x80 ? 2u : 1u) << (v->crtc[CRTC_MODE] >> 2 & 1);
    bool same = false;

    if (vga_vbe_on(v)) {
        max = 1;
    }
    for (unsigned y = 0; y < p.height; y += repeat) {
        uint64_t first = (uint64_t)(p.kind == PICTURE_256 && (v->seq[SEQ_MEMORY] & MEMORY_CHAIN4) ? counter : address(v, counter, row_scan)) * 4;
        bool wraps = first + bytes * 4 + 16 > v->vram->size || first + bytes * 4 > 0x40000;
        bool draw = all || wraps || touched(d, first & (v->vram->size - 1), MIN((first & (v->vram->size - 1)) + bytes * 4 + 16, v->vram->size));

        for (unsigned k = 0; draw && k < repeat && y + k < p.height; k++) {
            uint32_t *out = surface_line(v, y + k);

            if ((k || same) && y + k) {
                memcpy(out, surface_line(v, y + k - 1), p.width * 4);
            } else {
                draw_graphics_line(v, &p, counter, row_scan, out);
            }
        }
        if (draw) {
            ui_console_damage(v->console, 0, (int)y, (int)p.width, (int)repeat);
        }
        /* A row that shows the same memory again: only where the row scan is no part of the address. */
        same = (v->crtc[CRTC_MODE] & 3) == 3 && draw && max > 1;
        if (++row_scan >= max) {
            row_scan = 0;
            counter += p.pitch;
            same = false;
        }
        if (y < p.split && y + repeat >= p.split) {
            counter = row_scan = 0;
            same = false;
            if (v->attr[ATTR_MODE] & ATTR_MODE_PAN_RESET) {
                p.pan = 0;
            }
        }
    }
}

static void draw_vbe(struct vga *v, const struct picture *p, const struct dirty *d, bool all)
{
    unsigned pixel = (p->bpp + 7) / 8;

    for (unsigned y = 0; y < p->height; y++) {
        uint64_t from = p->start + (uint64_t)y * p->pitch, to = from + p->width * pixel;
        int x1 = (int)p->width, x2 = 0;

        if (to > v->vram->size) {
            break;
        }
        if (all) {
            x1 = 0, x2 = (int)p->width;
        } else {
            for (uint64_t n = from >> PAGE_BITS; n <= (to - 1) >> PAGE_BITS; n++) {
                if (d->page[n]) {
                    uint64_t a = MAX(n << PAGE_BITS, from), b = MIN((n + 1) << PAGE_BITS, to);

                    x1 = MIN(x1, (int)((a - from) / pixel));
                    x2 = MAX(x2, (int)((b - from + pixel - 1) / pixel));
                }
            }
        }
        if (x1 < x2) {
            if (p->bpp != 32) {
                line_vbe(v, p, from, surface_line(v, y));
            }
            ui_console_damage(v->console, x1, (int)y, x2 - x1, 1);
        }
    }
}

/* --- text --- */

/* Fonts lie in plane 2, 8 KiB each; attribute bit 3 chooses between two. True: they have changed. */
static bool gather_fonts(struct vga *v)
{
    static const uint8_t order[8] = { 0, 2, 4, 6, 1, 3, 5, 7 };
    unsigned s = v->seq[SEQ_FONT];
    unsigned b = order[(s & 3) | (s >> 4 & 1) << 2], a = order[(s >> 2 & 3) | (s >> 5 & 1) << 2];
    uint8_t now[2][256 * 32];

    for (unsigned i = 0; i < sizeof(now[0]); i++) {
        now[0][i] = v->vram->host[(b * 8192 + i) * 4 + 2];
        now[1][i] = v->vram->host[(a * 8192 + i) * 4 + 2];
    }
    if (!memcmp(now, v->drawn->font, sizeof(now))) {
        return false;
    }
    memcpy(v->drawn->font, now, sizeof(now));
    return true;
}

/* The beam's frames: 16 of them on, 16 off for the cursor, twice that for blinking text. */
static void blink_phase(const struct vga *v, bool *cursor, bool *text)
{
    uint64_t frame = clock_now(v->machine, CLOCK_VIRTUAL_NS) / (NS_PER_S / 70);

    *cursor = !(frame & 16);
    *text = !(frame & 32);
}

enum { CELL_CURSOR = 1 << 16, CELL_BLINK_OFF = 1 << 17, CELL_NEVER = -1 };

struct text_screen {
    unsigned columns, rows, cell_w, cell_h, dots, scan_double;
    unsigned cursor;                        /* counter; ~0: off */
    bool split_at_row;
};

static void draw_cell(const struct vga *v, const struct text_screen *t, const struct picture *p, unsigned x, unsigned y, uint32_t cell)
{
    unsigned code = cell & 0xff, attr = cell >> 8 & 0xff, first = v->crtc[CRTC_CURSOR_START] & 0x1f, last = v->crtc[CRTC_CURSOR_END] & 0x1f;
    const uint8_t *glyph = &v->drawn->font[attr >> 3 & 1][code * 32];
    bool blinks = v->attr[ATTR_MODE] & ATTR_MODE_BLINK;
    bool nine = t->cell_w == 9 && (v->attr[ATTR_MODE] & ATTR_MODE_LINE_GRAPHICS) && code >= 0xc0 && code <= 0xdf;
    uint32_t fg = v->drawn->palette[attr & 15], bg = v->drawn->palette[attr >> 4 & (blinks ? 7 : 15)];
    unsigned width = t->cell_w * t->dots;

    for (unsigned line = 0; line < t->cell_h && y + line < p->height; line++) {
        unsigned scan = line / t->scan_double;
        unsigned bits = glyph[scan & 31];
        uint32_t *out = surface_line(v, y + line) + x;

        if (cell & CELL_BLINK_OFF) {
            bits = 0;
        }
        if ((attr & 0x77) == 0x01 && scan == (v->crtc[CRTC_UNDERLINE] & 0x1f)) {
            bits = 0xff;
        }
        if ((cell & CELL_CURSOR) && scan >= first && scan <= last) {
            bits = 0xff;
        }
        bits = bits << 1 | (nine || bits == 0xff ? bits & 1 : 0);
        for (unsigned i = 0; i < width && x + i < p->width; i++) {
            out[i] = bits >> (8 - i / t->dots) & 1 ? fg : bg;
        }
    }
}

static struct text_screen text_layout(const struct vga *v, const struct picture *p)
{
    struct text_screen t = { .cell_w = v->seq[SEQ_CLOCK] & CLOCK_8_DOTS ? 8 : 9, .dots = p->dots, .cell_h = p->scan };

    t.scan_double = (v->crtc[CRTC_MAX_SCAN] & 0x80 ? 2u : 1u);
    t.columns = MIN(v->crtc[CRTC_HDISPLAY] + 1u, (unsigned)VGA_COLUMNS);
    t.rows = MIN((p->height + t.cell_h - 1) / t.cell_h, (unsigned)VGA_ROWS);
    t.cursor = v->crtc[CRTC_CURSOR_START] & 0x20 ? ~0u : (unsigned)v->crtc[CRTC_CURSOR_HIGH] << 8 | v->crtc[CRTC_CURSOR_LOW];
    return t;
}

/* The counter of each row's first cell; after the split they begin at 0. */
static unsigned row_counter(const struct picture *p, const struct text_screen *t, unsigned row)
{
    unsigned split_row = (p->split + t->cell_h - 1) / t->cell_h;

    return row >= split_row && p->split < p->height ? (row - split_row) * p->pitch : p->start + row * p->pitch;
}

static uint32_t text_cell(const struct vga *v, unsigned counter)
{
    return dword_at(v, address(v, counter, 0)) & 0xffff;
}

static void draw_text(struct vga *v, const struct picture *p, const struct dirty *d, bool all)
{
    struct vga_drawn *drawn = v->drawn;
    struct text_screen t = text_layout(v, p);
    bool cursor, text;

    if ((all || d->any) && gather_fonts(v)) {
        all = true;
    }
    blink_phase(v, &cursor, &text);
    if (!all && !d->any && cursor == drawn->cursor_on && text == drawn->blink_on) {
        return;
    }
    drawn->cursor_on = cursor;
    drawn->blink_on = text;
    for (unsigned row = 0; row < t.rows; row++) {
        unsigned counter = row_counter(p, &t, row);

        for (unsigned col = 0; col < t.columns; col++) {
            uint32_t cell = text_cell(v, counter + col), *last = &drawn->cell[row * VGA_COLUMNS + col];
            unsigned x = col * t.cell_w * t.dots;

            cell |= counter + col == t.cursor && cursor ? CELL_CURSOR : 0;
            cell |= (cell & 0x8000) && (v->attr[ATTR_MODE] & ATTR_MODE_BLINK) && !text ? CELL_BLINK_OFF : 0;
            if (all || cell != *last) {
                *last = cell;
                draw_cell(v, &t, p, x, row * t.cell_h, cell);
                ui_console_damage(v->console, (int)x, (int)(row * t.cell_h), (int)(t.cell_w * t.dots), (int)t.cell_h);
            }
        }
    }
}

bool vga_text(struct vga *v, struct ui_text *text)
{
    struct picture p = layout(v);
    struct text_screen t;

    if (p.kind != PICTURE_TEXT) {
        return false;
    }
    t = text_layout(v, &p);
    text->columns = t.columns;
    text->rows = t.rows;
    text->cursor = false;
    for (unsigned row = 0; row < t.rows; row++) {
        unsigned counter = row_counter(&p, &t, row);

        for (unsigned col = 0; col < t.columns; col++) {
            uint32_t cell = text_cell(v, counter + col);

            text->cell[row][col] = (struct ui_cell){ cell & 0xff, cell >> 8 & 0xff };
            if (counter + col == t.cursor) {
                text->cursor = true;
                text->cursor_x = col;
                text->cursor_y = row;
            }
        }
    }
    return true;
}

/* --- the pull --- */

static void draw_blank(struct vga *v, bool all)
{
    const struct ui_surface *s = ui_console_surface(v->console);

    if (all || !s) {
        if (!s || s->borrowed) {
            ui_console_resize(v->console, s ? s->width : 640, s ? s->height : 480);
            s = ui_console_surface(v->console);
        }
        memset(s->data, 0, (size_t)s->stride * (size_t)s->height);
        ui_console_damage_all(v->console);
    }
}

/* Layout against the last one; true: everything is new. Cursor shape is in it, so that a change redraws. */
static bool geometry_changed(struct vga *v, const struct picture *p)
{
    const uint32_t now[12] = { p->kind, p->width, p->height, p->bpp, p->dots | p->scan << 8, p->start, p->pitch, p->split, p->pan,
        v->crtc[CRTC_MODE] | v->crtc[CRTC_UNDERLINE] << 8 | v->crtc[CRTC_MAX_SCAN] << 16,
        v->crtc[CRTC_CURSOR_START] | v->crtc[CRTC_CURSOR_END] << 8, v->seq[SEQ_MEMORY] };
    const uint32_t *was = v->drawn->geometry;
    /* Text that only scrolls is compared cell by cell. */
    bool scrolls = p->kind == PICTURE_TEXT && was[0] == PICTURE_TEXT && was[5] != now[5];
    bool changed = false;

    for (unsigned i = 0; i < G_N_ELEMENTS(now); i++) {
        changed |= now[i] != was[i] && !(scrolls && i == 5);
    }
    if (scrolls) {
        v->drawn->cursor_on = !v->drawn->cursor_on;         /* look at every cell */
    }
    memcpy(v->drawn->geometry, now, sizeof(now));
    return changed;
}

/* In 32 bits little-endian the surface is video memory. */
static bool borrow(struct vga *v, const struct picture *p)
{
    uint64_t end = p->start + (uint64_t)p->pitch * (p->height - 1) + p->width * 4ull;

    if (p->kind != PICTURE_VBE || p->bpp != 32 || G_BYTE_ORDER != G_LITTLE_ENDIAN || end > v->vram->size || p->width > UI_MAX_SIZE ||
        p->height > UI_MAX_SIZE) {
        return false;
    }
    ui_console_borrow(v->console, (int)p->width, (int)p->height, (int)p->pitch, v->vram->host + p->start);
    return true;
}

void vga_update(struct vga *v)
{
    struct picture p = layout(v);
    struct dirty *d;
    uint64_t span;
    bool all = v->drawn->all;

    all |= geometry_changed(v, &p);
    if (p.kind != PICTURE_VBE || p.bpp == 8) {
        all |= palette_changed(v, p.kind == PICTURE_VBE || p.kind == PICTURE_256);
    }
    v->drawn->all = false;
    if (p.kind == PICTURE_BLANK) {
        draw_blank(v, all);
        return;
    }
    if (!borrow(v, &p)) {
        if (p.kind == PICTURE_VBE && p.bpp == 32) {
            p.kind = PICTURE_BLANK;                         /* a picture larger than we show */
        }
        p.width = MIN(p.width, (unsigned)UI_MAX_SIZE);
        p.height = MIN(p.height, (unsigned)UI_MAX_SIZE);
        ui_console_resize(v->console, (int)p.width, (int)p.height);
    }
    d = g_malloc0(sizeof(*d) + (v->vram->size >> PAGE_BITS));
    span = MIN(p.kind == PICTURE_VBE ? p.start + (uint64_t)p.pitch * p.height : 0x40000u, v->vram->size);
    if (p.kind == PICTURE_PLANAR && vga_vbe_on(v)) {
        span = MIN((p.start + (uint64_t)p.pitch * p.height) * 4, v->vram->size);
    } else if (p.kind == PICTURE_256) {
        span = MIN(MAX((p.start + (uint64_t)p.pitch * p.height) * 4, 0x40000u), v->vram->size);
    }
    ram_collect_dirty(v->machine, v->vram, RAM_CLEAN_DISPLAY, p.kind == PICTURE_VBE ? p.start & PAGE_MASK : 0,
                      p.kind == PICTURE_VBE ? span - (p.start & PAGE_MASK) : span, note_pages, d);
    if (p.kind == PICTURE_TEXT) {
        draw_text(v, &p, d, all);
    } else if (p.kind == PICTURE_VBE && (all || d->any)) {
        draw_vbe(v, &p, d, all);
    } else if (p.kind != PICTURE_BLANK && (all || d->any)) {
        draw_graphics(v, p, d, all);
    }
    g_free(d);
}

void vga_invalidate(struct vga *v) { v->drawn->all = true; }
