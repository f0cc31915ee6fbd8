/*
 * See edid.h. The preferred mode's timing has reduced blanking (VESA CVT 1.1, section 5) at 60 Hz; it is a number that guests compute with, no beam
 * follows it.
 */
#include "hw/display/edid.h"

#include <glib.h>
#include <string.h>

enum { DPI = 96, HBLANK = 160, HFRONT = 48, HSYNC = 32, VBLANK = 30, VFRONT = 3, VSYNC = 6 };

static void descriptor_text(uint8_t *d, uint8_t tag, const char *text)
{
    memset(d, 0, 18);
    d[3] = tag;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, text, strlen(text));
    if (strlen(text) < 13) {
        d[5 + strlen(text)] = '\n';
    }
}

/* Section 3.10.2: a detailed timing. Sizes of 12 bits each way. */
static void descriptor_timing(uint8_t *d, unsigned x, unsigned y)
{
    uint64_t clock = (uint64_t)(x + HBLANK) * (y + VBLANK) * 60 / 10000;           /* in 10 kHz */
    unsigned mm_x = x * 254 / (DPI * 10), mm_y = y * 254 / (DPI * 10);
    unsigned pixel = (unsigned)MIN(clock, 0xffffu);

    d[0] = (uint8_t)pixel, d[1] = (uint8_t)(pixel >> 8);
    d[2] = (uint8_t)x, d[3] = HBLANK, d[4] = (uint8_t)(x >> 8 << 4);
    d[5] = (uint8_t)y, d[6] = VBLANK, d[7] = (uint8_t)(y >> 8 << 4);
    d[8] = HFRONT, d[9] = HSYNC, d[10] = VFRONT << 4 | VSYNC, d[11] = 0;
    d[12] = (uint8_t)mm_x, d[13] = (uint8_t)mm_y, d[14] = (uint8_t)((mm_x >> 8 & 15) << 4 | (mm_y >> 8 & 15));
    d[17] = 0x1a;                                                                    /* digital separate sync, +h */
}

void edid_make(uint8_t e[EDID_SIZE], unsigned xres, unsigned yres)
{
    static const uint8_t header[8] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
    /* 3.9: standard timings: width / 8 - 31, aspect and rate - 60 */
    static const struct { uint16_t x; uint8_t aspect; } standard[8] = {
        { 1920, 3 }, { 1680, 0 }, { 1600, 1 }, { 1440, 0 }, { 1280, 2 }, { 1280, 0 }, { 1152, 1 }, { 1024, 1 } };
    static const uint8_t chroma[10] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };      /* sRGB */
    unsigned x = CLAMP(xres ? xres : EDID_DEFAULT_XRES, 64u, 4095u), y = CLAMP(yres ? yres : EDID_DEFAULT_YRES, 64u, 4095u);
    uint8_t sum = 0;

    memset(e, 0, EDID_SIZE);
    memcpy(e, header, 8);
    e[8] = ('E' - 64) << 2 | ('M' - 64) >> 3, e[9] = (uint8_t)(('M' - 64) << 5) | ('U' - 64);
    e[10] = 0x01, e[11] = 0x00;
    e[16] = 1, e[17] = 2024 - 1990;
    e[18] = 1, e[19] = 4;
    e[20] = 0xa5;                                                                    /* digital, 8 bits a colour, DisplayPort */
    e[21] = (uint8_t)(x * 254 / (DPI * 100)), e[22] = (uint8_t)(y * 254 / (DPI * 100));
    e[23] = 120, e[24] = 0x06;                                                       /* gamma 2.2; sRGB, preferred timing is native */
    memcpy(e + 25, chroma, 10);
    e[35] = 0x21, e[36] = 0x08;                                                      /* 640x480, 800x600, 1024x768 at 60 Hz */
    for (unsigned i = 0; i < 8; i++) {
        e[38 + 2 * i] = (uint8_t)(standard[i].x / 8 - 31), e[39 + 2 * i] = (uint8_t)(standard[i].aspect << 6);
    }
    descriptor_timing(e + 54, x, y);
    descriptor_text(e + 72, 0xfc, "EMU Monitor");
    descriptor_text(e + 90, 0xfd, "");
    memcpy(e + 95, "\x32\x7d\x1e\xa0\xff\x01\n      ", 13);                           /* 50-125 Hz, 30-160 kHz, 2550 MHz */
    e[111] = 0x10;                                                                   /* 0x10: dummy */
    for (unsigned i = 0; i < EDID_SIZE - 1; i++) {
        sum = (uint8_t)(sum + e[i]);
    }
    e[127] = (uint8_t)-sum;
}
