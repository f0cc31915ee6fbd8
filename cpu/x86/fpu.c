/*
 * State images: FXSAVE, FXRSTOR, XSAVE and its variants, and FNINIT. Spec: Intel SDM vol. 1 chapters 10.5 and 13.
 *
 * While a helper runs with IR_EFF_VEC, x87/MMX state is in state.fx (an FXSAVE64 image), vectors in state.vec, MXCSR in state.mxcsr.
 * Instruction and data pointers and the last opcode are not kept: images have zeros there, in all forms alike (rex_w).
 * An image is put together in a buffer and copied to the guest in one go; a fault leaves guest memory and state as they were
 * up to the faulting page.
 */
#include <string.h>

#include "cpu/x86/helpers.h"
#include "cpu/x86/models.h"
#include "cpu/x86/sys_priv.h"

#define MXCSR_MASK 0xffffu
#define FX_SIZE 512u
#define FX_USED 416u             /* the rest of the legacy area belongs to software */
#define HEADER_SIZE 64u
#define MXCSR_INIT 0x1f80u

static unsigned regime(const struct x86_state *s) { return x86_regime_at(s, x86_cpl(s)); }

/* --- guest memory, any alignment --- */

static void copy_out(struct x86_state *s, uint64_t va, const uint8_t *p, unsigned len)
{
    struct mmu_fault f;

    while (len) {
        unsigned n = 4096 - (va & 4095);
        bool ok;

        n = n < len ? n : len;
        if (accel_of(s)->put && !x86_watches(s)) {
            ok = accel_of(s)->put(cpu_of(s), va, p, n, regime(s), &f);
        } else {
            uint64_t v = 0;

            n = n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
            memcpy(&v, p, n);
            ok = mem_st(s, va, n, regime(s), v, &f);
        }
        if (!ok) {
            x86_raise_fault(s, &f);
        }
        va += n;
        p += n;
        len -= n;
    }
}

static void copy_in(struct x86_state *s, uint64_t va, uint8_t *p, unsigned len)
{
    struct mmu_fault f;

    while (len) {
        unsigned n = 4096 - (va & 4095);
        const uint8_t *host;

        n = n < len ? n : len;
        f.vector = MMU_NO_FAULT;
        host = accel_of(s)->probe(cpu_of(s), va, n, MEM_READ, regime(s), &f);
        if (host) {
            memcpy(p, host, n);
        } else {
            uint64_t v;

            n = n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
            if (!mem_ld(s, va, n, regime(s), &v, &f)) {
                x86_raise_fault(s, &f);
            }
            memcpy(p, &v, n);
        }
        va += n;
        p += n;
        len -= n;
    }
}

static void need_aligned(struct x86_state *s, uint64_t va, unsigned mask)
{
    x86_need_aligned(s, va, 3);          /* not mask: as processors have it */
    if (va & mask) {
        x86_raise(s, X86_GP, true, 0);
    }
}

/* Intel's FXSAVE demands all of its image, the part that it leaves to software too. */
static void need_writable(struct x86_state *s, uint64_t va)
{
    struct mmu_fault f = { .vector = MMU_NO_FAULT };

    if (!accel_of(s)->probe(cpu_of(s), va, 1, MEM_WRITE, regime(s), &f) && f.vector != MMU_NO_FAULT) {
        x86_raise_fault(s, &f);
    }
}

/* --- parts of the legacy area --- */

static void x87_to_image(const struct x86_state *s, uint8_t *img)
{
    memcpy(img, s->fx, 6);
    /* last opcode and pointers: the state has the host's own, which are none of the guest's business */
    memset(img + 6, 0, 18);
    memcpy(img + 32, s->fx + 32, 128);
}

