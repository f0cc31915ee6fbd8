/*
 * x86 registers between KVM and struct x86_state, CPUID, and interrupts from a local APIC of ours. Spec: Documentation/virt/kvm/api.rst,
 * section 4; Intel SDM vol. 1, chapter 13 (the XSAVE area).
 *
 * Plain registers and MSRs come from cpu/x86/regs.def: its last column says where KVM has them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm_priv.h"
#include "base/error.h"
#include "base/log.h"
#include "core/x86_intc.h"
#include "cpu/x86/state.h"

#define FL_IF (1u << 9)

enum where { W_NONE, W_REGS, W_SREGS, W_MSR, W_DEBUG, W_XCR };

struct place {
    uint16_t offset;      /* in struct x86_state */
    uint8_t size, where;
    uint32_t n;           /* W_REGS: index of a u64; W_SREGS: byte offset; W_MSR: number; W_DEBUG: register */
};

#define K_NONE     W_NONE, 0
#define K_REGS(n)  W_REGS, n
#define K_SREGS(m) W_SREGS, __builtin_offsetof(struct kvm_sregs, m)
#define K_MSR(n)   W_MSR, n
#define K_DEBUG(n) W_DEBUG, n
#define K_XCR      W_XCR, 0
#define PLACE(member, size, ...) { __builtin_offsetof(struct x86_state, member), size, __VA_ARGS__ }

static const struct place places[] = {
#define REG(name, member, size, reset, init, gdb, kvm) PLACE(member, size, kvm),
#include "cpu/x86/regs.def"
#undef REG
};

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define XCR0 0
#define LEGACY_SIZE 512
#define XSAVE_BV 512      /* in the XSAVE area: which components are not in their initial state */
#define XSAVE_YMM 576
enum { XF_X87 = 1, XF_SSE = 2, XF_YMM = 4 };

static uint64_t place_get(const struct x86_state *s, const struct place *p)
{
    uint64_t v = 0;

    memcpy(&v, (const char *)s + p->offset, p->size);
    return v;
}

static void place_put(struct x86_state *s, const struct place *p, uint64_t v) { memcpy((char *)s + p->offset, &v, p->size); }

static struct x86_state *state_of(struct hw_cpu *h) { return &x86_of(h->c)->s; }

/* An ioctl that the kernel must take. */
static bool must(struct hw_cpu *h, unsigned long request, void *arg, const char *name, GError **err)
{
    return !kvm_ioctl(h->fd, request, arg) || error_set(err, EMU_ERROR_HOST, "%s: %s", name, g_strerror(errno));
}

/* --- segments --- */

static void seg_from(struct x86_segment *g, const struct kvm_segment *k)
{
    *g = (struct x86_segment){
        .selector = k->selector, .base = k->base, .limit = k->limit, .unusable = k->unusable,
        .attr = (k->type & 15) | (k->s & 1) << 4 | (k->dpl & 3) << 5 | (k->present & 1) << 7 | (k->avl & 1) << 8 | (k->l & 1) << 9 |
                (k->db & 1) << 10 | (k->g & 1) << 11,
    };
}

static struct kvm_segment seg_to(const struct x86_segment *g)
{
    return (struct kvm_segment){
        .selector = g->selector, .base = g->base, .limit = g->limit, .unusable = g->unusable, .type = g->attr & 15, .s = g->attr >> 4 & 1,
        .dpl = g->attr >> 5 & 3, .present = g->unusable ? 0 : g->attr >> 7 & 1, .avl = g->attr >> 8 & 1, .l = g->attr >> 9 & 1,
        .db = g->attr >> 10 & 1, .g = g->attr >> 11 & 1,
    };
}

/* By enum x86_seg. */
static struct kvm_segment *seg_at(struct kvm_sregs *r, unsigned n)
{
    struct kvm_segment *const at[] = { &r->es, &r->cs, &r->ss, &r->ds, &r->fs, &r->gs };

    return at[n];
}

/* --- x87 and vectors --- */

