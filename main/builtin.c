/*
 * What is built in. See main/builtin.h.
 */
#include "main/builtin.h"

#include <string.h>

#include "accel/kvm/kvm.h"
#include "accel/tcg/tcg_accel.h"
#include "core/accel.h"
#include "core/device.h"
#include "core/machine.h"
#include "core/object_types.h"
#include "core/rng.h"
#include "cpu/x86/cpu.h"
#include "disas/disas.h"
#include "hw/acpi/ich9.h"
#include "hw/acpi/piix4_pm.h"
#include "hw/boards/boards.h"
#include "hw/char/debugcon.h"
#include "hw/char/uart16550.h"
#include "hw/display/display.h"
#include "hw/input/i8042.h"
#include "hw/char/virtio_serial.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/isa/isa.h"
#include "hw/misc/fw_cfg.h"
#include "hw/misc/misc.h"
#include "hw/misc/pflash_cfi01.h"
#include "hw/misc/virtio_balloon.h"
#include "hw/misc/virtio_rng.h"
#include "hw/net/e1000.h"
#include "hw/net/virtio_net.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/mch.h"
#include "hw/pci/pci_bridge.h"
#include "hw/storage/ide.h"
#include "hw/storage/virtio_blk.h"
#include "hw/timer/i8254.h"
#include "hw/timer/mc146818.h"
#include "main/drives.h"
#include "main/networks.h"
#include "main/displays.h"
#include "monitor/monitor.h"

const struct board *const builtin_boards[] = { &board_pc, &board_q35, NULL };

static const struct accel_ops *const engines[] = {
    &accel_tcg,
#if CONFIG_KVM
    &accel_kvm,
#endif
    NULL,
};


#define VIRTIO_CLASSES(array) &(array)[0], &(array)[1], &(array)[2]
static const struct device_class *const classes[] = {
    &isa_bus_class, &i8042_class, &vga_pci_class, &secondary_vga_class, &bochs_display_class, &port92_class, &fw_cfg_class,
    &i8254_class, &i8259_class, &ioapic_class, &lapic_class, &mc146818_class,
    &i440fx_host_class, &i440fx_class, &piix3_class, &q35_host_class, &mch_class, &ich9_lpc_class, &ich9_smb_class,
    &pci_bridge_class, &i82801b11_bridge_class, &pcie_root_port_class, &ioh3420_class, &pcie_pci_bridge_class, &x3130_upstream_class,
    &xio3130_downstream_class,
    &piix4_pm_class,
    &piix3_ide_class, &piix4_ide_class, &ide_hd_class, &ide_cd_class,
    &e1000_class,
    VIRTIO_CLASSES(virtio_rng_pci_classes), VIRTIO_CLASSES(virtio_balloon_pci_classes), VIRTIO_CLASSES(virtio_serial_pci_classes),
    &virtserialport_class, &virtconsole_class,
    &uart16550_class, &debugcon_class, &debugexit_class, &pflash_cfi01_class,
    VIRTIO_CLASSES(virtio_net_pci_classes), VIRTIO_CLASSES(virtio_blk_pci_classes),
    NULL,
};

static const struct object_type *const objects[] = {
    &rng_random_type, &rng_builtin_type, &memory_backend_ram_type, &memory_backend_memfd_type, &memory_backend_file_type, &iothread_type, &secret_type,
    &filter_dump_type,
    NULL,
};

const struct command *const builtin_commands[] = {
    monitor_commands, memory_commands, object_commands, display_commands, drive_commands, network_commands, NULL,
};

/* For -d in_asm and out_asm. */
static void disassemble(FILE *out, unsigned mode, uint64_t pc, const uint8_t *bytes, size_t len)
{
    GString *s = g_string_new(NULL);

    disas_print(s, mode == TCG_DISAS_HOST ? DISAS_X86_64 : (enum disas_mode)mode, pc, bytes, len, 0);
    fputs(s->str, out);
    g_string_free(s, TRUE);
}

bool builtin_register(GError **err)
{
    tcg_set_disassembler(disassemble);
    accels_set(engines);
    object_types_set(objects);
    device_classes_set(classes);
    for (unsigned i = 0; classes[i]; i++) {
        if (!device_class_check(classes[i], err)) {
            return false;
        }
    }
    return true;
}

const struct board *board_find(const char *name)
{
    for (unsigned i = 0; builtin_boards[i]; i++) {
        if (!strcmp(builtin_boards[i]->name, name) || !g_strcmp0(builtin_boards[i]->alias, name)) {
            return builtin_boards[i];
        }
    }
    return NULL;
}

void builtin_cpu_help(FILE *out)
{
    x86_models_help(out);
}
