/* Memory balloon. See virtio_balloon.c. */
#ifndef HW_MISC_VIRTIO_BALLOON_H
#define HW_MISC_VIRTIO_BALLOON_H

#include "core/device.h"

extern const struct device_class virtio_balloon_pci_classes[3];

#endif
