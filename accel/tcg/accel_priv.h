/*
 * What the files of accel/tcg share: the engine (struct tcg_accel, one a machine), the vCPU's part (struct accel_cpu), the
 * cache of regions, and the software TLB's tables.
 *
 * Inside and outside. A vCPU is *inside* while it runs generated code or C of the *_gpr.c files that generated code called, and outside
 * otherwise (accel_cpu.seq is odd inside). Inside it takes no lock and waits for nobody. Whoever needs something of another vCPU's TLB posts
 * an ask, kicks it and waits until it has been outside once: asks are carried out before a vCPU goes inside again.
 * Everything that may block (device access, translation) goes outside first.
 *
 * Locks, in order: machine lock, tcg_accel.lock (translation), accel_cpu.ask_lock. While the translation lock is held
 * only vCPUs that are inside are waited for, so the wait is bounded by the distance to the next poll.
 *
 * Without a lock: the hash of regions (a region's memory lives until its generation is reclaimed with every vCPU outside),
 * code_page.lines, RAM page flags and writers, a vCPU's own tables (others only replace a jump-table pc by an impossible one).
 *
 * Stores and code. A store checks after it has announced itself, a translator announces before it reads:
 *   storing vCPU   set own bit in block->writers; fence; look at flags and lines; only then make the entry hot or store once
 *   translator     set RAM_CODE and the lines; fence; take the writers mask and clear it; drop and await those vCPUs; read the bytes
 *   others         store; fence; look at flags; invalidate (ram_store_notify)
 */
#ifndef ACCEL_TCG_ACCEL_PRIV_H
#define ACCEL_TCG_ACCEL_PRIV_H

#include <stdatomic.h>

#include "accel/tcg/tcg_accel.h"
#include "core/machine.h"
#include "tcg/backend.h"
#include "tcg/codebuf.h"

#define TCG_SPACES 8
#define HASH_BITS 17
#define CHUNK_BITS 9                     /* of the index host pc -> region */
#define PAGE_TOP_BITS 17                 /* two-level table RAM page -> code_page */
#define PAGE_LEAF_BITS 11
#define NO_CODE_ID 0xffffffffu
#define CODE_IDS (4000u * CODE_MAP_ENTRIES)   /* id / CODE_MAP_ENTRIES < 4095: 4095 stands for "empty" in code maps */
#define EXECUTED_BITS 14
#define SHARE_LOSSES 64                  /* clears of a shared struct vcode after which spaces have their own */
#define ITLB_BITS 10
#define L2_SETS 1024
#define L2_WAYS 4

struct code_region;
struct accel_cpu;
struct verify;

/* ---- regions (code.c) ---- */

#define JUMP_MANY 0xffffffffu

struct code_exit {
    struct tcg_code_exit c;
    int32_t off;                         /* target, from pcbase */
    bool wrap32;
    struct code_region *from;
    struct code_region *_Atomic to;      /* what it is patched to; translation lock to change */
    struct code_exit *next_in, **prev_in;
};

struct code_region {
    struct code_region *_Atomic next;    /* in its hash bucket */
    uint64_t page, page2;                /* RAM page numbers; page2 if `crosses` */
    _Atomic uint32_t mode;               /* changes when the region is adopted */
    uint32_t salt;
    uint16_t offset, end;                /* bytes covered, from the page's start; end > 4096 if it crosses */
    bool crosses, no_chain;
    bool proves;                         /* crosses, and looks at the code map for its second page by itself: others may jump to it */
    bool mode_bound;                     /* it looked at optional bits of its mode */
    _Atomic bool dead;
    _Atomic uint32_t jump_slot;          /* 1 + the slot of jump tables it was put in; JUMP_MANY: several */
    uint8_t gen, adopted;                /* adopted: times */
    uint8_t *rx;                         /* NULL: interpreted */
    uint32_t size;
    uint16_t n_exits, n_insns;
    uint32_t map_bytes;
    const uint8_t *map;                  /* packed rows, see restore_gpr.c */
    struct code_exit *exits;
    struct code_exit *incoming;
    struct code_region *page_next[2];    /* lists of first and second page */
    const struct ir *ir;                 /* interpreter and verify only */
};

/* A RAM page that holds or held code. Not freed before the machine is reset. */
struct code_page {
    uint64_t page;
    uint32_t id;                         /* dense number for guards, or NO_CODE_ID */
    _Atomic uint64_t lines;              /* 64-byte lines that regions cover */
    struct ram_block *block;
    uint64_t index;                      /* of the page in the block */
    struct code_region *regions;         /* translation lock */
};