static void x87_from_image(struct x86_state *s, const uint8_t *img)
{
    memcpy(s->fx, img, 5);
    memset(s->fx + 5, 0, 19);
    /* reserved bits of FCW are not kept; ES and B follow from the errors and their masks */
    s->fx[0] = (s->fx[0] & 0x3f) | 0x40;
    s->fx[1] &= 0x1f;
    s->fx[2] &= 0x7f;
    s->fx[3] &= 0x7f;
    if (s->fx[2] & ~s->fx[0] & 0x3f) {
        s->fx[2] |= 0x80;
        s->fx[3] |= 0x80;
    }
    for (unsigned i = 0; i < 8; i++) {
        memcpy(s->fx + 32 + 16 * i, img + 32 + 16 * i, 10);
        memset(s->fx + 42 + 16 * i, 0, 6);
    }
}

static unsigned xmm_count(const struct x86_state *s) { return x86_code64(s) ? 16 : 8; }

static void sse_to_image(const struct x86_state *s, uint8_t *img)
{
    for (unsigned i = 0; i < xmm_count(s); i++) {
        memcpy(img + 160 + i * 16, s->vec[i], 16);
    }
}

static void sse_from_image(struct x86_state *s, const uint8_t *img)
{
    for (unsigned i = 0; i < xmm_count(s); i++) {
        memcpy(s->vec[i], img + 160 + i * 16, 16);
    }
}

static void mxcsr_to_image(const struct x86_state *s, uint8_t *img)
{
    uint32_t mask = MXCSR_MASK;

    memcpy(img + 24, &s->mxcsr, 4);
    memcpy(img + 28, &mask, 4);
}

static uint32_t image_mxcsr(struct x86_state *s, const uint8_t *img)
{
    uint32_t v;

    memcpy(&v, img + 24, 4);
    if (v & ~MXCSR_MASK) {
        x86_raise(s, X86_GP, true, 0);
    }
    return v;
}

static void x87_init(struct x86_state *s)
{
    static const uint8_t cw[2] = { 0x7f, 0x03 };

    memset(s->fx, 0, 160);
    memcpy(s->fx, cw, 2);       /* the abridged tag byte 0 means all empty */
}

uint64_t x86_do_fninit(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    static const uint8_t cw[2] = { 0x7f, 0x03 };

    (void)a, (void)b, (void)c, (void)d;
    memset(s->fx, 0, 24);       /* registers keep their contents */
    memcpy(s->fx, cw, 2);
    return 0;
}

/* --- FXSAVE, FXRSTOR --- */

uint64_t x86_do_fxsave(struct x86_state *s, uint64_t va, uint64_t rex_w, uint64_t c, uint64_t d)
{
    uint8_t img[FX_USED];
    bool sse = s->cr4 & CR4_OSFXSR;

    (void)rex_w, (void)c, (void)d;
    need_aligned(s, va, 15);
    if (x86_of_state(s)->intel) {
        need_writable(s, va + FX_SIZE - 1);
    }
    memset(img, 0, sizeof(img));
    x87_to_image(s, img);
    mxcsr_to_image(s, img);
    if (sse) {
        sse_to_image(s, img);
    }
    copy_out(s, va, img, sse ? 160 + 16 * xmm_count(s) : 160);
    return 0;
}

uint64_t x86_do_fxrstor(struct x86_state *s, uint64_t va, uint64_t rex_w, uint64_t c, uint64_t d)
{
    uint8_t img[FX_SIZE];
    uint32_t mxcsr;

    (void)rex_w, (void)c, (void)d;
    need_aligned(s, va, 15);
    copy_in(s, va, img, FX_SIZE);
    mxcsr = image_mxcsr(s, img);
    x87_from_image(s, img);
    if (s->cr4 & CR4_OSFXSR) {
        s->mxcsr = mxcsr;
        sse_from_image(s, img);
    }
    return 0;
}

/* --- XSAVE and its kin (SDM vol. 1, 13.4-13.13) --- */

enum { XF_X87 = 1 << 0, XF_SSE = 1 << 1, XF_AVX = 1 << 2, XF_LEGACY = XF_X87 | XF_SSE, COMPONENT_MAX = 1024 };
enum { C_AVX = 2, C_OPMASK = 5, C_ZMM_HIGH = 6, C_ZMM_16 = 7, C_PKRU = 9 };
#define XF_COMPACT (1ull << 63)

/*
 * Components outside the legacy area: size, place in the standard form. In the compacted form they follow each other in this order. Those of
 * AVX-512 are never offered by the translator: a vCPU that comes from KVM with them keeps them.
 */