static void xsave_from(struct x86_state *s, const uint8_t *area)
{
    uint64_t bv;

    memcpy(&bv, area + XSAVE_BV, sizeof(bv));
    memcpy(s->fx, area, LEGACY_SIZE);
    if (!(bv & XF_X87)) {
        memset(s->fx, 0, 24);
        memset(s->fx + 32, 0, 128);
        s->fx[0] = 0x7f;
        s->fx[1] = 0x03;
    }
    memcpy(&s->mxcsr, area + 24, 4);
    s->tcg.vec_low = 0;
    for (unsigned i = 0; i < 16; i++) {
        memset(s->vec[i], 0, sizeof(s->vec[i]));
        if (bv & XF_SSE) {
            memcpy(s->vec[i], area + 160 + 16 * i, 16);
        }
        if (bv & XF_YMM) {
            memcpy(s->vec[i] + 16, area + XSAVE_YMM + 16 * i, 16);
        }
    }
}

static void xsave_to(const struct x86_state *s, uint8_t *area)
{
    uint64_t bv = XF_X87 | XF_SSE | (s->xcr0 & XF_YMM);

    memset(area + 24, 0, 8);
    memcpy(area, s->fx, LEGACY_SIZE);
    memcpy(area + 24, &s->mxcsr, 4);
    memcpy(area + 28, &(uint32_t){ 0xffff }, 4);
    memcpy(area + XSAVE_BV, &bv, sizeof(bv));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(area + 160 + 16 * i, s->vec[i], 16);
        if (bv & XF_YMM) {
            memcpy(area + XSAVE_YMM + 16 * i, s->vec[i] + 16, 16);
        }
    }
}

/* --- MSRs --- */

/* struct kvm_msrs with its array. */
struct msr_list {
    uint32_t n, pad;
    struct kvm_msr_entry e[G_N_ELEMENTS(places) + 64];
};

static bool msr_kept(const struct kvm_accel *k, uint32_t n)
{
    for (unsigned i = 0; i < k->msrs->len; i++) {
        if (g_array_index(k->msrs, uint32_t, i) == n) {
            return true;
        }
    }
    return false;
}

_Static_assert(__builtin_offsetof(struct msr_list, e) == sizeof(struct kvm_msrs), "as the kernel reads it");

/* Fills in those of regs.def that this KVM has; with values when s is given. */
static void msrs_list(const struct kvm_accel *k, const struct x86_state *s, struct msr_list *l)
{
    l->n = l->pad = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        if (places[i].where == W_MSR && msr_kept(k, places[i].n)) {
            l->e[l->n++] = (struct kvm_msr_entry){ .index = places[i].n, .data = s ? place_get(s, &places[i]) : 0 };
        }
    }
}

static const struct place *msr_place(uint32_t n)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        if (places[i].where == W_MSR && places[i].n == n) {
            return &places[i];
        }
    }
    return NULL;
}

static void msrs_pull(struct hw_cpu *h)
{
    struct msr_list l;
    int n;

    msrs_list(h->k, NULL, &l);
    n = kvm_ioctl(h->fd, KVM_GET_MSRS, &l);
    for (int i = 0; i < n; i++) {
        place_put(state_of(h), msr_place(l.e[i].index), l.e[i].data);
    }
}

/* One that KVM refuses ends the list: it is logged and skipped. */
static void msrs_push(struct hw_cpu *h)
{
    struct msr_list l;
    unsigned at = 0;

    msrs_list(h->k, state_of(h), &l);
    while (at < l.n) {
        struct msr_list rest = { .n = l.n - at };
        int n;

        memcpy(rest.e, l.e + at, rest.n * sizeof(l.e[0]));
        n = kvm_ioctl(h->fd, KVM_SET_MSRS, &rest);
        if (n < 0) {
            log_printf(LOG_UNIMP, "kvm: KVM_SET_MSRS: %s\n", g_strerror(errno));
            return;
        }
        at += (unsigned)n;
        if (at < l.n) {
            log_printf(LOG_UNIMP, "kvm: MSR 0x%x = 0x%" PRIx64 " is refused\n", l.e[at].index, (uint64_t)l.e[at].data);
            at++;
        }
    }
}

