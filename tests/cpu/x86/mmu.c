/* The page walk: every paging mode, rights by regime, faults, accessed and dirty bits. SDM vol. 3 chapter 4. */
#include <criterion/criterion.h>

#include "tests/cpu/x86/sys_util.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)

static struct sys *t;
static struct mmu_result r;
static struct mmu_fault f;

static bool walk(uint64_t va, enum mem_access access, unsigned regime)
{
    return x86_walk(&t->x->cpu, va, access, regime, true, &r, &f);
}

static bool faults(uint64_t va, enum mem_access access, unsigned regime, unsigned code)
{
    bool ok = !walk(va, access, regime) && f.vector == X86_PF && f.code == code && f.addr == va;

    if (!ok) {
        cr_log_warn("vector %u code %x addr %llx", f.vector, f.code, (unsigned long long)f.addr);
    }
    return ok;
}

/* A 4 KiB page at va (below 512 GiB) through tables at 0x10000.. */
static void map4k(uint64_t va, uint64_t leaf, uint64_t table_bits)
{
    sys_put(t, 0x10000 + (va >> 39 & 511) * 8, 8, 0x11000 | table_bits);
    sys_put(t, 0x11000 + (va >> 30 & 511) * 8, 8, 0x12000 | table_bits);
    sys_put(t, 0x12000 + (va >> 21 & 511) * 8, 8, 0x13000 | table_bits);
    sys_put(t, 0x13000 + (va >> 12 & 511) * 8, 8, leaf);
}

static void long_mode(void)
{
    t = sys_new("max");
    sys_long(t);
    sys_put(t, SYS_PML4 + 0x1000, 8, 0);
}

Test(mmu, long_4k_rights)
{
    long_mode();
    map4k(0x7f0000123000, 0x200000 | P | W | U, P | W | U);
    cr_assert(walk(0x7f0000123456, MEM_READ, X86_REGIME_USER));
    cr_assert_eq(r.pa, 0x200456);
    cr_assert_eq(r.page_size, 4096);
    cr_assert_eq(r.rights, MMU_R | MMU_X, "no write before the dirty bit is set");
    cr_assert_eq(sys_get(t, 0x13000 + 0x123 * 8, 8), (0x200000ull | P | W | U | A));
    cr_assert(sys_get(t, 0x10000 + 254 * 8, 8) & A);
    cr_assert(walk(0x7f0000123456, MEM_WRITE, X86_REGIME_USER));
    cr_assert_eq(r.rights, MMU_R | MMU_W | MMU_X);
    cr_assert(sys_get(t, 0x13000 + 0x123 * 8, 8) & D);
    cr_assert(faults(0x7f0000124000, MEM_READ, X86_REGIME_USER, 4));
    cr_assert(faults(0x7f0000124000, MEM_WRITE, X86_REGIME_SUPER, 2));
    cr_assert(faults(0x7f0000124000, MEM_EXEC, X86_REGIME_USER, 4 | 16));
    sys_free(t);
}

Test(mmu, probing_marks_nothing)
{
    long_mode();
    map4k(0x5000, 0x200000 | P | W | U, P | W | U);
    cr_assert(x86_walk(&t->x->cpu, 0x5000, MEM_WRITE, X86_REGIME_USER, false, &r, &f));
    cr_assert_eq(sys_get(t, 0x13000 + 5 * 8, 8), (0x200000ull | P | W | U));
    cr_assert_not(r.rights & MMU_W);
    sys_free(t);
}

Test(mmu, all_levels_count)
{
    long_mode();
    map4k(0x5000, 0x200000 | P | W | U, P | U);          /* tables without W */
    cr_assert(faults(0x5000, MEM_WRITE, X86_REGIME_USER, 7));
    map4k(0x5000, 0x200000 | P | W | U, P | W);          /* tables without U */
    cr_assert(faults(0x5000, MEM_READ, X86_REGIME_USER, 5));
    map4k(0x5000, 0x200000 | P | W | U, P | W | U | NX);
    cr_assert(faults(0x5000, MEM_EXEC, X86_REGIME_USER, 5 | 16));
    cr_assert(walk(0x5000, MEM_READ, X86_REGIME_USER));
    sys_free(t);
}

