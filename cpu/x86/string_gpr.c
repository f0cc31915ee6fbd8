/*
 * String instructions in bulk: as many iterations per call as fit one page on each side, at most STAY elements, so that
 * interrupts stay prompt. Progress goes to the state after each piece; a fault in a later piece finds it there, as the
 * architecture wants. General registers only: `rep movsb` and `rep stosb` of the host do the work.
 *
 * Spec: Intel SDM vol. 2, REP/REPE/REPNE; vol. 1, 7.3.9.3.
 */
#include "core/accel.h"
#include "core/machine.h"
#include "cpu/x86/decode.h"
#include "cpu/x86/front_helpers.h"
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

enum { STAY = 16384 };

struct str {
    struct x86_state *s;
    struct cpu *c;
    struct x86_str_form f;
    uint64_t mask;          /* of addrsize */
    unsigned size;          /* bytes of an element */
    unsigned stay;          /* elements a call: one when single-stepping or with data breakpoints */
    bool down;
    bool flat32;            /* outside 64-bit code, 32-bit addresses, and every segment used is flat: offsets are linear addresses */
    unsigned regime;
};

static struct str str_begin(struct x86_state *s, uint64_t form)
{
    struct str t = {.s = s, .c = &x86_of_state(s)->cpu};
    t.f.size = form & 0xff;
    t.f.addrsize = form >> 8 & 0xff;
    t.f.seg = form >> 16 & 0xff;
    t.f.rep = form >> 24 & 0xff;
    t.f.based = form >> 32 & 0xff;
    t.f.code64 = form >> 40 & 0xff;
    t.mask = t.f.addrsize == 8 ? ~0ull : t.f.addrsize == 4 ? 0xffffffffu : 0xffff;
    t.size = 1u << t.f.size;
    t.down = s->eflags & X86_FL_D;
    t.stay = (s->eflags & FL_TF) || x86_watches(s) || (s->hflags & X86_MODE_IOBP) ? 1 : STAY;
    t.flat32 = !t.f.code64 && t.f.addrsize == 4 && !(s->hflags & X86_MODE_DS_BASED) &&
               (t.f.seg == X86_DS || t.f.seg == X86_ES || t.f.seg == X86_SS);
    t.regime = x86_regime_at(s, x86_cpl(s));
    return t;
}

static void set_reg(struct str *t, unsigned reg, uint64_t v)
{
    uint64_t *g = &t->s->gpr[reg];
    *g = t->f.addrsize == 2 ? (*g & ~0xffffull) | (v & 0xffff) : v & t->mask;
}

static uint64_t count(const struct str *t)
{
    return t->f.rep ? t->s->gpr[X86_RCX] & t->mask : 1;
}

/* Linear address of one element (checks of segment, limit, rights). */
static uint64_t linear(struct str *t, unsigned seg, uint64_t offset, bool write)
{
    if (t->f.code64) {
        return offset + (seg == X86_FS ? t->s->seg_base_fs : seg == X86_GS ? t->s->seg_base_gs : 0);
    }
    if (t->flat32) {
        return offset;
    }
    return x86_do_seg_linear(t->s, seg | t->f.size << 8 | (uint64_t)write << 16, offset, 0, 0);
}

/* Data breakpoints trap behind the one iteration that matches: it runs alone. */
static void watch(struct str *t, uint64_t va, bool write)
{
    if (!x86_watches(t->s) || !x86_watch(t->c, va, t->size, write, false)) {
        return;
    }
    if (!t->c->in_exclusive) {
        t->c->engine->run_exclusive(t->c);
    }
    x86_watch(t->c, va, t->size, write, true);
}

static uint64_t load(struct str *t, uint64_t va)
{
    x86_need_aligned(t->s, va, t->size - 1);
    watch(t, va, false);
    struct mmu_fault f;
    uint64_t v = 0;
    if (!t->c->engine->ld(t->c, va, t->size, t->regime, &v, &f)) {
        x86_raise_fault(t->s, &f);
    }
    return v;
}

static void store(struct str *t, uint64_t va, uint64_t v)
{
    x86_need_aligned(t->s, va, t->size - 1);
    watch(t, va, true);
    struct mmu_fault f;
    if (!t->c->engine->st(t->c, va, t->size, t->regime, v, &f)) {
        x86_raise_fault(t->s, &f);
    }
}