struct code_gen {
    struct arena arena;                  /* regions, exits, maps of the generation */
    struct code_region **regions;        /* by ascending rx */
    _Atomic uint32_t n;
    size_t chunks_done;
};

enum { OPT_PASSES_MAX = 32 };

struct tcg_accel {
    struct machine *machine;
    const struct tcg_backend *backend;   /* NULL: interpreter */
    uint32_t mode_optional;              /* tcg_front.mode_optional */
    struct tcg_codebuf cb;
    bool cb_ready;
    bool chain, verify, one_insn;
    uint32_t passes_off;
    unsigned max_insns;
    size_t tb_size;

    GMutex lock;                         /* translation */
    struct code_region *_Atomic *hash;
    struct code_page **pages[1 << PAGE_TOP_BITS];
    uint32_t n_code_pages;
    struct code_gen gens[CODEBUF_GENERATIONS];
    unsigned gen;
    uint32_t *chunk_first;               /* index in its generation of the first region at or after the chunk's start */
    size_t gen_size;
    bool need_room;
    struct arena scratch;                /* IR of the region being made; translation lock */

    GPtrArray *cpus;                     /* struct accel_cpu *; machine lock to change */

    struct {
        uint64_t regions, insns, guest_bytes, code_bytes, hot_bytes, host_insns, ticks, exits, crossing, hopeless;
        uint64_t killed, adopted, invalidations, links, unlinks, handshakes, reclaims, code_pages;
    } st;                                /* translation lock */
};

/* ---- tables of a vCPU (tlb_gpr.c) ---- */

struct vspace;

struct vctx {
    struct tcg_tlb t;                    /* t.h.reserved: struct accel_cpu * */
    uint64_t filled[TLB_ENTRIES / 64];
    uint64_t mapped[CODE_MAP_ENTRIES / 64];
    uint64_t filled_global[TLB_ENTRIES / 64];          /* those of them that a flush of one address space leaves alone */
    uint64_t mapped_global[CODE_MAP_ENTRIES / 64];
    bool made;                           /* entries have been initialised once */
    bool stale_all;                      /* with t.h.stale: global entries go too */
    struct vspace *space;
} __attribute__((aligned(64)));

struct itlb_entry {
    uint64_t tag;                        /* linear page | 1; 0: empty */
    uint64_t page;                       /* RAM page number */
    uint8_t *host;
    struct ram_block *block;
    bool global;
};

/*
 * What instruction fetches of one (address space, regime) know. While a regime runs code from global pages only (a kernel), all
 * spaces share one and flushes of a single space leave it alone; what is not global makes it `local`, and then it goes with the space.
 */
struct vcode {
    struct tcg_jump jump[JUMP_ENTRIES];
    uint64_t filled[JUMP_ENTRIES / 64];
    struct itlb_entry itlb[1 << ITLB_BITS];
    uint64_t executed[1 << (EXECUTED_BITS - 6)];       /* linear pages fetched from, hashed: INVLPG of others is cheap */
    uint32_t mode;
    const struct vspace *space;          /* shared: the space that is in force */
    bool local;                          /* holds what is not global */
    bool stale_all;                      /* with `stale`: `executed` is cleared as well (code maps hold nothing of before) */
    uint32_t misfits;                    /* picks under another mode since the last fit */
    bool made, stale;
} __attribute__((aligned(64)));

struct vspace {
    uint32_t asid;
    bool used;
    uint32_t l2_id;                      /* names this space's entries in the second-level TLB; a new number flushes */
    uint64_t stamp;
    struct vctx *ctx[TCG_REGIMES];
    struct vcode *code[TCG_REGIMES];
};

struct l2_entry {
    uint64_t tag;                        /* linear page | regime << 1 | 1 */
    uint64_t pa;                         /* of the page */
    uint8_t *host;                       /* NULL: not plain RAM */
    struct ram_block *block;
    uint32_t id;
    uint8_t rights;                      /* MMU_* */
    bool readonly;
};

struct vtables {
    struct vctx ctx[TCG_SPACES][TCG_REGIMES];
    struct vcode code[TCG_SPACES][TCG_REGIMES];
    struct vcode shared[TCG_REGIMES];
    struct l2_entry l2[L2_SETS][L2_WAYS];
    struct tcg_jump miss[JUMP_ENTRIES];  /* never hits */
    uint64_t large2m[64], large1g[8];    /* hashed: 4 KiB pieces of large pages were filled there */
};