static const struct component { uint8_t bit; uint16_t size, at; } components[] = {
    { C_AVX, 256, FX_SIZE + HEADER_SIZE }, { C_OPMASK, 64, 1088 }, { C_ZMM_HIGH, 512, 1152 }, { C_ZMM_16, 1024, 1664 }, { C_PKRU, 8, 2688 },
};
enum { IMAGE_MAX = FX_SIZE + HEADER_SIZE + 256 + 64 + 512 + 1024 + 8 };

static unsigned component_at(const struct component *c, uint64_t which, bool compact)
{
    unsigned at = FX_SIZE + HEADER_SIZE;

    if (!compact) {
        return c->at;
    }
    for (const struct component *k = components; k < c; k++) {
        at += which >> k->bit & 1 ? k->size : 0;
    }
    return at;
}

unsigned x86_xsave_size(uint64_t which, bool compact)
{
    unsigned size = FX_SIZE + HEADER_SIZE;

    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        const struct component *c = &components[i];
        size = which >> c->bit & 1 ? component_at(c, which, compact) + c->size : size;
    }
    return size;
}

bool x86_xsave_component(unsigned n, unsigned *size, unsigned *at)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        if (components[i].bit == n) {
            *size = components[i].size;
            *at = components[i].at;
            return true;
        }
    }
    return false;
}

/* A component as pieces of the state that lie apart: `n` of `size` bytes. */
struct pieces { uint8_t *first; unsigned size, n, stride; };

static struct pieces component_pieces(struct x86_state *s, unsigned bit)
{
    switch (bit) {
    case C_AVX: return (struct pieces){ s->vec[0] + 16, 16, xmm_count(s), sizeof(s->vec[0]) };
    case C_OPMASK: return (struct pieces){ (uint8_t *)s->opmask, sizeof(s->opmask), 1, 0 };
    case C_ZMM_HIGH: return (struct pieces){ s->vec[0] + 32, 32, xmm_count(s), sizeof(s->vec[0]) };
    case C_ZMM_16: return (struct pieces){ s->vec[16], 64, x86_code64(s) ? 16 : 0, sizeof(s->vec[0]) };
    default: return (struct pieces){ (uint8_t *)&s->pkru, sizeof(s->pkru), 1, 0 };
    }
}

static unsigned component_to_image(struct x86_state *s, unsigned bit, uint8_t *p)
{
    struct pieces c = component_pieces(s, bit);

    for (unsigned i = 0; i < c.n; i++) {
        memcpy(p + i * c.size, c.first + i * c.stride, c.size);
    }
    if (bit == C_PKRU) {
        memset(p + 4, 0, 4);
        return 8;
    }
    return c.n * c.size;
}

/* p NULL: the initial state. */
static void component_from_image(struct x86_state *s, unsigned bit, const uint8_t *p)
{
    static const uint8_t zero[COMPONENT_MAX];
    struct pieces c = component_pieces(s, bit);
    bool init = !p;

    p = p ? p : zero;
    if (bit == C_PKRU) {
        uint32_t v;

        memcpy(&v, p, 4);
        x86_set_pkru(s, v);
        return;
    }
    for (unsigned i = 0; i < c.n; i++) {
        memcpy(c.first + i * c.stride, p + i * c.size, c.size);
    }
    if (bit == C_AVX) {
        s->tcg.vec_low = init && c.n == 16;
        s->tcg.mem_high = !s->tcg.vec_low;
    }
}

static bool component_in_use(struct x86_state *s, unsigned bit)
{
    struct pieces c = component_pieces(s, bit);
    uint8_t any = 0;

    for (unsigned i = 0; i < c.n; i++) {
        for (unsigned k = 0; k < c.size; k++) {
            any |= c.first[i * c.stride + k];
        }
    }
    return any;
}

