/* Virtio console: controllers and their ports. See virtio_serial.c. */
#ifndef HW_CHAR_VIRTIO_SERIAL_H
#define HW_CHAR_VIRTIO_SERIAL_H

#include "core/device.h"

extern const struct device_class virtio_serial_pci_classes[3], virtserialport_class, virtconsole_class;

#endif
