/* Scattered transfers: pieces, holes, dirty marks. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/uio.h>

#include "core/dma.h"
#include "core/machine.h"

static struct machine *m;
static struct region ram, rom;
static struct ram_block *block, *rom_block;

static void setup(void)
{
    m = machine_new();
    machine_lock(m);
    block = ram_new(m, "ram", 0x4000, false, NULL);
    rom_block = ram_new(m, "rom", 0x1000, true, NULL);
    region_init_ram(&ram, "ram", block, 0, 0x4000);
    region_init_ram(&rom, "rom", rom_block, 0, 0x1000);
    rom.readonly = true;
    region_add(&m->memory_root, &ram, 0x10000, 0);
    region_add(&m->memory_root, &rom, 0x14000, 0);
}

static void teardown(void)
{
    machine_unlock(m);
    machine_free(m);
}

TestSuite(dma_sg, .init = setup, .fini = teardown);

Test(dma_sg, neighbours_join_and_blocks_do_not)
{
    struct dma_sg sg;
    dma_sg_init(&sg, &m->memory, false);
    cr_assert(dma_sg_add(&sg, 0x10000, 0x800) && dma_sg_add(&sg, 0x10800, 0x800));
    cr_expect(sg.n == 1 && sg.bytes == 0x1000 && sg.ok);
    cr_assert(dma_sg_add(&sg, 0x13800, 0x1000));
    cr_expect(sg.n == 3, "%u pieces: the end of RAM and the ROM behind it are apart", sg.n);
    cr_expect(sg.ok && sg.bytes == 0x2000);
    dma_sg_end(&sg, 0);
}

Test(dma_sg, holes_bounce)
{
    struct dma_sg sg;
    uint8_t buf[16];
    memset(block->host + 0x3000, 0x5a, 0x1000);
    dma_sg_init(&sg, &m->memory, false);
    cr_assert(dma_sg_add(&sg, 0xfff8, 16));
    cr_expect(!sg.ok && sg.bytes == 16);
    cr_expect(dma_sg_read(&sg, 4, buf, 16) == 12 && buf[0] == 0xff && buf[3] == 0xff && buf[4] == 0, "hole reads as ones");
    dma_sg_end(&sg, 0);
    dma_sg_init(&sg, &m->memory, true);
    cr_assert(dma_sg_add(&sg, 0x13ff0, 0x20));
    cr_expect(!sg.ok, "ROM cannot be written");
    memset(buf, 0x77, sizeof(buf));
    cr_expect(dma_sg_write(&sg, 8, buf, 16) == 16);
    dma_sg_end(&sg, 0x20);
    cr_expect(block->host[0x3ff7] == 0x5a && block->host[0x3ff8] == 0x77 && rom_block->host[0] == 0);
}

Test(dma_sg, written_bytes_are_dirty)
{
    struct dma_sg sg;
    for (unsigned i = 0; i < 4; i++) {
        atomic_fetch_or(&block->flags[i], RAM_CLEAN_DISPLAY);
    }
    dma_sg_init(&sg, &m->memory, true);
    cr_assert(dma_sg_add(&sg, 0x10000, 0x1000) && dma_sg_add(&sg, 0x12000, 0x1000));
    dma_sg_end(&sg, 0x1000);
    cr_expect(!(block->flags[0] & RAM_CLEAN_DISPLAY) && (block->flags[2] & RAM_CLEAN_DISPLAY));
    dma_sg_init(&sg, &m->memory, true);
    cr_assert(dma_sg_add(&sg, 0x10000, 0x1000));
    cr_expect(!dma_sg_add(&sg, 0, DMA_SG_MAX), "too long");
    dma_sg_end(&sg, 0);
}