/* Elements from va on that lie in its page, going the current way; 0 if the first one crosses. */
static uint64_t in_page(const struct str *t, uint64_t va)
{
    uint64_t off = va & (PAGE_SIZE - 1);
    if (off + t->size > PAGE_SIZE) {
        return 0;
    }
    return t->down ? off / t->size + 1 : (PAGE_SIZE - off) / t->size;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Pieces are only formed where offset arithmetic cannot wrap and no segment limit lies in the way. */
static bool bulk(const struct str *t, uint64_t n)
{
    return t->f.rep && t->stay > 1 && !(t->s->eflags & FL_AC && x86_cpl(t->s) == 3) && ((t->f.code64 && t->f.addrsize == 8) || t->flat32) && n > 1;
}

/* Host pointer to n elements that start at va (the lowest address when going down), or NULL. */
static uint8_t *span(struct str *t, uint64_t va, uint64_t n, enum mem_access access)
{
    struct mmu_fault f;
    uint64_t low = t->down ? va - (n - 1) * t->size : va;
    return t->c->engine->probe(t->c, low, (unsigned)(n * t->size), access, t->regime, &f);
}

static void advance(struct str *t, bool src, bool dst, uint64_t n)
{
    uint64_t d = (t->down ? 0 - n : n) * t->size;
    if (src) {
        set_reg(t, X86_RSI, t->s->gpr[X86_RSI] + d);
    }
    if (dst) {
        set_reg(t, X86_RDI, t->s->gpr[X86_RDI] + d);
    }
    if (t->f.rep) {
        set_reg(t, X86_RCX, (t->s->gpr[X86_RCX] & t->mask) - n);
    }
}

/* A count of 0, and 32-bit addresses in 64-bit code: Intel cuts the registers all the same. */
static void no_iteration(struct str *t, uint64_t left, bool src, bool dst)
{
    if (!left && t->f.code64 && t->f.addrsize == 4 && x86_of_state(t->s)->intel) {
        advance(t, src, dst, 0);
    }
}

static void host_copy(uint8_t *d, const uint8_t *s, uint64_t bytes)
{
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(bytes) : : "memory");
}

/* Copies element by element in the guest's order: overlapping moves must replicate as the architecture says. */
static void ordered_copy(const struct str *t, uint8_t *d, const uint8_t *s, uint64_t n)
{
    bool overlap = d < s + n * t->size && s < d + n * t->size && d != s;
    if (!overlap || (!t->down && d < s)) {
        host_copy(d, s, n * t->size);
        return;
    }
    for (uint64_t k = 0; k < n; k++) {
        uint64_t at = (t->down ? n - 1 - k : k) * t->size;
        switch (t->size) {
        case 1: d[at] = s[at]; break;
        case 2: *(volatile uint16_t *)(d + at) = *(const volatile uint16_t *)(s + at); break;
        case 4: *(volatile uint32_t *)(d + at) = *(const volatile uint32_t *)(s + at); break;
        default: *(volatile uint64_t *)(d + at) = *(const volatile uint64_t *)(s + at);
        }
    }
}

uint64_t x86_do_rep_movs(struct x86_state *s, uint64_t form, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    struct str t = str_begin(s, form);
    uint64_t left = count(&t);
    no_iteration(&t, left, true, true);
    for (uint64_t done = 0; left && done < t.stay;) {
        uint64_t from = linear(&t, t.f.seg, s->gpr[X86_RSI] & t.mask, false);
        uint64_t to = linear(&t, X86_ES, s->gpr[X86_RDI] & t.mask, true);
        uint64_t n = least(left, least(in_page(&t, from), in_page(&t, to)));
        uint8_t *hs = NULL, *hd = NULL;
        if (bulk(&t, n) && (hs = span(&t, from, n, MEM_READ)) && (hd = span(&t, to, n, MEM_WRITE))) {
            ordered_copy(&t, hd, hs, n);
        } else {
            n = 1;
            store(&t, to, load(&t, from));
        }
        advance(&t, true, true, n);
        left -= n;
        done += n;
    }
    return left != 0;
}

static void host_fill(const struct str *t, uint8_t *d, uint64_t v, uint64_t n)
{
    switch (t->size) {
    case 1:
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(v) : "memory");
        break;
    case 2:
        __asm__ volatile("rep stosw" : "+D"(d), "+c"(n) : "a"(v) : "memory");
        break;
    case 4:
        __asm__ volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(v) : "memory");
        break;
    default:
        __asm__ volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(v) : "memory");
    }
}

uint64_t x86_do_rep_stos(struct x86_state *s, uint64_t form, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    struct str t = str_begin(s, form);
    uint64_t left = count(&t);
    no_iteration(&t, left, false, true);
    for (uint64_t done = 0; left && done < t.stay;) {
        uint64_t to = linear(&t, X86_ES, s->gpr[X86_RDI] & t.mask, true);
        uint64_t n = least(left, in_page(&t, to));
        uint8_t *hd = bulk(&t, n) ? span(&t, to, n, MEM_WRITE) : NULL;
        if (hd) {
            host_fill(&t, hd, s->gpr[X86_RAX], n);
        } else {
            n = 1;
            store(&t, to, s->gpr[X86_RAX]);
        }
        advance(&t, false, true, n);
        left -= n;
        done += n;
    }
    return left != 0;
}

