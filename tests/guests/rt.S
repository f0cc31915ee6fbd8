/* Entry, mode switches, trap stubs, AP start-up. See rt.h. */
#include "tests/guests/rt.h"

.section .multiboot, "a"
.balign 4
.long 0x1badb002, 3, -(0x1badb002 + 3)

.text
.code32
.globl start
start:
    cli
    cld
    mov $boot_stack_top, %esp
    mov %ebx, multiboot_info
    lgdt gdt_pointer
#ifdef __x86_64__
    mov $pd, %edi                   /* identity map of 4 GiB, once for the kernel, once (upd) for user mode */
    mov $0x83, %eax
    call fill
    mov $upd, %edi
    mov $0x87, %eax
    call fill
    mov $1, %edx                    /* is the BSP */
    jmp to_long

fill:
    mov $2048, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    ret

to_long:                            /* edx: 1 = BSP */
    mov $0x6a0, %eax                /* PAE, PGE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov %edx, %esi
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax                 /* SCE, LME, NXE */
    wrmsr
    mov %esi, %edx
    mov $0x80010033, %eax           /* PG, WP, NE, ET, MP, PE */
    mov %eax, %cr0
    ljmp $SEL_KCODE, $1f
.code64
1:  mov $SEL_KDATA, %eax
    mov %eax, %ss
    mov $SEL_UDATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    lidt idt_pointer
    test %edx, %edx
    jz ap_long
    mov $boot_stack_top, %rsp
    call rt_main
1:  hlt
    jmp 1b

ap_long:
    mov $1, %edi
    lock xadd %edi, ap_next
    mov %edi, %eax
    shl $13, %eax
    lea ap_stacks(%rax), %rsp       /* CPU n's stack ends at ap_stacks + n * 8192 */
    call ap_main
1:  cli
    hlt
    jmp 1b

.code16
.globl ap_code, ap_code_end
ap_code:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdt - ap_code
    mov $0x11, %eax
    mov %eax, %cr0
    ljmpl $SEL_KCODE32, $ap_protected
ap_gdt:
    .word GDT_ENTRIES * 8 - 1
    .long gdt
ap_code_end:
.code32
ap_protected:
    mov $SEL_KDATA, %eax
    mov %eax, %ds
    mov %eax, %ss
    xor %edx, %edx
    jmp to_long
.code64
#else
    ljmp $SEL_KCODE, $1f
1:  mov $SEL_KDATA, %eax
    mov %eax, %ss
    mov $SEL_UDATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    lidt idt_pointer
    call rt_main
1:  hlt
    jmp 1b
#endif

/* --- trap stubs, 16 bytes each --- */
.balign 16
.globl stubs
stubs:
.set i, 0
.rept 256
    .balign 16
    .if i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21
        nop
    .else
        push $0
    .endif
#ifdef __x86_64__
    .byte 0x68
    .long i
#else
    .byte 0x68
    .long i
#endif
    jmp trap
    .set i, i + 1
.endr

#ifdef __x86_64__
trap:
    push %rax; push %rcx; push %rdx; push %rbx; push %rbp; push %rsi; push %rdi
    push %r8; push %r9; push %r10; push %r11; push %r12; push %r13; push %r14; push %r15
    cld
    mov %rsp, %rdi
    call trap_c
    mov %rsp, %rdi
.globl enter
enter:                              /* rdi: struct ctx */
    mov %rdi, %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %r11; pop %r10; pop %r9; pop %r8
    pop %rdi; pop %rsi; pop %rbp; pop %rbx; pop %rdx; pop %rcx; pop %rax
    add $16, %rsp
    iretq

.globl run_enter
run_enter:                          /* rdi: struct ctx; comes back through run_exit */
    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
    pushf
    mov %rsp, run_sp
    jmp enter

.globl run_exit
run_exit:
    mov run_sp, %rsp
    mov %rsp, %rax
    push $SEL_KDATA                 /* by iret, which also unblocks NMIs */
    push %rax
    pushf
    push $SEL_KCODE
    push $1f
    iretq
1:  mov $SEL_KDATA, %eax
    mov %eax, %ss
    mov $SEL_UDATA, %eax
    mov %eax, %ds
    mov %eax, %es
    popf
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
    ret
#else
trap:
    push %ds; push %es; push %fs; push %gs
    pusha
    mov $SEL_UDATA, %eax
    mov %eax, %ds
    mov %eax, %es
    cld
    push %esp
    call trap_c
    add $4, %esp
    mov %esp, %edi
.globl enter
enter:                              /* edi: struct ctx */
    mov %edi, %esp
    popa
    pop %gs; pop %fs; pop %es; pop %ds
    add $8, %esp
    iret

.globl run_enter
run_enter:
    mov 4(%esp), %eax
    push %ebx; push %ebp; push %esi; push %edi
    pushf
    mov %esp, run_sp
    mov %eax, %edi
    jmp enter

.globl run_exit
run_exit:
    mov run_sp, %esp
    mov $SEL_UDATA, %eax
    mov %eax, %fs
    mov %eax, %gs
    pushf
    push $SEL_KCODE
    push $1f
    iret
1:  popf
    pop %edi; pop %esi; pop %ebp; pop %ebx
    ret
#endif

.data
.balign 16
.globl gdt
gdt:                                /* enough to get to rt_main(), which writes it all */
    .quad 0
#ifdef __x86_64__
    .quad 0x00af9b000000ffff
#else
    .quad 0x00cf9b000000ffff
#endif
    .quad 0x00cf93000000ffff
    .quad 0x00cffb000000ffff
    .quad 0x00cff3000000ffff
    .quad 0, 0
    .quad 0x00cf9b000000ffff        /* SEL_KCODE32 */
    .fill GDT_ENTRIES - 8, 8, 0
gdt_pointer:
    .word GDT_ENTRIES * 8 - 1
#ifdef __x86_64__
    .quad gdt
#else
    .long gdt
#endif
idt_pointer:
    .word 256 * IDT_SIZE - 1
#ifdef __x86_64__
    .quad idt
#else
    .long idt
#endif
.balign 8
.globl run_sp, multiboot_info, ap_next
run_sp: .quad 0
multiboot_info: .long 0
ap_next: .long 1
.balign 4096
#ifdef __x86_64__
.globl pml4, tpdpt, tpd, tpt
pml4:  .quad pdpt + 7, updpt + 7, tpdpt + 7
       .fill 509, 8, 0
pdpt:  .quad pd + 3, pd + 0x1003, pd + 0x2003, pd + 0x3003
       .fill 508, 8, 0
updpt: .quad upd + 7, upd + 0x1007, upd + 0x2007, upd + 0x3007
       .fill 508, 8, 0
tpdpt: .quad tpd + 7
       .fill 511, 8, 0
tpd:   .quad tpt + 7
       .fill 511, 8, 0
tpt:   .fill 512, 8, 0
#endif

.bss
.balign 4096
#ifdef __x86_64__
pd:    .skip 4 * 4096
upd:   .skip 4 * 4096
#endif
       .skip 16384
boot_stack_top:
.globl snip_stack, snip_stack_top, ap_stacks, trap_stack_top
       .skip 8192
trap_stack_top:
snip_stack:
       .skip 4096
snip_stack_top:
       .skip 4096
ap_stacks:
       .skip 8192 * MAX_CPUS
.section .note.GNU-stack, "", @progbits
