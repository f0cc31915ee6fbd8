/*
 * The form of an image by its first bytes. Only what must not be taken for raw; the forms themselves come later.
 */
#include <string.h>

#include "block/block_priv.h"

static const struct {
    unsigned offset, len;
    const char *magic, *name;
} forms[] = {
    { 0, 4, "QFI\xfb", "qcow2" },        /* version 1 is qcow */
    { 0, 4, "QED\0", "qed" },
    { 0, 4, "KDMV", "vmdk" },
    { 0, 4, "COWD", "vmdk" },
    { 0, 21, "# Disk DescriptorFile", "vmdk" },
    { 0x40, 4, "\x7f\x10\xda\xbe", "vdi" },
    { 0, 8, "vhdxfile", "vhdx" },
    { 0, 8, "conectix", "vpc" },
    { 0, 6, "LUKS\xba\xbe", "luks" },
    { 0, 16, "WithoutFreeSpace", "parallels" },
    { 0, 16, "WithouFreSpacExt", "parallels" },
    { 0, 22, "Bochs Virtual HD Image", "bochs" },
};

const char *probe_header(const uint8_t *buf, size_t len)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        if (forms[i].offset + forms[i].len <= len && !memcmp(buf + forms[i].offset, forms[i].magic, forms[i].len)) {
            return i == 0 && len >= 8 && buf[7] == 1 && !buf[4] && !buf[5] && !buf[6] ? "qcow" : forms[i].name;
        }
    }
    return NULL;
}

const char *probe_node(struct node *n)
{
    uint8_t buf[BLOCK_SECTOR];
    if (n->size < sizeof(buf) || node_run(n, BLOCK_READ, 0, buf, sizeof(buf))) {
        return NULL;
    }
    return probe_header(buf, sizeof(buf));
}
