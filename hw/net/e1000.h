/*
 * Intel 82540EM. See e1000.c.
 */
#ifndef HW_NET_E1000_H
#define HW_NET_E1000_H

#include "core/device.h"

extern const struct device_class e1000_class;

#endif
