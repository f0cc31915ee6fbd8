/* Entropy device. See virtio_rng.c. */
#ifndef HW_MISC_VIRTIO_RNG_H
#define HW_MISC_VIRTIO_RNG_H

#include "core/device.h"

extern const struct device_class virtio_rng_pci_classes[3];

#endif