struct fragment {
    uint8_t *host;                       /* NULL: device */
    struct ram_block *block;
    uint64_t offset, pa;
    unsigned len;
    bool readonly;
};

struct accel_cpu {
    struct cpu *c;
    void *state;
    struct tcg_env *env;
    struct tcg_scratch *scratch;
    struct tcg_accel *ta;
    const struct tcg_front *front;
    const struct cpu_ops *ops;

    struct tcg_key key;                  /* as of the last ctx_select() */
    struct vspace *space;
    struct vctx *ctx;
    struct vcode *code;
    bool own_jt;                         /* the jump table in force is code->jump, so it may be filled */

    struct vspace spaces[TCG_SPACES];
    struct vtables *tab;
    uint64_t clock;                      /* for stamps */
    uint32_t share_losses[TCG_REGIMES];  /* shared tables cleared for what was not global in them */
    uint32_t next_id, global_id;
    uint8_t l2_victim;

    _Atomic uint32_t seq;                /* odd: inside */
    _Atomic uint32_t asked;
    GMutex ask_lock;
    bool ask_flush, ask_all_writes;
    unsigned ask_n;
    uint64_t ask_page[16];

    _Atomic bool running;                /* in tcg_run(): may hold regions that it has looked up */
    bool in_enter;                       /* generated code or the interpreter has frames on this thread's stack */
    bool one_exclusive;                  /* TCG_EXIT_ONE: with every other vCPU stopped */
    bool locked;                         /* the machine lock was taken for a helper */
    bool leave;                          /* return from run() soon: flat views may be freed */
    const struct code_region *interp_region;
    struct fragment frag[2];
    unsigned n_frag;
    struct arena arena;                  /* IR of run-one */
    uint8_t *fetch;                      /* 2 pages: code read from devices */
    struct verify *verify;
    void (*mmu_note)(void *arg);         /* -d mmu: trace.c's mmu_note(), else NULL */
    void (*native_io)(void *arg);        /* slow.c; by pointer, for general-register code may not name it */

    struct {
        uint64_t slow, l2_hits, walks, faults, full, io_reads, io_writes, code_stores, code_line_hits, ones, exclusives;
        uint64_t jump_misses, jump_fills, guard_misses, links_full, enters, lookups, finds, flushes, page_flushes, clears;
        uint64_t itlb_fills, verified, not_verified;
        uint64_t exits[TCG_EXIT_STOP + 1];
    } st;
};

extern const struct tcg_interp_mem tcg_interp_mem;
extern const struct tcg_runtime tcg_runtime;

static inline struct accel_cpu *accel_of_state(void *state)
{
    return (struct accel_cpu *)((struct tcg_env *)state)->ctx->h.reserved;
}

/* Exits and jump tables may lead to the region. */
static inline bool region_chains(const struct code_region *r)
{
    return !r->no_chain && (!r->crosses || r->proves);
}

static inline uint64_t line_mask(unsigned from, unsigned to /* exclusive, offsets in the page */)
{
    unsigned a = from >> 6, b = (to - 1) >> 6;

    b = b > 63 ? 63 : b;
    return (~0ull >> (63 - (b - a))) << a;
}

static inline bool ram_flags_code(const struct ram_block *b, uint64_t index)
{
    return atomic_load_explicit(&b->flags[index], memory_order_relaxed) & RAM_CODE;
}

/* code_gpr.c */
struct code_page *code_page_find(const struct tcg_accel *ta, uint64_t page);
struct code_region *code_by_host(const struct tcg_accel *ta, uint64_t host_pc);
/* The live region for the key at linear `pc` whose first byte lies at `it`, or NULL. */
struct code_region *code_find(struct accel_cpu *ac, const struct itlb_entry *it, uint64_t pc, uint32_t salt);
/* Regions that differ only in optional bits of their modes share a bucket: code_adopt(). */
static inline unsigned code_hash(const struct tcg_accel *ta, uint64_t page, unsigned offset, uint32_t mode, uint32_t salt)
{
    uint64_t h = (page << 12 | offset) * 0x9e3779b97f4a7c15ull ^ ((uint64_t)(mode & ~ta->mode_optional) << 32 | salt) * 0xc2b2ae3d27d4eb4full;

    return (unsigned)(h >> (64 - HASH_BITS));
}
void *tcg_lookup(void *state, uint64_t pc);
void *tcg_link(void *state, uint64_t ra);
struct code_exit *code_exit_find(const struct code_region *r, uint64_t ra);
/* Before a region that proves its second page is entered: the page at linear `next`, known as `it`, is that page. */
void code_prove(struct accel_cpu *ac, const struct code_region *r, uint64_t next, const struct itlb_entry *it);
/* The guard of cross-page exits to `linear`'s page will hold from now on. */
void code_map_fill(struct accel_cpu *ac, uint64_t linear, uint32_t id, bool global);

