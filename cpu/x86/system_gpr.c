/*
 * System instructions on control, debug and flags registers, and CMPXCHG16B: the ones that need no C library.
 * Spec: Intel SDM vol. 3 chapters 2, 4.10 (which changes flush what), 17; vol. 2 for each instruction.
 */
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

static void need_cpl0(struct x86_state *s)
{
    if (x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
}

static void raise_gp(struct x86_state *s) __attribute__((noreturn));
static void raise_gp(struct x86_state *s)
{
    x86_raise(s, X86_GP, true, 0);
}

static void flush(struct x86_state *s, enum tlb_flush scope, uint32_t asid, uint64_t va)
{
    accel_of(s)->tlb_flush(cpu_of(s), scope, asid, va);
}

/* --- waiting --- */

uint64_t x86_do_hlt(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    need_cpl0(s);
    s->shadow = s->shadow_ss = false;
    return 0;
}

uint64_t x86_do_monitor(struct x86_state *s, uint64_t va, uint64_t b, uint64_t c, uint64_t d)
{
    struct mmu_fault f;
    uint64_t v;

    (void)b, (void)c, (void)d;
    need_cpl0(s);
    if ((uint32_t)s->gpr[X86_RCX]) {
        raise_gp(s);
    }
    if (!mem_ld(s, va, 1, x86_regime_at(s, 0), &v, &f)) {
        x86_raise_fault(s, &f);
    }
    s->monitor_addr = va;
    return 0;
}

uint64_t x86_do_mwait(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    need_cpl0(s);
    if ((uint32_t)s->gpr[X86_RCX] & ~1u) {
        raise_gp(s);
    }
    /* Stores of other vCPUs are not watched: waking at once is one of the "other events" that the manual allows. */
    s->monitor_addr = ~0ull;
    return 0;
}

/* --- control registers --- */

static void write_cr0(struct x86_state *s, uint64_t v)
{
    uint64_t changed;

    v |= CR0_ET;
    if (v >> 32 || ((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD))) {
        raise_gp(s);
    }
    v &= CR0_ALL;
    changed = v ^ s->cr0;
    if (changed & CR0_PG) {
        if (v & CR0_PG) {
            if ((s->efer & EFER_LME) && (!(s->cr4 & CR4_PAE) || (s->seg[X86_CS].attr & SEG_L))) {
                raise_gp(s);
            }
        } else if (x86_code64(s) || (s->cr4 & CR4_PCIDE)) {
            raise_gp(s);
        }
    }
    if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && (v & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LME) &&
        !x86_load_pdptes(s, s->cr3)) {
        raise_gp(s);
    }
    if (changed & CR0_PG) {
        s->efer = (s->efer & ~(uint64_t)EFER_LMA) | ((v & CR0_PG) && (s->efer & EFER_LME) ? EFER_LMA : 0);
    }
    s->cr0 = v;
    if (changed & (CR0_PG | CR0_WP | CR0_PE)) {
        flush(s, TLB_FLUSH_ALL, 0, 0);
    }
    x86_update_hflags(s);
}