/* --- pull --- */

static void events_pull(struct hw_cpu *h)
{
    struct x86_state *s = state_of(h);
    struct kvm_vcpu_events e;

    if (kvm_ioctl(h->fd, KVM_GET_VCPU_EVENTS, &e)) {
        return;
    }
    s->shadow = e.interrupt.shadow != 0;
    s->shadow_ss = e.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS;
    s->nmi_masked = e.nmi.masked;
    s->nmi_waits = e.nmi.pending;
    s->exc = (struct x86_exception){ 0 };
    if (e.exception.injected || e.exception.pending) {
        s->exc = (struct x86_exception){ .pending = true, .vector = e.exception.nr, .has_code = e.exception.has_error_code,
                                         .code = e.exception.error_code, .cr2 = s->cr2 };
    } else if (e.interrupt.injected || e.nmi.injected) {
        s->exc = (struct x86_exception){ .pending = true, .external = true, .vector = e.nmi.injected ? 2 : e.interrupt.nr };
    }
}

void kvm_x86_pull(struct hw_cpu *h)
{
    struct x86_state *s = state_of(h);
    struct kvm_regs r;
    struct kvm_sregs sr;
    struct kvm_debugregs d;
    struct kvm_xcrs x;
    uint8_t area[4096] __attribute__((aligned(64)));

    if (h->here) {
        return;
    }
    kvm_finish(h);
    if (kvm_ioctl(h->fd, KVM_GET_REGS, &r) || kvm_ioctl(h->fd, KVM_GET_SREGS, &sr)) {
        log_printf(LOG_UNIMP, "kvm: registers cannot be read: %s\n", g_strerror(errno));
        return;
    }
    bool debug = !kvm_ioctl(h->fd, KVM_GET_DEBUGREGS, &d), xcr = !kvm_ioctl(h->fd, KVM_GET_XCRS, &x);
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        const struct place *p = &places[i];

        if (p->where == W_REGS) {
            place_put(s, p, ((const uint64_t *)&r)[p->n]);
        } else if (p->where == W_SREGS) {
            uint64_t v;

            memcpy(&v, (const char *)&sr + p->n, sizeof(v));
            place_put(s, p, v);
        } else if (p->where == W_DEBUG && debug) {
            place_put(s, p, p->n < 4 ? d.db[p->n] : p->n == 6 ? d.dr6 : d.dr7);
        } else if (p->where == W_XCR && xcr && x.nr_xcrs) {
            place_put(s, p, x.xcrs[0].value);
        }
    }
    s->cr0 = sr.cr0;                     /* not a plain row of regs.def: its reset value depends */
    for (unsigned i = 0; i < 6; i++) {
        seg_from(&s->seg[i], seg_at(&sr, i));
    }
    seg_from(&s->ldt, &sr.ldt);
    seg_from(&s->tr, &sr.tr);
    s->gdt = (struct x86_table){ sr.gdt.base, sr.gdt.limit };
    s->idt = (struct x86_table){ sr.idt.base, sr.idt.limit };
    if (!kvm_ioctl(h->fd, KVM_GET_XSAVE, area)) {
        xsave_from(s, area);
    }
    msrs_pull(h);
    events_pull(h);
    x86_set_eflags(s, r.rflags, ~0ull);
    x86_stored(s, r.rip);
    h->here = true;
}

/* --- push --- */

