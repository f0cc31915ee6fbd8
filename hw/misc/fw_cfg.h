/*
 * Firmware configuration device: how firmware and guests learn about the machine. See fw_cfg.c.
 */
#ifndef HW_MISC_FW_CFG_H
#define HW_MISC_FW_CFG_H

#include "core/device.h"
#include "core/region.h"

/* Keys of the specification that are not files. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03, FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05, FW_CFG_KERNEL_ADDR = 0x07, FW_CFG_KERNEL_SIZE = 0x08, FW_CFG_INITRD_ADDR = 0x0a, FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f, FW_CFG_KERNEL_ENTRY = 0x10, FW_CFG_KERNEL_DATA = 0x11, FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13, FW_CFG_CMDLINE_SIZE = 0x14, FW_CFG_CMDLINE_DATA = 0x15, FW_CFG_SETUP_ADDR = 0x16, FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18, FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_IRQ0_OVERRIDE = 0x8002, FW_CFG_E820 = 0x8003,
};

struct fw_cfg;
extern const struct device_class fw_cfg_class;

/*
 * Items are made while the machine is built; data is copied. add replaces what is there. A writable file can be
 * changed by the guest through DMA. Machine lock.
 */
void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len);
void fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t v);
void fw_cfg_add_u32(struct fw_cfg *f, uint16_t key, uint32_t v);
void fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t v);
/* name: up to 55 bytes. False: too long, or there are too many files. */
bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len, bool writable, GError **err);
/* New contents of a file whose size the guest knows: what is missing is zero, what is too much is cut off. */
void fw_cfg_change_file(struct fw_cfg *f, const char *name, const void *data, size_t len);
/* fn runs each time the guest selects the file, and may change it. after: the guest has written to a writable one. NULL: nothing. */
void fw_cfg_before_read(struct fw_cfg *f, const char *name, void (*fn)(void *opaque), void *opaque);
void fw_cfg_after_write(struct fw_cfg *f, const char *name, void (*fn)(void *opaque), void *opaque);
/* The file's bytes as they are, *len of them; NULL: there is no such file. */
const uint8_t *fw_cfg_file(struct fw_cfg *f, const char *name, size_t *len);
/* The machine's device; NULL: it has none. */
struct fw_cfg *fw_cfg_find(struct machine *m);

#endif