/* Which components are not in their initial state (XINUSE). MXCSR does not count. */
static uint64_t in_use(struct x86_state *s)
{
    static const uint8_t zero[16], cw[2] = { 0x7f, 0x03 };
    uint64_t r = 0;

    if (memcmp(s->fx, cw, 2) || memcmp(s->fx + 2, zero, 16) || memcmp(s->fx + 18, zero, 6)) {
        r |= XF_X87;      /* status, tags, last opcode and pointers */
    }
    for (unsigned i = 0; i < 8 && !(r & XF_X87); i++) {
        r |= memcmp(s->fx + 32 + i * 16, zero, 10) ? XF_X87 : 0;
    }
    for (unsigned i = 0; i < xmm_count(s) && !(r & XF_SSE); i++) {
        r |= memcmp(s->vec[i], zero, 16) ? XF_SSE : 0;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        unsigned bit = components[i].bit;
        r |= ((s->xcr0 | s->xss) >> bit & 1) && component_in_use(s, bit) ? 1ull << bit : 0;
    }
    return r;
}

uint64_t x86_do_xgetbv(struct x86_state *s, uint64_t ecx, uint64_t b, uint64_t c, uint64_t d)
{
    const struct x86_cpu *x = x86_of_state(s);

    (void)b, (void)c, (void)d;
    if ((uint32_t)ecx == 1 && (x->cpuid_words[W_D1_EAX] >> 2 & 1)) {
        return s->xcr0 & (in_use(s) | (s->mxcsr != MXCSR_INIT ? XF_SSE : 0));
    }
    if ((uint32_t)ecx) {
        x86_raise(s, X86_GP, true, 0);
    }
    return s->xcr0;
}

