/*
 * Page tables for people: info mem, info tlb. Spec: Intel SDM vol. 3, 4.3 to 4.5. A guest's tables may contain themselves, so what is shown is bounded.
 */
#include <inttypes.h>

#include "core/dma.h"
#include "cpu/x86/sys_priv.h"

enum { P = 1 << 0, RW = 1 << 1, US = 1 << 2, PWT = 1 << 3, PCD = 1 << 4, A = 1 << 5, D = 1 << 6, PS = 1 << 7, G = 1 << 8 };
#define NX (1ull << 63)
#define ADDRESS_MASK 0xffffffffff000ull
#define CR4_FIVE_LEVELS (1u << 12)
enum { ENTRIES_MAX = 1 << 22 };

struct walk {
    struct cpu *cpu;
    GString *out;
    bool entries, wide;          /* wide: 8-byte entries */
    unsigned bits;               /* of a virtual address */
    unsigned left;               /* entries that may still be looked at */
    /* info mem: the range so far */
    uint64_t start, end;
    unsigned rights;             /* RW, US; valid while end > start */
};

static uint64_t canonical(const struct walk *w, uint64_t va)
{
    return w->bits > 32 && va >> (w->bits - 1) & 1 ? va | ~0ull << w->bits : va;
}

static void range_end(struct walk *w)
{
    if (w->end > w->start) {
        g_string_append_printf(w->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c\n", canonical(w, w->start), canonical(w, w->end - 1) + 1,
                               w->end - w->start, w->rights & US ? 'u' : '-', w->rights & RW ? 'w' : '-');
    }
    w->start = w->end = 0;
}

static void leaf(struct walk *w, uint64_t va, uint64_t size, uint64_t e, unsigned rights)
{
    if (!w->entries) {
        if (w->end != va || w->rights != rights || w->end == w->start) {
            range_end(w);
            w->start = va;
            w->rights = rights;
        }
        w->end = va + size;
        return;
    }
    g_string_append_printf(w->out, "%016" PRIx64 ": %016" PRIx64 " %c%c%c%c%c%c%c%c%c\n", canonical(w, va), (uint64_t)(e & ADDRESS_MASK & ~(size - 1)),
                           w->wide && e & NX ? 'X' : '-', e & G ? 'G' : '-', size > 4096 ? 'P' : '-', e & D ? 'D' : '-', e & A ? 'A' : '-',
                           e & PCD ? 'C' : '-', e & PWT ? 'T' : '-', e & US ? 'U' : '-', e & RW ? 'W' : '-');
}

/* One table: `count` entries that cover 1 << shift bytes each. level 1: its entries are pages. */
static void table(struct walk *w, uint64_t at, unsigned level, unsigned shift, unsigned count, uint64_t va, unsigned rights, bool big)
{
    unsigned per_level = w->wide ? 9 : 10;

    for (unsigned i = 0; i < count && w->left; i++, va += 1ull << shift) {
        uint64_t e = w->wide ? dma_ld64(w->cpu->memory, at + 8 * i) : dma_ld32(w->cpu->memory, at + 4 * i);
        /* The four pointers of PAE have no rights. */
        unsigned here = level == 3 && w->bits == 32 ? rights : rights & (unsigned)e;

        w->left--;
        if (!(e & P)) {
            if (!w->entries) {
                range_end(w);
            }
        } else if (level == 1 || (level <= 3 && e & PS && big && !(level == 3 && w->bits == 32))) {
            leaf(w, va, 1ull << shift, w->wide || level == 1 ? e : (e & 0xffc00fff) | (e & 0x1fe000) << 19, here);
        } else {
            table(w, e & (w->wide ? ADDRESS_MASK : 0xfffff000), level - 1, shift - per_level, 1u << per_level, va, here, big);
        }
    }
}

void x86_dump_map(struct cpu *c, bool entries, GString *out)
{
    const struct x86_state *s = &x86_of(c)->s;
    struct walk w = { .cpu = c, .out = out, .entries = entries, .wide = s->cr4 & CR4_PAE, .bits = 32, .left = ENTRIES_MAX };

    if (!(s->cr0 & CR0_PG)) {
        g_string_append(out, "PG disabled\n");
        return;
    }
    if (s->efer & EFER_LMA) {
        bool five = s->cr4 & CR4_FIVE_LEVELS;

        w.bits = five ? 57 : 48;
        table(&w, s->cr3 & ADDRESS_MASK, five ? 5 : 4, five ? 48 : 39, 512, 0, RW | US, true);
    } else if (w.wide) {
        table(&w, s->cr3 & 0xffffffe0, 3, 30, 4, 0, RW | US, true);
    } else {
        table(&w, s->cr3 & 0xfffff000, 2, 22, 1024, 0, RW | US, s->cr4 & CR4_PSE);
    }
    range_end(&w);
    if (!w.left) {
        g_string_append_printf(out, "(more than %d entries, the rest is not shown)\n", ENTRIES_MAX);
    }
}