Test(mmu, write_protect_smep_smap)
{
    long_mode();
    map4k(0x5000, 0x200000 | P | U, P | W | U);
    cr_assert(faults(0x5000, MEM_WRITE, X86_REGIME_SUPER, 3));
    t->s->cr0 &= ~(uint64_t)CR0_WP;
    cr_assert(walk(0x5000, MEM_WRITE, X86_REGIME_SUPER));
    cr_assert(faults(0x5000, MEM_WRITE, X86_REGIME_USER, 7));
    t->s->cr0 |= CR0_WP;
    cr_assert(walk(0x5000, MEM_EXEC, X86_REGIME_SUPER));
    t->s->cr4 |= CR4_SMEP;
    cr_assert(faults(0x5000, MEM_EXEC, X86_REGIME_SUPER, 1 | 16));
    cr_assert(walk(0x5000, MEM_EXEC, X86_REGIME_USER));
    t->s->cr4 |= CR4_SMAP;
    cr_assert(faults(0x5000, MEM_READ, X86_REGIME_SUPER, 1));
    cr_assert(faults(0x5000, MEM_READ, X86_REGIME_IMPLICIT, 1));
    cr_assert(walk(0x5000, MEM_READ, X86_REGIME_SUPER_AC));
    cr_assert(walk(0x5000, MEM_READ, X86_REGIME_USER));
    sys_free(t);
}

Test(mmu, big_pages_and_reserved_bits)
{
    long_mode();
    sys_put(t, 0x10000, 8, 0x11000 | P | W | U);
    sys_put(t, 0x11000, 8, 0x40000000 | P | W | PS | G);
    t->s->cr4 |= CR4_PGE;
    cr_assert(walk(0x12345678, MEM_READ, X86_REGIME_SUPER));
    cr_assert_eq(r.pa, 0x52345678);
    cr_assert_eq(r.page_size, 1ull << 30);
    cr_assert(r.global);
    sys_put(t, 0x11000, 8, 0x40002000 | P | W | PS);      /* bit 13 of a 1 GiB leaf */
    cr_assert(faults(0x12345678, MEM_READ, X86_REGIME_SUPER, 9));
    sys_put(t, 0x11000, 8, 0x12000 | P | W);
    sys_put(t, 0x12000 + 0x91 * 8, 8, 0x600000 | P | W | PS | 0x1000);   /* PAT bit is fine */
    cr_assert(walk(0x12345678, MEM_READ, X86_REGIME_SUPER));
    cr_assert_eq(r.pa, 0x745678);
    cr_assert_eq(r.page_size, 2ull << 20);
    cr_assert_not(r.global);
    sys_put(t, 0x12000 + 0x91 * 8, 8, 0x600000 | P | W | PS | 1ull << 45);   /* above 40 bits */
    cr_assert(faults(0x12345678, MEM_READ, X86_REGIME_SUPER, 9));
    sys_put(t, 0x10000, 8, 0x11000 | P | W | U | PS);
    cr_assert(faults(0x12345678, MEM_READ, X86_REGIME_SUPER, 9));
    t->s->efer &= ~(uint64_t)EFER_NXE;
    sys_put(t, 0x10000, 8, 0x11000 | P | W | U | NX);
    cr_assert(faults(0x12345678, MEM_READ, X86_REGIME_SUPER, 9));
    sys_free(t);
}

Test(mmu, not_canonical)
{
    long_mode();
    cr_assert_not(walk(0x800000000000, MEM_READ, X86_REGIME_USER));
    cr_assert_eq(f.vector, X86_GP);
    cr_assert_eq(f.code, 0);
    sys_free(t);
}

