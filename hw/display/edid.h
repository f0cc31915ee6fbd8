/*
 * EDID of the monitor that a display device seems to have. Spec: VESA E-EDID Standard Release A, revision 2 (EDID 1.4).
 */
#ifndef HW_DISPLAY_EDID_H
#define HW_DISPLAY_EDID_H

#include <stdint.h>

#define EDID_SIZE 128
enum { EDID_DEFAULT_XRES = 1280, EDID_DEFAULT_YRES = 800 };

/* The base block; xres * yres (0: the default) is the preferred mode. */
void edid_make(uint8_t edid[EDID_SIZE], unsigned xres, unsigned yres);

#endif
