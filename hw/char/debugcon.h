/*
 * Bochs debug console. See debugcon.c.
 */
#ifndef HW_CHAR_DEBUGCON_H
#define HW_CHAR_DEBUGCON_H

#include "core/device.h"

extern const struct device_class debugcon_class;

#endif
