/*
 * Linking: changes to code that other vCPUs may be executing. Every change is one aligned-enough 32-bit store (never across a 64-byte
 * line), valid before and after.
 */
#include "tcg/x86_64/cg_priv.h"
#include "tcg/x86_64/patch_priv.h"

#include "tcg/x86_64/host_priv.h"

static void put32(uint8_t *at, uint32_t v)
{
    __asm__ volatile("movl %1, %0" : "=m"(*(uint32_t (*)[1])at) : "r"(v) : "memory");
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, 4);
    return v;
}

void x86_patch(struct tcg_codebuf *cb, uint8_t *rx, const struct tcg_code_exit *e, const uint8_t *target, uint32_t page_id)
{
    uint8_t *rw = codebuf_rw(cb, rx), *rel = rw + e->patch_off, *imm = rel - GUARD_REL + GUARD_IMM;
    const uint8_t *to = target ? target : rx + e->stub_off;
    uint32_t d = (uint32_t)(to - (rx + e->patch_off + 4));

    if (!e->cross) {
        put32(rel, d);
        return;
    }
    /* The guard alone: a vCPU between it and the jump has moved pcbase and must go to the target, not back to link(). */
    if (!target) {
        put32(imm, get32(imm) | GUARD_OFF);
        return;
    }
    /* A vCPU may stand between guard and jump: the page that a guard proves must never change once it has been armed. */
    if (page_id >> CODE_MAP_BITS >= GUARD_OFF)
        return;
    if (get32(rw + e->id_off) == ~0u)
        put32(rw + e->id_off, page_id);
    else if (get32(rw + e->id_off) != page_id)
        return;
    put32(rel - GUARD_REL + GUARD_DISP, (uint32_t)(GUARD_MAP + 8 * (int)(page_id & (CODE_MAP_ENTRIES - 1))));
    put32(rel, d);
    put32(imm, (get32(imm) & ~GUARD_OFF) | page_id >> CODE_MAP_BITS);
}

/* The last bytes of a region leave with its entry's address: its first instruction becomes a jump there. */
void x86_kill(struct tcg_codebuf *cb, uint8_t *rx, uint32_t size)
{
    uint8_t *rw = codebuf_rw(cb, rx);
    int32_t d = (int32_t)(size - KILL_BYTES - 5);
    uint64_t v;

    memcpy(&v, rw, 8);
    v = (v & ~0xffffffffffull) | 0xe9 | (uint64_t)(uint32_t)d << 8;
    __atomic_store_n((uint64_t *)(void *)rw, v, __ATOMIC_RELEASE);       /* regions begin 16-byte aligned */
}
