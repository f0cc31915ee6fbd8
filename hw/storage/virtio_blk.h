/* Virtio block device. See virtio_blk.c. */
#ifndef HW_STORAGE_VIRTIO_BLK_H
#define HW_STORAGE_VIRTIO_BLK_H

#include "core/device.h"

extern const struct device_class virtio_blk_pci_classes[3];

#endif