static bool sregs_push(struct hw_cpu *h, GError **err)
{
    struct x86_cpu *x = x86_of(h->c);
    struct x86_state *s = &x->s;
    struct kvm_sregs sr = { 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        if (places[i].where == W_SREGS) {
            uint64_t v = place_get(s, &places[i]);

            memcpy((char *)&sr + places[i].n, &v, sizeof(v));
        }
    }
    for (unsigned i = 0; i < 6; i++) {
        *seg_at(&sr, i) = seg_to(&s->seg[i]);
    }
    sr.cr0 = s->cr0;
    sr.ldt = seg_to(&s->ldt);
    sr.tr = seg_to(&s->tr);
    sr.gdt.base = s->gdt.base;
    sr.gdt.limit = (uint16_t)s->gdt.limit;
    sr.idt.base = s->idt.base;
    sr.idt.limit = (uint16_t)s->idt.limit;
    sr.apic_base = x->lapic ? atomic_load(&x->lapic->base) : X86_APIC_DEFAULT_BASE;
    sr.cr8 = x->lapic ? x->lapic->ops->get_cr8(x->lapic) : s->cr8;
    return must(h, KVM_SET_SREGS, &sr, "KVM_SET_SREGS", err);
}

static bool fpu_push(struct hw_cpu *h, GError **err)
{
    const struct x86_state *s = state_of(h);
    uint8_t area[4096] __attribute__((aligned(64))) = { 0 };
    struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs[0] = { .xcr = XCR0, .value = s->xcr0 } };

    xsave_to(s, area);
    if (!must(h, KVM_SET_XSAVE, area, "KVM_SET_XSAVE", err)) {
        return false;
    }
    if (kvm_ioctl(h->fd, KVM_SET_XCRS, &x)) {
        log_printf(LOG_UNIMP, "kvm: XCR0 = 0x%" PRIx64 ": %s\n", s->xcr0, g_strerror(errno));
    }
    return true;
}

static bool events_push(struct hw_cpu *h, GError **err)
{
    const struct x86_state *s = state_of(h);
    struct kvm_vcpu_events e = {
        .interrupt.shadow = (s->shadow ? KVM_X86_SHADOW_INT_STI : 0) | (s->shadow_ss ? KVM_X86_SHADOW_INT_MOV_SS : 0),
        .nmi = { .masked = s->nmi_masked, .pending = s->nmi_waits },
        .flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
    };

    if (s->exc.pending && s->exc.external) {
        e.interrupt.injected = s->exc.vector != 2;
        e.interrupt.nr = s->exc.vector;
        e.nmi.injected = s->exc.vector == 2;
    } else if (s->exc.pending) {
        e.exception.injected = 1;
        e.exception.nr = s->exc.vector;
        e.exception.has_error_code = s->exc.has_code;
        e.exception.error_code = s->exc.code;
    }
    return must(h, KVM_SET_VCPU_EVENTS, &e, "KVM_SET_VCPU_EVENTS", err);
}

bool kvm_x86_push(struct hw_cpu *h, GError **err)
{
    struct x86_state *s = state_of(h);
    struct kvm_regs r = { .rip = x86_rip(s), .rflags = x86_eflags(s) };
    struct kvm_debugregs d = { .dr6 = s->dr[6], .dr7 = s->dr[7] };

    memcpy(d.db, s->dr, sizeof(d.db));
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        if (places[i].where == W_REGS) {
            ((uint64_t *)&r)[places[i].n] = place_get(s, &places[i]);
        }
    }
    if (s->exc.pending && s->exc.vector == 14) {
        s->cr2 = s->exc.cr2;
    }
    if (!sregs_push(h, err) || !must(h, KVM_SET_REGS, &r, "KVM_SET_REGS", err) || !fpu_push(h, err)) {
        return false;
    }
    if (kvm_ioctl(h->fd, KVM_SET_DEBUGREGS, &d)) {
        log_printf(LOG_UNIMP, "kvm: KVM_SET_DEBUGREGS: %s\n", g_strerror(errno));
    }
    msrs_push(h);
    return events_push(h, err);
}

/* --- interrupts --- */

static bool interruptible(struct hw_cpu *h)
{
    const struct x86_state *s = state_of(h);

    if (h->here) {
        return (s->eflags & FL_IF) && !s->shadow && !s->shadow_ss && !s->exc.pending;
    }
    return h->run->ready_for_interrupt_injection && h->run->if_flag;
}