/* code.c: all but code_init need the translation lock */
bool code_init(struct tcg_accel *ta, GError **err);
void code_fini(struct tcg_accel *ta);
struct code_page *code_page_get(struct tcg_accel *ta, struct ram_block *b, uint64_t index);
void code_add(struct tcg_accel *ta, struct code_region *r, struct code_page *cp, struct code_page *cp2);
struct code_region *code_adopt(struct accel_cpu *ac, uint64_t page, unsigned offset, uint32_t salt);
void code_link(struct tcg_accel *ta, struct code_exit *e, struct code_region *to);
/* Kills what covers [from, to) of the page. Returns how many. */
unsigned code_kill_bytes(struct tcg_accel *ta, struct code_page *cp, unsigned from, unsigned to);
bool code_gen_next(struct tcg_accel *ta);          /* false: the next generation is in use */
/* Nothing was ever translated. Every vCPU parked; their tables are flushed before they run again. */
void code_drop_all(struct tcg_accel *ta);
void code_gen_reclaim(struct tcg_accel *ta, unsigned gen);   /* every vCPU outside generated code and its frames */
void tcg_invalidate(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);

/* translate.c */
enum find_result { FIND_OK, FIND_FAULT /* raised with env.pc = pc */, FIND_ONE /* not plain RAM: run it alone */, FIND_NO_ROOM };
/* Outside. env.pc is the address. */
enum find_result code_get(struct accel_cpu *ac, struct code_region **r, bool raise);
void *tcg_link_full(void *state, uint64_t ra);
/* Translates one instruction at env.pc into ac->arena, uncached. NULL: a fetch fault was raised. */
struct ir *code_one(struct accel_cpu *ac);
bool code_overlaps(const struct code_region *r, const struct ram_block *b, uint64_t offset, unsigned len);

/* tlb_gpr.c */
struct l2_entry *mmu_get(struct accel_cpu *ac, struct vspace *sp, uint64_t va, enum mem_access access, unsigned regime,
                         struct mmu_fault *fault);
struct itlb_entry *itlb_get(struct accel_cpu *ac, uint64_t pc, struct mmu_fault *fault);
struct tcg_slow_result tcg_slow(void *state, uint64_t addr, uint32_t desc);
/* The table for an explicit regime of the current address space, ready for use. */
struct vctx *ctx_of(struct accel_cpu *ac, unsigned regime);
void tlb_fill_read(struct vctx *ctx, uint64_t va, const struct l2_entry *l2);
/* Announces that this vCPU is about to store to the page; true: the store may go through a hot entry. */
bool ram_announce(struct accel_cpu *ac, struct ram_block *b, uint64_t index);
void ctx_select(struct accel_cpu *ac);
void tcg_changed(void *state);
void set_jt(struct accel_cpu *ac);
void tlb_flush_all(struct accel_cpu *ac);
void tcg_tlb_flush(struct cpu *c, enum tlb_flush scope, uint32_t asid, uint64_t va);
void tlb_drop_writes(struct accel_cpu *ac, const struct ram_block *b, uint64_t index);   /* b NULL: of every page */
void jump_drop(struct accel_cpu *ac, const struct code_region *r);
void tables_init(struct accel_cpu *ac);

/* restore_gpr.c */
void tcg_sync(struct accel_cpu *ac);
void tcg_leave(struct accel_cpu *ac, uint32_t reason) __attribute__((noreturn));
void tcg_fault(struct accel_cpu *ac, const struct mmu_fault *f) __attribute__((noreturn));
void tcg_trap(struct accel_cpu *ac, enum tcg_trap trap, uint64_t addr) __attribute__((noreturn));
void tcg_host_trap(void *state, uint64_t host_pc);
/* Returns the bytes written, at most MAP_ROW_MAX a row. */
enum { MAP_ROW_MAX = 48 };
uint32_t map_pack(const struct tcg_map_row *rows, unsigned n, uint8_t *out);
/* trap: the row of an instruction that may trap, else that of a return address: a call may stand right before such an instruction. */
bool map_find(const struct code_region *r, uint32_t host_off, bool trap, struct tcg_map_row *row);

