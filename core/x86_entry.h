/*
 * The state in which a loader wants an x86 vCPU to begin, instead of the reset vector. Filled by hw/boards, applied by
 * x86_cpu_apply_entry() (cpu/x86/cpu.h) after each machine reset, while the vCPU is parked. What is not
 * named here stays as RESET leaves it. Segment caches are set directly; the GDT is for later loads.
 */
#ifndef CORE_X86_ENTRY_H
#define CORE_X86_ENTRY_H

#include <stdint.h>

enum x86_entry_mode {
    X86_ENTRY_PROT32,      /* CR0.PE, paging as cr0 says, 32-bit flat segments */
    X86_ENTRY_LONG64,      /* EFER.LME|LMA, CR0.PG, CR4.PAE, CS.L */
};

/* Index = register number in instruction encodings. */
enum { X86_ENTRY_RAX, X86_ENTRY_RCX, X86_ENTRY_RDX, X86_ENTRY_RBX, X86_ENTRY_RSP, X86_ENTRY_RBP, X86_ENTRY_RSI, X86_ENTRY_RDI };

struct x86_entry_seg {
    uint16_t selector;
    uint16_t attr;         /* as in VMCS access rights: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15 */
    uint32_t limit;        /* bytes - 1, granularity applied */
    uint64_t base;
};

struct x86_entry {
    enum x86_entry_mode mode;
    uint64_t cr0, cr3, cr4, efer;
    uint64_t rip, rflags;
    uint64_t gpr[16];
    struct x86_entry_seg cs;
    struct x86_entry_seg data;           /* DS, ES, SS, FS, GS */
    struct x86_entry_seg tr;             /* attr 0x8b: busy 32/64-bit TSS */
    uint64_t gdt_base, idt_base;
    uint16_t gdt_limit, idt_limit;
};

#endif