/* `form`: the components that the image has room for, if it is compacted. */
static void save_components(struct x86_state *s, uint64_t va, uint64_t which, bool mxcsr, uint64_t form, bool compact)
{
    uint8_t img[FX_USED], high[COMPONENT_MAX];

    memset(img, 0, sizeof(img));
    x87_to_image(s, img);
    mxcsr_to_image(s, img);
    sse_to_image(s, img);
    if ((which & XF_LEGACY) == XF_LEGACY && mxcsr) {
        copy_out(s, va, img, 160 + 16 * xmm_count(s));
    } else {
        if (which & XF_X87) {
            copy_out(s, va, img, 24);
            copy_out(s, va + 32, img + 32, 128);
        }
        if (mxcsr) {
            copy_out(s, va + 24, img + 24, 8);
        }
        if (which & XF_SSE) {
            copy_out(s, va + 160, img + 160, 16 * xmm_count(s));
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        const struct component *c = &components[i];
        if (which >> c->bit & 1) {
            copy_out(s, va + component_at(c, form, compact), high, component_to_image(s, c->bit, high));
        }
    }
}

static uint64_t xsave(struct x86_state *s, uint64_t va, uint64_t mask, bool opt)
{
    uint64_t rfbm = mask & s->xcr0, old, now, used = in_use(s);
    uint8_t b[8];

    need_aligned(s, va, 63);
    /* XSAVE keeps the header's bits of components that were not asked for; XCOMP_BV is not written */
    copy_in(s, va + FX_SIZE, b, 8);
    memcpy(&old, b, 8);
    now = (old & ~rfbm) | (used & rfbm);
    save_components(s, va, opt ? rfbm & used : rfbm, rfbm & (XF_SSE | XF_AVX), 0, false);
    memcpy(b, &now, 8);
    copy_out(s, va + FX_SIZE, b, 8);
    return 0;
}

uint64_t x86_do_xsave(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    (void)rex_w, (void)d;
    return xsave(s, va, mask, false);
}

uint64_t x86_do_xsaveopt(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    (void)rex_w, (void)d;
    return xsave(s, va, mask, true);
}

static uint64_t xsave_compact(struct x86_state *s, uint64_t va, uint64_t rfbm)
{
    uint64_t used = in_use(s), bv[2];
    uint8_t b[16];

    need_aligned(s, va, 63);
    used |= s->mxcsr != MXCSR_INIT ? XF_SSE : 0;      /* counts to component 1 here (SDM vol. 1, 13.10) */
    save_components(s, va, rfbm & used, rfbm & used & XF_SSE, rfbm, true);
    bv[0] = rfbm & used;
    bv[1] = rfbm | XF_COMPACT;
    memcpy(b, bv, 16);
    copy_out(s, va + FX_SIZE, b, 16);
    return 0;
}

uint64_t x86_do_xsavec(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    (void)rex_w, (void)d;
    return xsave_compact(s, va, mask & s->xcr0);
}

uint64_t x86_do_xsaves(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    (void)rex_w, (void)d;
    if (x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
    return xsave_compact(s, va, mask & (s->xcr0 | s->xss));
}

/* Reads the image's components into img, packed: legacy area, header, then `want` by the order of components[]. */
static void read_image(struct x86_state *s, uint64_t va, uint64_t want, uint64_t form, bool compact, uint8_t *img)
{
    unsigned to = FX_SIZE + HEADER_SIZE;

    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        const struct component *c = &components[i];
        if (want >> c->bit & 1) {
            copy_in(s, va + component_at(c, form, compact), img + to, c->size);
        }
        to += c->size;
    }
}

static bool header_ok(struct x86_state *s, const uint8_t *img, uint64_t bv, uint64_t comp, uint64_t all, bool only_compact)
{
    bool compact = comp >> 63;
    uint64_t rest = 0;

    for (unsigned i = 16; i < (compact ? HEADER_SIZE : 24u); i++) {
        rest |= img[FX_SIZE + i];
    }
    if (rest || (bv & ~all)) {
        return false;
    }
    if (!compact) {
        return !only_compact && comp == 0;
    }
    return !(comp & ~XF_COMPACT & ~all) && !(bv & ~comp) && (x86_of_state(s)->cpuid_words[W_D1_EAX] >> 1 & 1);
}

static void restore_legacy(struct x86_state *s, const uint8_t *img, uint64_t rfbm, uint64_t bv)
{
    if (rfbm & XF_X87) {
        if (bv & XF_X87) {
            x87_from_image(s, img);
        } else {
            x87_init(s);
        }
    }
    if (rfbm & bv & XF_SSE) {
        sse_from_image(s, img);
    } else if (rfbm & XF_SSE) {
        for (unsigned i = 0; i < xmm_count(s); i++) {
            memset(s->vec[i], 0, 16);
        }
    }
}

/* all: components that exist here. Everything is read and checked before anything is changed. */
static uint64_t xrstor(struct x86_state *s, uint64_t va, uint64_t rfbm, uint64_t all, bool only_compact)
{
    uint8_t img[IMAGE_MAX];
    uint64_t bv, comp;
    uint32_t mxcsr = s->mxcsr;
    unsigned at = FX_SIZE + HEADER_SIZE;
    bool compact;

    need_aligned(s, va, 63);
    copy_in(s, va, img, FX_SIZE + HEADER_SIZE);
    memcpy(&bv, img + FX_SIZE, 8);
    memcpy(&comp, img + FX_SIZE + 8, 8);
    compact = comp >> 63;
    if (!header_ok(s, img, bv, comp, all, only_compact)) {
        x86_raise(s, X86_GP, true, 0);
    }
    read_image(s, va, rfbm & bv, comp, compact, img);
    /* the standard form takes MXCSR from memory whenever SSE or AVX is asked for; the compacted one with SSE itself */
    if (compact ? rfbm & XF_SSE : rfbm & (XF_SSE | XF_AVX)) {
        mxcsr = !compact || (bv & XF_SSE) ? image_mxcsr(s, img) : MXCSR_INIT;
    }
    s->mxcsr = mxcsr;
    restore_legacy(s, img, rfbm, bv);
    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        const struct component *c = &components[i];
        if (rfbm >> c->bit & 1) {
            component_from_image(s, c->bit, bv >> c->bit & 1 ? img + at : NULL);
        }
        at += c->size;
    }
    return 0;
}

uint64_t x86_do_xrstor(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    (void)rex_w, (void)d;
    return xrstor(s, va, mask & s->xcr0, s->xcr0, false);
}

uint64_t x86_do_xrstors(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    (void)rex_w, (void)d;
    if (x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
    return xrstor(s, va, mask & (s->xcr0 | s->xss), s->xcr0 | s->xss, true);
}
