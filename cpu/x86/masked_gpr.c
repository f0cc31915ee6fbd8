/*
 * Vector loads and stores under a mask, gathers: lane by lane, on state.native_tmp. General registers only.
 * Spec: Intel SDM vol. 2, VMASKMOV, VPMASKMOV, VGATHERxxx, VPGATHERxxx; faults: vol. 2, 2.7.12 (class 12).
 */
#include "cpu/x86/decode.h"
#include "cpu/x86/fpu_helpers.h"
#include "cpu/x86/front_helpers.h"
#include "cpu/x86/sys_priv.h"

static unsigned regime(const struct x86_state *s) { return x86_regime_at(s, x86_cpl(s)); }
static unsigned lane_size(uint64_t form) { return form >> X86_MF_WIDE & 1 ? 8 : 4; }

/* Typed, for the lanes are looked at in both sizes. */
typedef uint32_t __attribute__((may_alias)) lane32;
typedef uint64_t __attribute__((may_alias)) lane64;

static uint64_t lane_get(const struct x86_state *s, unsigned place, unsigned size, unsigned k)
{
    const uint8_t *p = s->native_tmp + place + k * size;
    return size == 8 ? *(const lane64 *)p : *(const lane32 *)p;
}

static void lane_put(struct x86_state *s, unsigned place, unsigned size, unsigned k, uint64_t v)
{
    uint8_t *p = s->native_tmp + place + k * size;

    if (size == 8) {
        *(lane64 *)p = v;
    } else {
        *(lane32 *)p = (uint32_t)v;
    }
}

static bool lane_on(const struct x86_state *s, unsigned size, unsigned k)
{
    return lane_get(s, X86_TMP_MASK, size, k) >> (size * 8 - 1);
}

/* Linear address of `offset` in the instruction's segment; false: *f is the fault. */
static bool linear(struct x86_state *s, uint64_t form, uint64_t offset, unsigned size, bool write, uint64_t *va, struct mmu_fault *f)
{
    unsigned seg = form >> X86_MF_SEG & 7, addrsize = form >> X86_MF_ADDRSIZE & 15;

    offset = addrsize == 8 ? offset : addrsize == 4 ? (uint32_t)offset : (uint16_t)offset;
    switch (form >> X86_MF_HOW & 3) {
    case X86_MF_FLAT:
        *va = offset;
        return true;
    case X86_MF_BASE:
        *va = s->seg[seg].base + offset;
        return true;
    default:
        if (!x86_seg_allows(s, seg, (uint32_t)offset, size, write)) {
            return fault_set(f, seg == X86_SS ? X86_SS_FAULT : X86_GP, 0);
        }
        *va = (uint32_t)(s->seg[seg].base + offset);
        return true;
    }
}

static void raise_odd(struct x86_state *s, uint64_t form, struct mmu_fault *f)
{
    /* a non-canonical address in the stack segment (SDM vol. 2, 2.7.12) */
    if (f->vector == X86_GP && (form >> X86_MF_SEG & 7) == X86_SS) {
        f->vector = X86_SS_FAULT;
    }
    x86_raise_fault(s, f);
}

static bool load_lane(struct x86_state *s, uint64_t form, uint64_t offset, unsigned size, uint64_t *v, struct mmu_fault *f)
{
    uint64_t va;

    return linear(s, form, offset, size, false, &va, f) && mem_ld(s, va, size, regime(s), v, f);
}

uint64_t x86_do_mask_load(struct x86_state *s, uint64_t offset, uint64_t form, uint64_t c, uint64_t d)
{
    unsigned size = lane_size(form), n = (form >> X86_MF_LONG & 1 ? 32 : 16) / size;
    struct mmu_fault f;

    (void)c, (void)d;
    for (unsigned k = 0; k < n; k++) {
        uint64_t v = 0;
        if (lane_on(s, size, k) && !load_lane(s, form, offset + k * size, size, &v, &f)) {
            raise_odd(s, form, &f);
        }
        lane_put(s, X86_TMP_DATA, size, k, v);
    }
    return 0;
}

/* Every lane's page is asked for before the first one is written. */
uint64_t x86_do_mask_store(struct x86_state *s, uint64_t offset, uint64_t form, uint64_t c, uint64_t d)
{
    unsigned size = lane_size(form), n = (form >> X86_MF_LONG & 1 ? 32 : 16) / size;
    struct mmu_fault f;
    uint64_t va[8];

    (void)c, (void)d;
    for (unsigned k = 0; k < n; k++) {
        f.vector = MMU_NO_FAULT;
        if (lane_on(s, size, k) && (!linear(s, form, offset + k * size, size, true, &va[k], &f) ||
                                    (!accel_of(s)->probe(cpu_of(s), va[k], size, MEM_WRITE, regime(s), &f) && f.vector != MMU_NO_FAULT))) {
            raise_odd(s, form, &f);
        }
    }
    for (unsigned k = 0; k < n; k++) {
        if (lane_on(s, size, k) && !mem_st(s, va[k], size, regime(s), lane_get(s, X86_TMP_DATA, size, k), &f)) {
            raise_odd(s, form, &f);
        }
    }
    return 0;
}

/* The mask becomes all ones in lanes that are on, and zero elsewhere (SDM vol. 2, VGATHERDPS, operation). False: it was so already. */
static bool spread_mask(struct x86_state *s, unsigned size, unsigned n)
{
    bool changed = false;

    for (unsigned k = 0; k < 32 / size; k++) {
        uint64_t ones = size == 8 ? ~0ull : 0xffffffff, now = k < n && lane_on(s, size, k) ? ones : 0;
        changed |= now != lane_get(s, X86_TMP_MASK, size, k);
        lane_put(s, X86_TMP_MASK, size, k, now);
    }
    return changed;
}

static void zero_from(struct x86_state *s, unsigned place, unsigned at)
{
    for (unsigned k = at / 8; k < 4; k++) {
        lane_put(s, place, 8, k, 0);
    }
}

/*
 * Lane after lane from the lowest. The first one that faults raises if nothing has been done before it; else 1: the caller commits what has
 * been done, whose mask bits are clear, and begins again.
 */
uint64_t x86_do_gather(struct x86_state *s, uint64_t base, uint64_t form, uint64_t c, uint64_t d)
{
    unsigned size = lane_size(form), isize = form >> X86_MF_QINDEX & 1 ? 8 : 4, scale = form >> X86_MF_SCALE & 3;
    unsigned bytes = form >> X86_MF_LONG & 1 ? 32 : 16, n = bytes / (size > isize ? size : isize);
    bool any = spread_mask(s, size, bytes / size), loaded = false;
    struct mmu_fault f;

    (void)c, (void)d;
    for (unsigned k = 0; k < n; k++) {
        uint64_t index = lane_get(s, X86_TMP_INDEX, isize, k), v;
        if (lane_on(s, size, k)) {
            index = isize == 4 ? (uint64_t)(int64_t)(int32_t)index : index;
            if (!load_lane(s, form, base + (index << scale), size, &v, &f)) {
                if (!any) {
                    raise_odd(s, form, &f);
                }
                if (loaded) {
                    zero_from(s, X86_TMP_DATA, bytes);
                }
                return 1;
            }
            lane_put(s, X86_TMP_DATA, size, k, v);
            any = loaded = true;
        }
        lane_put(s, X86_TMP_MASK, size, k, 0);
    }
    /* quadword indices of doublewords fill half a vector: the rest becomes zero, and so does an upper half */
    zero_from(s, X86_TMP_DATA, n * size);
    zero_from(s, X86_TMP_MASK, 0);
    return 0;
}