Test(mmu, legacy_32_bit)
{
    t = sys_new("max");
    sys_protected(t);
    t->s->cr3 = 0x10000;
    t->s->cr0 |= CR0_PG;
    sys_put(t, 0x10000 + 0x301 * 4, 4, 0x11000 | P | W | U);
    sys_put(t, 0x11000 + 0x45 * 4, 4, 0x300000 | P | U);
    cr_assert(walk(0xc0445678, MEM_READ, X86_REGIME_USER));
    cr_assert_eq(r.pa, 0x300678);
    cr_assert_eq(sys_get(t, 0x11000 + 0x45 * 4, 4), (0x300000u | P | U | A));
    cr_assert(faults(0xc0445678, MEM_WRITE, X86_REGIME_USER, 7));
    cr_assert(walk(0xc0445678, MEM_WRITE, X86_REGIME_SUPER), "CR0.WP is clear");
    cr_assert(faults(0xc0446000, MEM_EXEC, X86_REGIME_USER, 4));
    /* 4 MiB page with PSE-36 */
    sys_put(t, 0x10000 + 0x302 * 4, 4, 0x00800000 | 3u << 13 | P | W | PS);
    cr_assert(!walk(0xc0812345, MEM_READ, X86_REGIME_SUPER), "without CR4.PSE it is a table (not in RAM's range: empty)");
    t->s->cr4 |= CR4_PSE;
    cr_assert(walk(0xc0812345, MEM_READ, X86_REGIME_SUPER));
    cr_assert_eq(r.pa, 0x300812345);
    cr_assert_eq(r.page_size, 4u << 20);
    sys_free(t);
}

Test(mmu, pae)
{
    t = sys_new("max");
    sys_protected(t);
    t->s->cr4 |= CR4_PAE;
    sys_put(t, 0x10020 + 3 * 8, 8, 0x11000 | P);
    cr_assert(x86_load_pdptes(t->s, 0x10020));
    t->s->cr3 = 0x10020;
    t->s->cr0 |= CR0_PG;
    sys_put(t, 0x11000 + 5 * 8, 8, 0x12000 | P | W | U);
    sys_put(t, 0x12000 + 6 * 8, 8, 0x100000000 | P | W | U);
    cr_assert(walk(0xc0a06123, MEM_WRITE, X86_REGIME_USER));
    cr_assert_eq(r.pa, 0x100000123);
    cr_assert(faults(0x40000000, MEM_READ, X86_REGIME_USER, 4));
    sys_put(t, 0x10020, 8, 0x11000 | P | W);              /* W is reserved in a PDPTE */
    cr_assert_not(x86_load_pdptes(t->s, 0x10020));
    sys_free(t);
}

Test(mmu, no_paging_and_a20)
{
    t = sys_new("max");
    cr_assert(walk(0x123456, MEM_EXEC, X86_REGIME_SUPER));
    cr_assert_eq(r.pa, 0x123456);
    t->s->a20 = false;
    cr_assert(walk(0x123456, MEM_EXEC, X86_REGIME_SUPER));
    cr_assert_eq(r.pa, 0x23456);
    sys_free(t);
}