void kvm_x86_service(struct cpu *c)
{
    struct hw_cpu *h = c->hw;
    uint32_t r = atomic_load(&c->request);

    if (r & (CPU_REQ_INIT | CPU_REQ_SIPI)) {
        kvm_x86_pull(h);
        c->ops->startup(c);
        atomic_fetch_and(&c->request, ~(uint32_t)(CPU_REQ_INIT | CPU_REQ_SIPI));
    }
    if (atomic_load(&c->powered_off)) {
        atomic_store(&c->halted, true);
        return;
    }
    atomic_fetch_and(&c->request, ~(uint32_t)CPU_REQ_TIMER);
    if (atomic_fetch_and(&c->request, ~(uint32_t)CPU_REQ_SMI) & CPU_REQ_SMI) {
        log_unimp("SMI: not supported under KVM: ignored");
    }
    if (r & CPU_REQ_NMI) {
        atomic_fetch_and(&c->request, ~(uint32_t)CPU_REQ_NMI);
        if (h->here) {
            state_of(h)->nmi_waits = true;
        } else if (kvm_ioctl(h->fd, KVM_NMI, NULL)) {
            log_unimp("kvm: KVM_NMI: %s", g_strerror(errno));
        }
    }
    if (atomic_fetch_and(&c->request, ~(uint32_t)CPU_REQ_IRQ) & CPU_REQ_IRQ) {
        h->look = true;
    }
}

bool kvm_x86_wakes(struct cpu *c)
{
    struct x86_cpu *x = x86_of(c);
    struct hw_cpu *h = c->hw;
    uint32_t r = atomic_load(&c->request);

    if (r & CPU_REQ_INIT) {
        return true;
    }
    if (atomic_load(&c->powered_off)) {
        return r & CPU_REQ_SIPI;
    }
    if (r & CPU_REQ_NMI) {
        return true;
    }
    return (h->here ? x->s.eflags & FL_IF : h->run->if_flag) && x->lapic && x->lapic->ops->has_irq(x->lapic);
}

void kvm_x86_enter(struct hw_cpu *h)
{
    struct x86_lapic *l = x86_of(h->c)->lapic;
    struct kvm_interrupt irq;
    int v;

    h->run->request_interrupt_window = 0;
    if (!l) {
        return;
    }
    if (h->look) {
        h->look = l->ops->has_irq(l);
        if (h->look && interruptible(h)) {
            v = l->ops->ack(l);
            if (v >= 0) {
                irq.irq = (unsigned)v;
                if (kvm_ioctl(h->fd, KVM_INTERRUPT, &irq)) {
                    log_unimp("kvm: KVM_INTERRUPT %d: %s", v, g_strerror(errno));
                }
            }
            h->look = l->ops->has_irq(l);
        }
        h->run->request_interrupt_window = h->look;
    }
    h->run->cr8 = l->ops->get_cr8(l);
}

void kvm_x86_left(struct hw_cpu *h)
{
    struct x86_lapic *l = x86_of(h->c)->lapic;

    if (l && h->run->cr8 != l->ops->get_cr8(l)) {
        l->ops->set_cr8(l, (uint8_t)h->run->cr8);
    }
}

/* MSRs that the kernel does not know without its own APIC, or that our APIC owns. */
bool kvm_x86_msr_exit(struct hw_cpu *h, bool write)
{
    struct x86_lapic *l = x86_of(h->c)->lapic;
    uint32_t n = h->run->msr.index;
    uint64_t v = h->run->msr.data;

    if (l && (n == MSR_APIC_BASE || n == 0x6e0 || (n >= 0x800 && n <= 0x8ff))) {
        if (write ? l->ops->msr_write(l, n, v) : l->ops->msr_read(l, n, &v)) {
            h->run->msr.data = v;
            return true;
        }
        return false;
    }
    log_printf(LOG_GUEST, "kvm: %s of MSR 0x%x, which nobody has\n", write ? "write" : "read", n);
    return false;
}

