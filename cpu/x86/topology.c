/*
 * Which vCPU is which thread, core, die and socket, and which caches they share: APIC ids, and the CPUID leaves that tell them.
 * Spec: Intel SDM vol. 2, CPUID leaves 4, 0Bh, 1Fh; AMD APM vol. 3, Fn8000_0005, 06, 08, 1D, 1E.
 *
 * An APIC id is made of fields, each as wide as its count needs; so counts that are no powers of two leave gaps.
 */
#include "cpu/x86/cpu.h"
#include "cpu/x86/models.h"
#include "cpu/x86/sys_priv.h"

static unsigned at_least_1(unsigned n) { return n ? n : 1; }

static unsigned width(unsigned n)      /* bits that number n things */
{
    return n > 1 ? 32 - __builtin_clz(n - 1) : 0;
}

struct x86_topology x86_topology(const struct machine *m)
{
    struct x86_topology t = { .threads = at_least_1(m->spec.threads), .cores = at_least_1(m->spec.cores), .dies = at_least_1(m->spec.dies) };

    t.core_shift = width(t.threads);
    t.die_shift = t.core_shift + width(t.cores);
    t.package_shift = t.die_shift + width(t.dies);
    t.per_package = t.threads * t.cores * t.dies;
    return t;
}

uint32_t x86_apic_id(struct machine *m, unsigned index)
{
    struct x86_topology t = x86_topology(m);
    unsigned thread = index % t.threads, core = index / t.threads % t.cores, die = index / (t.threads * t.cores) % t.dies;

    return (index / t.per_package) << t.package_shift | die << t.die_shift | core << t.core_shift | thread;
}

/* 0Bh knows threads and cores; 1Fh (`dies`) the dies between core and package. */
void x86_leaf_topology(struct x86_cpu *x, uint32_t subleaf, bool dies, struct x86_cpuid *o)
{
    enum { SMT = 1, CORE = 2, DIE = 5 };
    struct x86_topology t = x86_topology(x->cpu.machine);
    bool with_dies = dies && t.dies > 1;
    const struct { unsigned type, shift, count; } rows[] = {
        { SMT, t.core_shift, t.threads },
        { CORE, with_dies ? t.die_shift : t.package_shift, with_dies ? t.threads * t.cores : t.per_package },
        { DIE, t.package_shift, t.per_package },
    };

    o->r[2] = subleaf & 0xff;
    o->r[3] = x->apic_id;
    if (subleaf < (with_dies ? 3 : 2)) {
        o->r[0] = rows[subleaf].shift;
        o->r[1] = rows[subleaf].count & 0xffff;
        o->r[2] |= rows[subleaf].type << 8;
    }
}

/* --- caches --- */

struct cache { uint8_t level, type, ways; uint32_t kib; };      /* type: 1 data, 2 code, 3 both */
struct x86_cache_set { struct cache c[4]; };

const struct x86_cache_set x86_caches_generic = { { { 1, 1, 8, 32 }, { 1, 2, 8, 32 }, { 2, 3, 16, 2048 }, { 3, 3, 16, 16384 } } };
const struct x86_cache_set x86_caches_epyc = { { { 1, 1, 8, 32 }, { 1, 2, 4, 64 }, { 2, 3, 8, 512 }, { 3, 3, 16, 8192 } } };
const struct x86_cache_set x86_caches_rome = { { { 1, 1, 8, 32 }, { 1, 2, 8, 32 }, { 2, 3, 8, 512 }, { 3, 3, 16, 16384 } } };
const struct x86_cache_set x86_caches_milan = { { { 1, 1, 8, 32 }, { 1, 2, 8, 32 }, { 2, 3, 8, 512 }, { 3, 3, 16, 32768 } } };

enum { LINE = 64 };

static const struct cache *cache_n(const struct x86_cpu *x, unsigned n)
{
    return n < (x->l3_cache ? 4u : 3u) ? &x->caches->c[n] : NULL;
}

/* What 4 and 8000001Dh have in common; the third level serves a die. */
static bool cache_leaf(struct x86_cpu *x, unsigned n, unsigned sharing[2], struct x86_cpuid *o)
{
    const struct cache *c = cache_n(x, n);

    if (!c) {
        return false;
    }
    o->r[0] = c->type | c->level << 5 | 1 << 8 | (sharing[c->level == 3] - 1) << 14;
    o->r[1] = (LINE - 1) | (c->ways - 1u) << 22;
    o->r[2] = c->kib * 1024 / LINE / c->ways - 1;
    o->r[3] = c->level == 3 ? 2 : 0;      /* inclusive */
    return true;
}

void x86_leaf_4(struct x86_cpu *x, uint32_t n, struct x86_cpuid *o)
{
    struct x86_topology t = x86_topology(x->cpu.machine);
    unsigned cores = 1u << (t.package_shift - t.core_shift);

    if (cache_leaf(x, n, (unsigned[]){ 1u << t.core_shift, 1u << t.die_shift }, o)) {
        o->r[0] |= (MIN(cores, 64) - 1) << 26;
    }
}

void x86_leaf_8000001d(struct x86_cpu *x, uint32_t n, struct x86_cpuid *o)
{
    struct x86_topology t = x86_topology(x->cpu.machine);

    cache_leaf(x, n, (unsigned[]){ t.threads, t.threads * t.cores }, o);
}

/* Associativity as AMD's leaves code it. */
static unsigned ways_code(unsigned ways)
{
    return ways == 1 ? 1 : ways == 2 ? 2 : ways == 4 ? 4 : ways == 8 ? 6 : ways == 16 ? 8 : 0xf;
}

void x86_leaf_80000005(struct x86_cpu *x, struct x86_cpuid *o)
{
    o->r[0] = o->r[1] = 0xff40ff40;      /* TLBs: 64 entries each, fully associative */
    for (unsigned n = 0; n < 2; n++) {
        const struct cache *c = cache_n(x, n);
        o->r[2 + n] = c->kib << 24 | (uint32_t)c->ways << 16 | 1 << 8 | LINE;
    }
}

void x86_leaf_80000006(struct x86_cpu *x, struct x86_cpuid *o)
{
    const struct cache *l2 = cache_n(x, 2), *l3 = cache_n(x, 3);

    o->r[2] = l2->kib << 16 | ways_code(l2->ways) << 12 | (x->intel ? 0 : 1 << 8) | LINE;
    if (!x->intel && l3) {
        o->r[3] = l3->kib / 512 << 18 | ways_code(l3->ways) << 12 | 1 << 8 | LINE;
    }
}

void x86_leaf_8000001e(struct x86_cpu *x, struct x86_cpuid *o)
{
    struct x86_topology t = x86_topology(x->cpu.machine);
    unsigned id = x->apic_id, node = id >> t.die_shift & ((1u << (t.package_shift - t.die_shift)) - 1);
    unsigned unit = (id & ((1u << t.package_shift) - 1)) >> t.core_shift;

    o->r[0] = id;
    o->r[1] = (t.threads - 1) << 8 | (unit & 0xff);
    o->r[2] = (t.dies - 1) << 8 | ((id >> t.package_shift) * t.dies + node);
}