/* slow.c */
uint64_t tcg_slow_full(void *state, uint64_t addr, uint32_t desc);
void tcg_bounce_flush(void *state);
void tcg_lock(void *state, bool on);
void tcg_outside(void *state, bool on);
/* Where an access goes, into ac->frag. Faults do not return. */
void access_fragments(struct accel_cpu *ac, uint64_t addr, uint32_t desc);
bool mem_read(struct accel_cpu *ac, const struct fragment *f, void *buf);
void mem_write(struct accel_cpu *ac, const struct fragment *f, const void *buf);
/* The region whose code or IR is running on this vCPU covers one of the bytes. */
bool hits_running(struct accel_cpu *ac, const struct ram_block *b, uint64_t offset, unsigned len);

/* service_gpr.c */
bool tcg_ld(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t *value, struct mmu_fault *fault);
bool tcg_put(struct cpu *c, uint64_t va, const void *buf, unsigned len, unsigned regime, struct mmu_fault *fault);
bool tcg_st(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t value, struct mmu_fault *fault);
void *tcg_probe(struct cpu *c, uint64_t va, unsigned len, enum mem_access access, unsigned regime, struct mmu_fault *fault);
void tcg_mode_changed(struct cpu *c);
void tcg_unwind_cpu(struct cpu *c) __attribute__((noreturn));
void tcg_run_exclusive(struct cpu *c) __attribute__((noreturn));
void tcg_sync_cpu(struct cpu *c);
/* trace.c: one line of -d mmu; by native_call() when ac->mmu_note is set. arg: struct mmu_note */
struct mmu_note {
    struct accel_cpu *ac;
    const struct mmu_result *res;        /* a walk that found a page */
    const struct mmu_fault *fault;       /* a walk that faulted; both NULL: a flush */
    uint64_t va;
    enum mem_access access;
    unsigned regime;
    enum tlb_flush scope;
    uint32_t asid;
};
void mmu_note(void *arg);
/* service_gpr.c: runs ordinary C from general-register code, the guest's vectors put aside */
void native_call(struct accel_cpu *ac, void (*fn)(void *), void *arg);

/* slow.c: the part of ld, st and probe that leaves general-register code. arg: struct native_io. self: not done, the running region is hit */
enum native_io_kind { IO_READ, IO_WRITE, IO_DROP /* translations of the bytes */ };
struct native_io { struct accel_cpu *ac; struct fragment f; uint8_t buf[8]; enum native_io_kind kind; bool self; };
void native_io(void *arg);

/* vcpu.c */
void vcpu_in(struct accel_cpu *ac);
void vcpu_out(struct accel_cpu *ac);
void vcpu_ask_page(struct accel_cpu *to, const struct ram_block *b, uint64_t index);
void vcpu_ask_flush(struct accel_cpu *to);
void vcpu_wait_outside(struct accel_cpu *to);
void vcpu_kick(struct accel_cpu *ac);
/* vCPUs that hold write entries of the page let go of them; returns when they have. drop: hot entries may exist. */
void writers_drop(struct tcg_accel *ta, struct ram_block *b, uint64_t index, bool drop);
struct accel_cpu *vcpu_self(void);
void vcpu_set_self(struct accel_cpu *ac);

/* one.c: one instruction at env.pc by the interpreter; returns an exit reason */
uint32_t cpu_run_one(struct cpu *c);

/* stats.c */
void tcg_stats(struct machine *m, GString *out);
const char *exit_reason_name(unsigned reason);

/* trace.c: -d */
void trace_translation(struct accel_cpu *ac, const struct tcg_source *src, const struct ir *ir);
void trace_ir(uint32_t item, const char *title, const struct ir *ir);
void trace_host_code(const struct tcg_code *code);
/* Guest code of the region at linear pc, as it stands in memory. */
void trace_bytes(FILE *out, struct accel_cpu *ac, uint64_t pc, const struct code_region *r);
void trace_enter(struct accel_cpu *ac, const struct code_region *r);

/* verify.c */
uint32_t verify_run(struct accel_cpu *ac, struct code_region *r);
void verify_fini(struct accel_cpu *ac);

#endif
