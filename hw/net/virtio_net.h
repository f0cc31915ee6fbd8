/* Virtio network card. See virtio_net.c. */
#ifndef HW_NET_VIRTIO_NET_H
#define HW_NET_VIRTIO_NET_H

#include "core/device.h"

extern const struct device_class virtio_net_pci_classes[3];

#endif
