/*
 * The guest registers that the translator keeps as slots, and the bits of the mode key. Shared by the front end
 * (translate_*.c) and the system side (state.h, key_gpr.c).
 */
#ifndef CPU_X86_SLOTS_H
#define CPU_X86_SLOTS_H

/* Slots 0..15 are the general registers by their encoding (enum x86_gpr). */
#define X86_SLOTS 16

/* Privilege regimes for data accesses: rows of the TLB. */
enum x86_regime {
    X86_REGIME_USER,        /* CPL 3 */
    X86_REGIME_SUPER,       /* CPL 0-2, SMAP in force (EFLAGS.AC clear) */
    X86_REGIME_SUPER_AC,    /* CPL 0-2 with EFLAGS.AC set, or CR4.SMAP clear */
    X86_REGIME_IMPLICIT,    /* implicit supervisor accesses (descriptor tables, TSS): SMAP in force whatever AC says */
};

/*
 * Mode key: what translation depends on besides the bytes. Anything not here must not change what is emitted.
 * EFLAGS.AC's SMAP meaning is a regime, not a mode bit.
 */
enum x86_mode {
    X86_MODE_CODE_MASK  = 3u << 0,   /* 0: 16-bit code, 1: 32-bit, 2: 64-bit */
    X86_MODE_CODE16     = 0u << 0,
    X86_MODE_CODE32     = 1u << 0,
    X86_MODE_CODE64     = 2u << 0,
    X86_MODE_CPL_SHIFT  = 2,         /* 2 bits */
    X86_MODE_PE         = 1u << 4,   /* protected mode (clear: real) */
    X86_MODE_VM         = 1u << 5,   /* virtual-8086 */
    X86_MODE_LMA        = 1u << 6,   /* long mode active (also in compatibility code) */
    X86_MODE_SS32       = 1u << 7,   /* stack pointer is esp (not sp); 64-bit code: always rsp */
    X86_MODE_CS_BASED   = 1u << 8,   /* CS base != 0 or limit < 4 GiB: key is salted with EIP */
    X86_MODE_DS_BASED   = 1u << 9,   /* DS, ES or SS has base != 0, limit < 4 GiB, or is not plain read/write data: explicit base add and limit check */
    X86_MODE_TF         = 1u << 10,  /* single-step: #DB after each instruction */
    X86_MODE_SHADOW     = 1u << 11,  /* interrupt shadow: one instruction, then look for events */
    X86_MODE_EM         = 1u << 12,  /* CR0.EM */
    X86_MODE_TS         = 1u << 13,  /* CR0.TS */
    X86_MODE_MP         = 1u << 14,  /* CR0.MP */
    X86_MODE_OSFXSR     = 1u << 15,  /* CR4.OSFXSR */
    X86_MODE_ALIGN      = 1u << 16,  /* alignment checks on: CR0.AM, EFLAGS.AC, CPL 3 */
    X86_MODE_IOPL_OK    = 1u << 17,  /* CPL <= IOPL: cli, sti, in, out without a look at the TSS */
    X86_MODE_UMIP       = 1u << 18,
    X86_MODE_OSXSAVE    = 1u << 19,
    X86_MODE_FSGSBASE   = 1u << 20,
    X86_MODE_TSD        = 1u << 21,  /* CR4.TSD and CPL != 0: rdtsc faults */
    X86_MODE_NE         = 1u << 22,  /* CR0.NE: x87 errors as #MF */
    X86_MODE_BREAK      = 1u << 23,  /* an instruction breakpoint (DR7) may lie on this page: check before each instruction */
    X86_MODE_ONE        = 1u << 24,  /* cpu_run_one(): one instruction, no side exits are chained */
    X86_MODE_OSXMMEXCPT = 1u << 25,  /* CR4.OSXMMEXCPT: SIMD errors as #XM, else #UD */
    X86_MODE_RF         = 1u << 26,  /* EFLAGS.RF: instruction breakpoints ignored for one instruction */
    X86_MODE_IOBP       = 1u << 27,  /* CR4.DE and I/O breakpoints armed */
    X86_MODE_AVX        = 1u << 30,  /* CR4.OSXSAVE and XCR0's SSE and AVX bits: VEX instructions on vectors may run */
    X86_MODE_CS_LIMIT   = 1u << 29,  /* CS limit lies within reach of EIP: below 64 KiB in 16-bit code, 4 GiB in 32-bit code */
    /* Only instructions that translate.c calls mode-bound look at these: floating point, vectors, and what is marked SYS or has a feature of its own. */
    X86_MODE_OPTIONAL   = X86_MODE_EM | X86_MODE_TS | X86_MODE_MP | X86_MODE_OSFXSR | X86_MODE_UMIP | X86_MODE_OSXSAVE | X86_MODE_FSGSBASE |
                          X86_MODE_TSD | X86_MODE_NE | X86_MODE_OSXMMEXCPT | X86_MODE_AVX,
    X86_MODE_EVENT      = 1u << 28,  /* a debug trap is due before the next instruction: translates to exit_loop(TCG_EXIT_EVENT, here) alone */
};

#endif
