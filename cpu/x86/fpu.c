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
#include "cpu/x86/sys_priv.h"

#define MXCSR_MASK 0xffffu
#define FX_SIZE 512u
#define FX_USED 416u             /* the rest of the legacy area belongs to software */
#define HEADER_SIZE 64u
enum { XF_X87 = 1, XF_SSE = 2 };

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
    if (va & mask) {
        x86_raise(s, X86_GP, true, 0);
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

/* --- XSAVE and its kin: components 0 and 1, both in the legacy area --- */

/* Which components are not in their initial state (XINUSE). */
static uint64_t in_use(const struct x86_state *s)
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
    return r;
}

static void save_components(struct x86_state *s, uint64_t va, uint64_t which, bool mxcsr)
{
    uint8_t img[FX_USED];

    memset(img, 0, sizeof(img));
    x87_to_image(s, img);
    mxcsr_to_image(s, img);
    sse_to_image(s, img);
    if ((which & XF_X87) && mxcsr && (which & XF_SSE)) {
        copy_out(s, va, img, 160 + 16 * xmm_count(s));
        return;
    }
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

static uint64_t xsave(struct x86_state *s, uint64_t va, uint64_t mask, bool opt)
{
    uint64_t rfbm = mask & s->xcr0, old, now, used = in_use(s);
    uint8_t b[8];

    need_aligned(s, va, 63);
    /* XSAVE keeps the header's bits of components that were not asked for; XCOMP_BV is not written */
    copy_in(s, va + FX_SIZE, b, 8);
    memcpy(&old, b, 8);
    now = (old & ~rfbm) | (used & rfbm);
    save_components(s, va, opt ? rfbm & used : rfbm, rfbm & XF_SSE);
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

uint64_t x86_do_xsavec(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    uint64_t rfbm = mask & s->xcr0, used = in_use(s), bv[2];
    uint8_t b[16];

    (void)rex_w, (void)d;
    need_aligned(s, va, 63);
    used |= s->mxcsr != 0x1f80 ? XF_SSE : 0;      /* XSAVEC counts MXCSR to component 1 (SDM vol. 1, 13.10) */
    save_components(s, va, rfbm & used, rfbm & used & XF_SSE);
    bv[0] = rfbm & used;
    bv[1] = rfbm | 1ull << 63;
    memcpy(b, bv, 16);
    copy_out(s, va + FX_SIZE, b, 16);
    return 0;
}

uint64_t x86_do_xrstor(struct x86_state *s, uint64_t va, uint64_t mask, uint64_t rex_w, uint64_t d)
{
    uint8_t img[FX_SIZE + HEADER_SIZE];
    uint64_t rfbm = mask & s->xcr0, bv, comp, rest = 0;
    uint32_t mxcsr = s->mxcsr;
    bool compact;

    (void)rex_w, (void)d;
    need_aligned(s, va, 63);
    copy_in(s, va, img, sizeof(img));
    memcpy(&bv, img + FX_SIZE, 8);
    memcpy(&comp, img + FX_SIZE + 8, 8);
    for (unsigned i = 16; i < (comp >> 63 ? HEADER_SIZE : 24u); i++) {
        rest |= img[FX_SIZE + i];
    }
    compact = comp >> 63;
    if (rest || (bv & ~s->xcr0) || (compact ? (comp & ~(1ull << 63) & ~s->xcr0) || (bv & ~comp) : comp != 0) ||
        (compact && !(x86_of_state(s)->cpuid_feature_words[X86_FEAT_XSAVEC / 32] >> (X86_FEAT_XSAVEC % 32) & 1))) {
        x86_raise(s, X86_GP, true, 0);
    }
    /* The standard form takes MXCSR from memory whenever SSE is asked for; the compacted one only with the component itself */
    if (rfbm & XF_SSE) {
        mxcsr = !compact || (bv & XF_SSE) ? image_mxcsr(s, img) : 0x1f80;
    }
    if (rfbm & XF_X87) {
        if (bv & XF_X87) {
            x87_from_image(s, img);
        } else {
            x87_init(s);
        }
    }
    if (rfbm & XF_SSE) {
        s->mxcsr = mxcsr;
        if (bv & XF_SSE) {
            sse_from_image(s, img);
        } else {
            for (unsigned i = 0; i < xmm_count(s); i++) {
                memset(s->vec[i], 0, 16);
            }
        }
    }
    return 0;
}
