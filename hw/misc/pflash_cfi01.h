/*
 * Parallel flash with Intel's command set. See pflash_cfi01.c.
 */
#ifndef HW_MISC_PFLASH_CFI01_H
#define HW_MISC_PFLASH_CFI01_H

#include "core/device.h"
#include "core/region.h"

extern const struct device_class pflash_cfi01_class;

/* Made with device_make(..., "drive", NAME): the flash as a region, its size in bytes, for the board to place. Machine lock. */
struct region *pflash_region(struct device *d, uint64_t *size);

#endif
