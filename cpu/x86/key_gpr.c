/*
 * The mode key and what it is made of: hflags (everything that changes rarely, kept ready), plus bits of EFLAGS and in-flight
 * state that are looked at each time. Segment caches are set here, because the key depends on them. Also EFLAGS as a whole:
 * the arithmetic flags are kept lazily in env.cc_*.
 */
#include "cpu/x86/sys_priv.h"

static bool seg_flat(const struct x86_segment *g)
{
    /* present, writable, expand-up data, or a stack as loaded by syscall */
    return g->base == 0 && g->limit == 0xffffffff && !g->unusable && (g->attr & 0x9e) == (SEG_P | SEG_S | SEG_RW);
}

void x86_update_hflags(struct x86_state *s)
{
    const struct x86_segment *cs = &s->seg[X86_CS];
    uint32_t m = 0;
    unsigned cpl = 0;

    if (s->cr0 & CR0_PE) {
        m |= X86_MODE_PE;
        if (s->eflags & FL_VM) {
            m |= X86_MODE_VM;
            cpl = 3;
        } else {
            cpl = seg_dpl(s->seg[X86_SS].attr);
        }
    }
    m |= cpl << X86_MODE_CPL_SHIFT;
    if (s->efer & EFER_LMA) {
        m |= X86_MODE_LMA;
    }
    if ((s->efer & EFER_LMA) && (cs->attr & SEG_L)) {
        m |= X86_MODE_CODE64;
    } else {
        m |= cs->attr & SEG_DB ? X86_MODE_CODE32 : X86_MODE_CODE16;
        m |= s->seg[X86_SS].attr & SEG_DB ? X86_MODE_SS32 : 0;
        m |= cs->base || cs->limit != 0xffffffff ? X86_MODE_CS_BASED : 0;
        m |= cs->limit < (cs->attr & SEG_DB ? 0xffffffff : 0xffff) ? X86_MODE_CS_LIMIT : 0;
        m |= seg_flat(&s->seg[X86_DS]) && seg_flat(&s->seg[X86_ES]) && seg_flat(&s->seg[X86_SS]) ? 0 : X86_MODE_DS_BASED;
    }
    m |= s->cr0 & CR0_EM ? X86_MODE_EM : 0;
    m |= s->cr0 & CR0_TS ? X86_MODE_TS : 0;
    m |= s->cr0 & CR0_MP ? X86_MODE_MP : 0;
    m |= s->cr0 & CR0_NE ? X86_MODE_NE : 0;
    m |= s->cr4 & CR4_OSFXSR ? X86_MODE_OSFXSR : 0;
    m |= s->cr4 & CR4_OSXSAVE ? X86_MODE_OSXSAVE : 0;
    m |= (s->cr4 & CR4_OSXSAVE) && (s->xcr0 & 6) == 6 ? X86_MODE_AVX : 0;
    m |= s->cr4 & CR4_FSGSBASE ? X86_MODE_FSGSBASE : 0;
    m |= s->cr4 & CR4_OSXMMEXCPT ? X86_MODE_OSXMMEXCPT : 0;
    m |= (s->cr4 & CR4_UMIP) && cpl ? X86_MODE_UMIP : 0;
    m |= (s->cr4 & CR4_TSD) && cpl ? X86_MODE_TSD : 0;
    for (unsigned i = 0; i < 4; i++) {
        if (s->dr[7] & 3u << (i * 2)) {
            unsigned rw = s->dr[7] >> (16 + i * 4) & 3;
            m |= rw == 0 ? X86_MODE_BREAK : rw == 2 && (s->cr4 & CR4_DE) ? X86_MODE_IOBP : 0;
        }
    }
    s->hflags = m;
}

void x86_key(void *state, struct tcg_key *key)
{
    struct x86_state *s = state;
    uint32_t m = s->hflags;
    unsigned cpl = m >> X86_MODE_CPL_SHIFT & 3;

    if (!(m & X86_MODE_VM) && cpl <= x86_iopl(s)) {
        m |= X86_MODE_IOPL_OK;
    }
    if (s->eflags & (FL_TF | FL_RF | FL_AC)) {
        m |= s->eflags & FL_TF ? X86_MODE_TF : 0;
        m |= (s->eflags & FL_RF) && (m & X86_MODE_BREAK) ? X86_MODE_RF : 0;
        m |= (s->eflags & FL_AC) && cpl == 3 && (s->cr0 & CR0_AM) ? X86_MODE_ALIGN : 0;
    }
    m |= s->shadow ? X86_MODE_SHADOW : 0;
    m |= s->exc.pending || (s->dr6_pending && !s->shadow_ss) ? X86_MODE_EVENT : 0;
    key->mode = m;
    key->asid = x86_asid(s);
    key->regime = x86_regime_at(s, cpl);
    key->code_regime = cpl == 3 ? X86_REGIME_USER : X86_REGIME_SUPER;
    key->salted = (m & X86_MODE_CS_BASED) || (m & X86_MODE_CODE_MASK) == X86_MODE_CODE16;
    key->salt = key->salted ? (uint32_t)(s->env.pc - s->seg[X86_CS].base) : 0;
}

void x86_look(struct x86_state *s)
{
    struct cpu *c = cpu_of(s);

    atomic_fetch_or(&c->request, CPU_REQ_IRQ);
    accel_of(s)->kick(c);
}

void x86_set_seg(struct x86_state *s, unsigned seg, unsigned selector, uint64_t base, uint32_t limit, unsigned attr, bool unusable)
{
    struct x86_segment *g = &s->seg[seg];

    g->selector = selector;
    g->attr = attr;
    g->limit = limit;
    g->base = base;
    g->unusable = unusable;
    if (seg == X86_FS) {
        s->seg_base_fs = base;
    } else if (seg == X86_GS) {
        s->seg_base_gs = base;
    } else {
        s->seg_base[seg] = base;
    }
}

uint64_t x86_eflags(const struct x86_state *s)
{
    return cc_eflags(s->env.cc_op & 31, s->env.cc_op >> 5, s->env.cc_a, s->env.cc_b, s->env.cc_c) | s->eflags;
}

void x86_set_eflags(struct x86_state *s, uint64_t value, uint64_t mask)
{
    uint32_t m = (uint32_t)mask & FL_ALL & ~(uint32_t)X86_FL_ARITH;

    if (mask & X86_FL_ARITH) {
        uint64_t a = mask & X86_FL_ARITH;

        value = (value & ~(uint64_t)X86_FL_ARITH) | (a == X86_FL_ARITH ? value & a : (x86_eflags(s) & ~a & X86_FL_ARITH) | (value & a));
        s->env.cc_a = value & X86_FL_ARITH;
        s->env.cc_op = IR_CC_EFLAGS;
    }
    s->eflags = (s->eflags & ~m) | ((uint32_t)value & m) | 2;
}
