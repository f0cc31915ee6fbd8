/*
 * Expansion ROMs: an image in a BAR of its own. Spec: PCI Local Bus 3.0, 6.3; PCI Firmware 3.0, 5.1.
 */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/datafile.h"
#include "core/machine.h"
#include "hw/pci/pci.h"

#define ROM_MAX (16u << 20)

/* One image serves several cards of a family: the ids in its PCI data structure become the card's; byte 6 keeps the sum of the image. */
static void patch_ids(const struct pci_device *p, uint8_t *rom, size_t len)
{
    unsigned at = len > 0x1a ? pci_get16(rom + 0x18) : 0;
    if (!at || at + 8 > len || memcmp(rom + at, "PCIR", 4) || pci_get16(rom) != 0xaa55) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        uint8_t is = p->config[PCI_VENDOR_ID + i], *was = &rom[at + 4 + i];
        rom[6] += *was - is;
        *was = is;
    }
}

bool pci_rom_load(struct pci_device *p, GError **err)
{
    const char *name = p->romfile ? p->romfile : p->pci_id->rom;
    g_autofree char *path = NULL, *data = NULL;
    gsize len = 0, size = PAGE_SIZE;
    GError *why = NULL;

    if (!p->rombar || !name || !*name) {
        return true;
    }
    path = data_file_find(p->dev.machine, name);
    if (!path || !g_file_get_contents(path, &data, &len, &why)) {
        if (p->romfile) {
            error_set(err, EMU_ERROR_HOST, "romfile '%s': %s", name, why ? why->message : "not found here or where -L says");
            g_clear_error(&why);
            return false;
        }
        g_clear_error(&why);
        log_unimp("%s: its ROM '%s' is not installed", p->dev.class->name, name);
        return true;
    }
    if (!len || len > ROM_MAX) {
        return error_set(err, EMU_ERROR_INVALID, "romfile '%s' has %zu bytes: there may be 1 to 16 MiB", path, len);
    }
    while (size < len) {
        size *= 2;
    }
    if (!p->romfile) {
        patch_ids(p, (uint8_t *)data, len);
    }
    p->rom = ram_new(p->dev.machine, p->dev.class->name, size, true, err);
    if (!p->rom) {
        return false;
    }
    memcpy(p->rom->host, data, len);
    struct region *r = pci_region_new(p, PCI_REGION_ROM);
    region_init_ram(r, "rom", p->rom, 0, size);
    pci_bar_add(p, PCI_ROM_BAR, PCI_BAR_MEM32, r, size);
    return true;
}