static void write_cr3(struct x86_state *s, uint64_t v)
{
    const struct x86_cpu *x = x86_of_state(s);
    bool keep = false;

    if (x86_lma(s)) {
        if (s->cr4 & CR4_PCIDE) {
            keep = v >> 63;
            v &= ~(1ull << 63);
        }
        if (v >> x->phys_bits) {
            raise_gp(s);
        }
    } else {
        v = (uint32_t)v;
        if ((s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !x86_load_pdptes(s, v)) {
            raise_gp(s);
        }
    }
    s->cr3 = v;
    if (!keep) {
        flush(s, s->cr4 & CR4_PCIDE ? TLB_FLUSH_ASID : TLB_FLUSH_NONGLOBAL, x86_asid(s), 0);
    }
}

static void write_cr4(struct x86_state *s, uint64_t v)
{
    const struct x86_cpu *x = x86_of_state(s);
    uint64_t changed = v ^ s->cr4;

    if ((v & ~x->cr4_mask) || (x86_lma(s) && !(v & CR4_PAE)) ||
        ((changed & v & CR4_PCIDE) && (!x86_lma(s) || (s->cr3 & 0xfff))) || ((changed & CR4_LA57) && x86_lma(s))) {
        raise_gp(s);
    }
    if ((changed & (CR4_PGE | CR4_PAE | CR4_PSE | CR4_SMEP)) && (v & CR4_PAE) && (s->cr0 & CR0_PG) && !x86_lma(s) &&
        !x86_load_pdptes(s, s->cr3)) {
        raise_gp(s);
    }
    s->cr4 = v;
    if (changed & (CR4_PGE | CR4_PAE | CR4_PSE | CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_PKE | CR4_LA57)) {
        flush(s, TLB_FLUSH_ALL, 0, 0);
    }
    x86_update_hflags(s);
}

uint64_t x86_do_mov_to_cr(struct x86_state *s, uint64_t n, uint64_t v, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    need_cpl0(s);
    if (!x86_code64(s)) {
        v = (uint32_t)v;
    }
    switch (n) {
    case 0:
        write_cr0(s, v);
        break;
    case 2:
        s->cr2 = v;
        break;
    case 3:
        write_cr3(s, v);
        break;
    case 4:
        write_cr4(s, v);
        break;
    default:
        x86_raise(s, X86_UD, false, 0);
    }
    return 0;
}

uint64_t x86_do_mov_from_cr(struct x86_state *s, uint64_t n, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    need_cpl0(s);
    switch (n) {
    case 0:
        return s->cr0;
    case 2:
        return s->cr2;
    case 3:
        return s->cr3;
    case 4:
        return s->cr4;
    default:
        x86_raise(s, X86_UD, false, 0);
    }
}

uint64_t x86_do_clts(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    need_cpl0(s);
    s->cr0 &= ~(uint64_t)CR0_TS;
    x86_update_hflags(s);
    return 0;
}

uint64_t x86_do_lmsw(struct x86_state *s, uint64_t v, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    need_cpl0(s);
    /* PE can be set, not cleared */
    write_cr0(s, (s->cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS)) | (v & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
    return 0;
}

/* --- the TLB --- */

uint64_t x86_do_invlpg(struct x86_state *s, uint64_t va, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    need_cpl0(s);
    if (x86_code64(s) && !x86_canonical(s, va)) {
        return 0;      /* a no-operation (SDM vol. 2, INVLPG) */
    }
    flush(s, TLB_FLUSH_PAGE, x86_asid(s), va);
    return 0;
}

uint64_t x86_do_invpcid(struct x86_state *s, uint64_t type, uint64_t at, uint64_t c, uint64_t d)
{
    struct mmu_fault f;
    uint64_t lo, va;

    (void)c, (void)d;
    need_cpl0(s);
    if (!mem_ld(s, at, 8, x86_regime_at(s, 0), &lo, &f) || !mem_ld(s, at + 8, 8, x86_regime_at(s, 0), &va, &f)) {
        x86_raise_fault(s, &f);
    }
    if (type > 3 || (type < 2 && lo >> 12) || (type < 2 && (lo & 0xfff) && !(s->cr4 & CR4_PCIDE)) || (!type && !x86_canonical(s, va))) {
        raise_gp(s);
    }
    uint32_t asid = s->cr4 & CR4_PCIDE ? 1 + (uint32_t)lo : 0;
    switch (type) {
    case 0:
        flush(s, TLB_FLUSH_PAGE, asid, va);
        break;
    case 1:
        flush(s, TLB_FLUSH_ASID, asid, 0);
        break;
    case 2:
        flush(s, TLB_FLUSH_ALL, 0, 0);
        break;
    default:
        flush(s, TLB_FLUSH_NONGLOBAL, 0, 0);
    }
    return 0;
}

uint64_t x86_do_wbinvd(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    need_cpl0(s);
    return 0;
}

/* --- debug registers --- */

/* DR4 and DR5 are 6 and 7 unless CR4.DE is set; with DR7.GD set any access traps. */
static unsigned debug_reg(struct x86_state *s, unsigned n)
{
    need_cpl0(s);
    if ((n == 4 || n == 5) && (s->cr4 & CR4_DE)) {
        x86_raise(s, X86_UD, false, 0);
    }
    if (s->dr[7] & DR7_GD) {
        s->dr[6] |= DR6_BD;
        x86_raise(s, X86_DB, false, 0);
    }
    return n == 4 || n == 5 ? n + 2 : n;
}

uint64_t x86_do_mov_to_dr(struct x86_state *s, uint64_t n, uint64_t v, uint64_t c, uint64_t d)
{
    unsigned r;

    (void)c, (void)d;
    r = debug_reg(s, n);
    if (r >= 6 && v >> 32) {
        raise_gp(s);
    }
    if (r == 6) {
        v = (v & 0x1e00f) | DR6_FIXED;
    } else if (r == 7) {
        v = (v & 0xffff2fff) | 0x400;
        s->eflags &= ~FL_RF;      /* left over from an IRET while nothing was armed */
    }
    bool armed = x86_watches(s);
    s->dr[r] = v;
    if (armed || x86_watches(s)) {
        accel_of(s)->tlb_flush(cpu_of(s), TLB_FLUSH_ALL, 0, 0);      /* pages become watched, or cease to be */
    }
    x86_update_hflags(s);
    return 0;
}

uint64_t x86_do_mov_from_dr(struct x86_state *s, uint64_t n, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return s->dr[debug_reg(s, n)];
}

/* --- XCR0, bases, counters --- */

uint64_t x86_do_xsetbv(struct x86_state *s, uint64_t ecx, uint64_t v, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    need_cpl0(s);
    if ((uint32_t)ecx || !(v & 1) || (v & ~x86_of_state(s)->xcr0_mask) || ((v & 4) && !(v & 2))) {
        raise_gp(s);
    }
    s->xcr0 = v;
    x86_update_hflags(s);
    return 0;
}

uint64_t x86_do_rdpkru(struct x86_state *s, uint64_t ecx, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    if (!(s->cr4 & CR4_PKE)) {
        x86_raise(s, X86_UD, false, 0);
    }
    if ((uint32_t)ecx) {
        raise_gp(s);
    }
    return s->pkru;
}

uint64_t x86_do_wrpkru(struct x86_state *s, uint64_t ecx, uint64_t edx_eax, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    if (!(s->cr4 & CR4_PKE)) {
        x86_raise(s, X86_UD, false, 0);
    }
    if ((uint32_t)ecx || edx_eax >> 32) {
        raise_gp(s);
    }
    x86_set_pkru(s, (uint32_t)edx_eax);
    return 0;
}

uint64_t x86_do_rdpmc(struct x86_state *s, uint64_t ecx, uint64_t b, uint64_t c, uint64_t d)
{
    (void)ecx, (void)b, (void)c, (void)d;
    raise_gp(s);      /* CPUID 0Ah offers no counters */
}

uint64_t x86_do_wrfsbase(struct x86_state *s, uint64_t v, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    if (!x86_canonical(s, v)) {
        raise_gp(s);
    }
    s->seg[X86_FS].base = s->seg_base_fs = v;
    return 0;
}

uint64_t x86_do_wrgsbase(struct x86_state *s, uint64_t v, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    if (!x86_canonical(s, v)) {
        raise_gp(s);
    }
    s->seg[X86_GS].base = s->seg_base_gs = v;
    return 0;
}

/* --- flags --- */

uint64_t x86_do_stac(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    if (x86_cpl(s)) {
        x86_raise(s, X86_UD, false, 0);
    }
    s->eflags |= FL_AC;
    return 0;
}

uint64_t x86_do_clac(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    if (x86_cpl(s)) {
        x86_raise(s, X86_UD, false, 0);
    }
    s->eflags &= ~FL_AC;
    return 0;
}

static bool may_touch_if(const struct x86_state *s)
{
    return x86_cpl(s) <= x86_iopl(s);      /* virtual-8086: CPL is 3 */
}

uint64_t x86_do_cli_slow(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    if (!may_touch_if(s)) {
        raise_gp(s);
    }
    s->eflags &= ~FL_IF;
    return 0;
}

uint64_t x86_do_sti_slow(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    if (!may_touch_if(s)) {
        raise_gp(s);
    }
    if (!(s->eflags & FL_IF)) {
        s->eflags |= FL_IF;
        s->shadow = true;
    }
    return 0;
}

uint64_t x86_do_popf(struct x86_state *s, uint64_t v, uint64_t opsize, uint64_t c, uint64_t d)
{
    uint64_t mask = X86_FL_ARITH | FL_TF | FL_DF | FL_NT | FL_AC | FL_ID;
    unsigned cpl = x86_cpl(s);

    (void)c, (void)d;
    if ((s->hflags & X86_MODE_VM) && x86_iopl(s) < 3) {
        raise_gp(s);
    }
    mask |= cpl <= x86_iopl(s) ? FL_IF : 0;
    mask |= cpl == 0 ? FL_IOPL : 0;
    /* RF is cleared whatever the image says; VM, VIF, VIP stay or are 0 (SDM vol. 2, POPF) */
    x86_set_eflags(s, v, opsize == 2 ? mask & 0xffff : mask | FL_RF);
    s->eflags &= ~FL_RF;
    if (s->irq_waits && (s->eflags & FL_IF)) {
        x86_look(s);
    }
    return 0;
}

uint64_t x86_do_pushf(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    if ((s->hflags & X86_MODE_VM) && x86_iopl(s) < 3) {
        raise_gp(s);
    }
    return x86_eflags(s) & ~(uint64_t)(FL_RF | FL_VM);
}

uint64_t x86_do_set_shadow(struct x86_state *s, uint64_t ss, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    s->shadow = true;
    s->shadow_ss = ss;
    return 0;
}

/* The shadowed instruction may leave its region by a jump, which asks for nothing: ring where something was held back. */
uint64_t x86_do_end_shadow(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    s->shadow = s->shadow_ss = false;
    if ((s->irq_waits && (s->eflags & FL_IF)) || (s->nmi_waits && !s->nmi_masked) || s->smi_waits) {
        x86_look(s);
    }
    return 0;
}

/* --- CMPXCHG16B --- */

uint64_t x86_do_cmpxchg16b(struct x86_state *s, uint64_t va, uint64_t b, uint64_t c, uint64_t d)
{
    struct mmu_fault f;
    unsigned __int128 *p;
    uint64_t lo = s->gpr[X86_RAX], hi = s->gpr[X86_RDX];
    bool same;

    (void)b, (void)c, (void)d;
    if (va & 15) {
        raise_gp(s);
    }
    f.vector = MMU_NO_FAULT;
    p = accel_of(s)->probe(cpu_of(s), va, 16, MEM_WRITE, x86_regime_at(s, x86_cpl(s)), &f);
    if (p) {
        __asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(same), "+m"(*p), "+a"(lo), "+d"(hi)
                         : "b"(s->gpr[X86_RBX]), "c"(s->gpr[X86_RCX]) : "memory");
    } else {
        /* A code page or no RAM: the loop stops the other vCPUs and runs this again; then plain accesses are atomic. */
        uint64_t now[2];
        unsigned regime = x86_regime_at(s, x86_cpl(s));

        if (f.vector != MMU_NO_FAULT) {
            x86_raise_fault(s, &f);
        }
        if (!cpu_of(s)->in_exclusive) {
            accel_of(s)->run_exclusive(cpu_of(s));
        }
        if (!mem_ld(s, va, 8, regime, &now[0], &f) || !mem_ld(s, va + 8, 8, regime, &now[1], &f)) {
            x86_raise_fault(s, &f);
        }
        same = now[0] == lo && now[1] == hi;
        if (!mem_st(s, va, 8, regime, same ? s->gpr[X86_RBX] : now[0], &f) ||
            !mem_st(s, va + 8, 8, regime, same ? s->gpr[X86_RCX] : now[1], &f)) {
            x86_raise_fault(s, &f);
        }
        lo = now[0];
        hi = now[1];
    }
    if (!same) {
        s->gpr[X86_RAX] = lo;
        s->gpr[X86_RDX] = hi;
    }
    return same;
}