uint64_t x86_do_rep_lods(struct x86_state *s, uint64_t form, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    struct str t = str_begin(s, form);
    uint64_t left = count(&t);
    for (uint64_t done = 0; left && done < t.stay; left--, done++) {
        uint64_t v = load(&t, linear(&t, t.f.seg, s->gpr[X86_RSI] & t.mask, false));
        uint64_t keep = t.size == 1 ? ~0xffull : t.size == 2 ? ~0xffffull : 0;
        s->gpr[X86_RAX] = (s->gpr[X86_RAX] & keep) | v;
        advance(&t, true, false, 1);
    }
    return left != 0;
}

/* Leaves the flags of a - b. */
static void set_compare(struct str *t, uint64_t a, uint64_t b)
{
    t->s->env.cc_a = a;
    t->s->env.cc_b = b;
    t->s->env.cc_op = IR_CC_CMP | (uint32_t)t->f.size << 5;
}

/* Go on after comparing? rep stops at the first difference, repne at the first equality. */
static bool go_on(const struct str *t, bool equal)
{
    return t->f.rep == 1 ? equal : !equal;
}

static uint64_t cut(const struct str *t, uint64_t v)
{
    return t->size == 8 ? v : v & ((1ull << 8 * t->size) - 1);
}

/*
 * A fault in a later element: Intel shows the flags from before the instruction (SDM vol. 2, REP), AMD those of the last one compared.
 * After each element; `last`: of this stay. Returns last.
 */
static bool compared(struct str *t, uint64_t a, uint64_t b, bool last)
{
    if (last || !x86_of_state(t->s)->intel) {
        set_compare(t, a, b);
    }
    return last;
}

uint64_t x86_do_rep_cmps(struct x86_state *s, uint64_t form, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    struct str t = str_begin(s, form);
    uint64_t left = count(&t);
    for (uint64_t done = 0; left && done < t.stay; done++) {
        uint64_t v = load(&t, linear(&t, t.f.seg, s->gpr[X86_RSI] & t.mask, false));
        uint64_t w = load(&t, linear(&t, X86_ES, s->gpr[X86_RDI] & t.mask, false));
        bool stop = t.f.rep && !go_on(&t, v == w);
        advance(&t, true, true, 1);
        left--;
        if (compared(&t, v, w, stop || !left || done + 1 >= t.stay)) {
            return !stop && left;
        }
    }
    return left != 0;
}

uint64_t x86_do_rep_scas(struct x86_state *s, uint64_t form, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    struct str t = str_begin(s, form);
    uint64_t left = count(&t), a = cut(&t, s->gpr[X86_RAX]);
    for (uint64_t done = 0; left && done < t.stay; done++) {
        uint64_t v = load(&t, linear(&t, X86_ES, s->gpr[X86_RDI] & t.mask, false));
        bool stop = t.f.rep && !go_on(&t, v == a);
        advance(&t, false, true, 1);
        left--;
        if (compared(&t, a, v, stop || !left || done + 1 >= t.stay)) {
            return !stop && left;
        }
    }
    return left != 0;
}

/* ins, outs: the port access may take locks, so these are called with vectors saved. */
uint64_t x86_do_str_ins(struct x86_state *s, uint64_t form, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    struct str t = str_begin(s, form);
    uint64_t left = count(&t);
    for (unsigned done = 0; left && done < MIN(t.stay, 512); left--, done++) {
        uint64_t to = linear(&t, X86_ES, s->gpr[X86_RDI] & t.mask, true);
        struct mmu_fault f;
        if (!t.c->engine->probe(t.c, to, t.size, MEM_WRITE, t.regime, &f) && f.vector != MMU_NO_FAULT) {
            x86_raise_fault(t.s, &f);                            /* before the port is read */
        }
        store(&t, to, x86_do_in(s, s->gpr[X86_RDX] & 0xffff, t.size, 0, 0));
        advance(&t, false, true, 1);
    }
    return left != 0;
}

uint64_t x86_do_str_outs(struct x86_state *s, uint64_t form, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    struct str t = str_begin(s, form);
    uint64_t left = count(&t);
    for (unsigned done = 0; left && done < MIN(t.stay, 512); left--, done++) {
        uint64_t v = load(&t, linear(&t, t.f.seg, s->gpr[X86_RSI] & t.mask, false));
        x86_do_out(s, s->gpr[X86_RDX] & 0xffff, t.size, v, 0);
        advance(&t, true, false, 1);
    }
    return left != 0;
}
