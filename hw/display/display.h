/*
 * Display devices.
 */
#ifndef HW_DISPLAY_DISPLAY_H
#define HW_DISPLAY_DISPLAY_H

#include "core/device.h"

extern const struct device_class vga_pci_class, secondary_vga_class, bochs_display_class;

#endif