Test(mmu, control_registers_flush_as_the_manual_says)
{
    long_mode();
    unsigned n = t->flushes;
    cr_assert(sys_call(t, x86_do_mov_to_cr, 3, SYS_PML4, 0, 0));
    cr_assert_eq(t->flushes, n + 1);
    cr_assert_eq(t->last_flush, TLB_FLUSH_NONGLOBAL);
    cr_assert(sys_call(t, x86_do_mov_to_cr, 4, t->s->cr4 | CR4_PCIDE, 0, 0));
    n = t->flushes;
    cr_assert(sys_call(t, x86_do_mov_to_cr, 3, SYS_PML4 | 5 | 1ull << 63, 0, 0));
    cr_assert_eq(t->flushes, n, "bit 63 keeps the entries");
    cr_assert_eq(t->s->cr3, SYS_PML4 | 5);
    cr_assert_eq(x86_asid(t->s), 6);
    cr_assert(sys_call(t, x86_do_mov_to_cr, 3, SYS_PML4 | 6, 0, 0));
    cr_assert_eq(t->last_flush, TLB_FLUSH_ASID);
    cr_assert_not(sys_call(t, x86_do_mov_to_cr, 4, t->s->cr4 & ~(uint64_t)CR4_PAE, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    cr_assert_not(sys_call(t, x86_do_mov_to_cr, 0, t->s->cr0 & ~(uint64_t)CR0_PG, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_user(t, 0x1000);
    cr_assert_not(sys_call(t, x86_do_mov_to_cr, 3, 0, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_free(t);
}

Test(mmu, protection_keys)
{
    long_mode();
    map4k(0x5000, 0x200000 | P | W | U | 3ull << 59, P | W | U);
    map4k(0x6000, 0x201000 | P | W | 3ull << 59, P | W | U);
    t->s->cr4 |= CR4_PKE;
    t->s->pkru = 1u << 6;                              /* key 3: no access */
    cr_assert(faults(0x5000, MEM_READ, X86_REGIME_USER, 1 | 4 | 32));
    cr_assert(faults(0x5000, MEM_WRITE, X86_REGIME_USER, 1 | 2 | 4 | 32));
    cr_assert(faults(0x5000, MEM_READ, X86_REGIME_SUPER_AC, 1 | 32), "the kernel, too");
    cr_assert(walk(0x5000, MEM_EXEC, X86_REGIME_USER), "not fetches");
    cr_assert(walk(0x6000, MEM_WRITE, X86_REGIME_SUPER), "not the kernel's pages");
    t->s->pkru = 2u << 6;                              /* no writes */
    cr_assert(walk(0x5000, MEM_READ, X86_REGIME_USER));
    cr_assert(faults(0x5000, MEM_WRITE, X86_REGIME_USER, 1 | 2 | 4 | 32));
    cr_assert(faults(0x5000, MEM_WRITE, X86_REGIME_SUPER_AC, 1 | 2 | 32));
    t->s->cr0 &= ~(uint64_t)CR0_WP;
    cr_assert(walk(0x5000, MEM_WRITE, X86_REGIME_SUPER_AC), "without CR0.WP the kernel may");
    t->s->cr0 |= CR0_WP;
    map4k(0x5000, 0x200000 | P | U | 3ull << 59, P | W | U);
    cr_assert(faults(0x5000, MEM_WRITE, X86_REGIME_USER, 1 | 2 | 4 | 32), "both reasons: PK is told");
    unsigned n = t->flushes;
    x86_set_pkru(t->s, 2u << 6 | 3u << 20);
    cr_assert_eq(t->flushes, n, "nobody has seen key 10");
    x86_set_pkru(t->s, 0);
    cr_assert_eq(t->flushes, n + 1);
    cr_assert(sys_call(t, x86_do_wrpkru, 0, 0x55555554, 0, 0) && t->s->pkru == 0x55555554);
    cr_assert_not(sys_call(t, x86_do_wrpkru, 1, 0, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    cr_assert_not(sys_call(t, x86_do_wrpkru, 0, 1ull << 32, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    t->s->cr4 &= ~(uint64_t)CR4_PKE;
    cr_assert_not(sys_call(t, x86_do_rdpkru, 0, 0, 0, 0));
    cr_assert(sys_raised(t, X86_UD, -1));
    sys_free(t);
}

Test(mmu, five_levels)
{
    t = sys_new("max");
    sys_long(t);
    sys_put(t, SYS_PML4 + 0x1000, 8, 0);
    cr_assert_not(sys_call(t, x86_do_mov_to_cr, 4, t->s->cr4 | CR4_LA57, 0, 0), "not in long mode");
    cr_assert(sys_raised(t, X86_GP, 0));
    t->s->cr4 |= CR4_LA57;
    t->s->cr3 = 0x14000;
    sys_put(t, 0x14000 + 0x101 * 8, 8, 0x10000 | P | W | U);
    map4k(0x7f0000123000, 0x200000 | P | W | U, P | W | U);
    uint64_t va = 0xff01000000000000 | 0x7f0000123456;
    cr_assert(walk(va, MEM_READ, X86_REGIME_USER));
    cr_assert_eq(r.pa, 0x200456);
    cr_assert(sys_get(t, 0x14000 + 0x101 * 8, 8) & A);
    cr_assert(faults(0x00800000001000, MEM_READ, X86_REGIME_USER, 4), "canonical now");
    cr_assert_not(walk(0x0100000000000000, MEM_READ, X86_REGIME_USER));
    cr_assert_eq(f.vector, X86_GP);
    sys_put(t, 0x14000 + 0x101 * 8, 8, 0x10000 | P | W | U | PS);
    cr_assert(faults(va, MEM_READ, X86_REGIME_USER, 1 | 4 | 8));
    sys_put(t, 0x14000 + 0x101 * 8, 8, 0x10000 | P | U);
    cr_assert(faults(va, MEM_WRITE, X86_REGIME_USER, 1 | 2 | 4), "the top level's rights count");
    sys_free(t);
}