/* --- CPUID --- */

static const struct kvm_cpuid_entry2 *supported(const struct kvm_accel *k, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < k->supported->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &k->supported->entries[i];

        if (e->function == leaf && (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf)) {
            return e;
        }
    }
    return NULL;
}

/* Feature bits are what both the model and KVM have; what software makes (topology, brand, sizes) is the model's. */
static void limit(const struct kvm_accel *k, uint32_t leaf, uint32_t subleaf, struct x86_cpuid *o)
{
    static const struct { uint32_t leaf, subleaf; uint8_t regs; } features[] = {
        { 1, 0, 0xc }, { 6, 0, 0 }, { 7, 0, 0xe }, { 7, 1, 0xf }, { 7, 2, 0x8 }, { 0xd, 1, 1 }, { 0x80000001, 0, 0xc }, { 0x80000008, 0, 2 },
    };
    /* Ours to keep whatever KVM says: x2APIC and hypervisor, HTT; the rest is made by our APIC. */
    const uint32_t own_ecx = 1u << 31 | 1u << 21, own_edx = 1u << 28 | 1u << 9;
    const struct kvm_cpuid_entry2 *e = supported(k, leaf, subleaf);

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (features[i].leaf == leaf && features[i].subleaf == subleaf) {
            const uint32_t has[4] = { e ? e->eax : 0, e ? e->ebx : 0, e ? e->ecx : 0, e ? e->edx : 0 };

            for (unsigned r = 0; r < 4; r++) {
                uint32_t own = leaf == 1 ? r == 2 ? own_ecx : r == 3 ? own_edx : 0 : 0;

                o->r[r] &= features[i].regs >> r & 1 ? has[r] | own : ~0u;
            }
        }
    }
    if (leaf == 1) {
        o->r[2] &= ~(1u << 24 | 1u << 3);        /* TSC deadline needs the kernel's APIC; MWAIT would stop the host's processor */
    }
    if (leaf == 0xd && e) {
        o->r[0] &= e->eax;
    }
}

static void leaf_add(struct hw_cpu *h, struct kvm_cpuid2 *c, uint32_t leaf, uint32_t subleaf, bool indexed)
{
    struct x86_cpuid o;

    x86_cpuid(x86_of(h->c), leaf, subleaf, &o);
    limit(h->k, leaf, subleaf, &o);
    c->entries[c->nent++] = (struct kvm_cpuid_entry2){
        .function = leaf, .index = subleaf, .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
        .eax = o.r[0], .ebx = o.r[1], .ecx = o.r[2], .edx = o.r[3],
    };
}

static bool cpuid_set(struct hw_cpu *h, GError **err)
{
    static const struct { uint32_t leaf, subleaves; } indexed[] = { { 4, 5 }, { 7, 3 }, { 0xb, 3 }, { 0xd, 20 }, { 0x1f, 6 }, { 0x8000001d, 5 } };
    struct x86_cpu *x = x86_of(h->c);
    g_autofree struct kvm_cpuid2 *c = g_malloc0(sizeof(*c) + 160 * sizeof(c->entries[0]));
    const uint32_t from[] = { 0, 0x40000000, 0x80000000 }, to[] = { MIN(x->level, 0x30u), 0x40000010, MIN(x->xlevel, 0x80000030u) };

    for (unsigned part = 0; part < 3; part++) {
        for (uint32_t leaf = from[part]; leaf <= to[part]; leaf++) {
            uint32_t n = 1;

            for (unsigned i = 0; i < G_N_ELEMENTS(indexed); i++) {
                n = indexed[i].leaf == leaf ? indexed[i].subleaves : n;
            }
            for (uint32_t s = 0; s < n && c->nent < 160; s++) {
                leaf_add(h, c, leaf, s, n > 1);
            }
        }
    }
    return must(h, KVM_SET_CPUID2, c, "KVM_SET_CPUID2", err);
}

bool kvm_x86_vcpu_init(struct hw_cpu *h, GError **err) { return cpuid_set(h, err); }
