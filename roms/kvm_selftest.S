/*
 * The guest of accel/kvm/selftest.c: does what every operating system does within its first second, and says by port 0F4h how far it came.
 * Linked at 0 and entered there in 64-bit ring 0 with all of the first 2 MiB mapped for everybody, a GDT (08 code, 10 data, 18 data and 20
 * code of ring 3), a TSS, and room for an IDT at 6000h.
 */
#define PORT  0xf4
#define IDT   0x6000
#define LEAF  0x40000100
#define MAGIC 0x21756d65

        .code64
        .globl _start
_start:
        mov     $0xff, %eax             /* an instruction that an emulator may not know */
        popcnt  %eax, %eax
        cmp     $8, %eax
        jne     fail
        mov     $1, %al
        out     %al, $PORT

        lea     on_breakpoint(%rip), %rax
        mov     $IDT + 3 * 16, %edi
        mov     %ax, (%rdi)             /* interrupt gate, ring 3 may use it: the handler lies below 64 KiB */
        movw    $0x08, 2(%rdi)
        movw    $0xee00, 4(%rdi)
        xor     %ebx, %ebx
        int3
        cmp     $1, %ebx
        jne     fail
        mov     $2, %al
        out     %al, $PORT

        mov     $LEAF, %eax             /* CPUID says what it was told to */
        cpuid
        cmp     $MAGIC, %eax
        jne     fail
        mov     $3, %al
        out     %al, $PORT

        mov     $0xc0000081, %ecx       /* STAR: ring 3 at 10h + 8, 16; ring 0 at 8 */
        xor     %eax, %eax
        mov     $0x00100008, %edx
        wrmsr
        mov     $0xc0000082, %ecx       /* LSTAR */
        lea     on_syscall(%rip), %rax
        xor     %edx, %edx
        wrmsr
        mov     $0xc0000080, %ecx       /* EFER.SCE */
        rdmsr
        or      $1, %eax
        wrmsr
        push    $0x1b
        push    $0x9000
        push    $2
        push    $0x23
        lea     user(%rip), %rax
        push    %rax
        iretq

user:
        mov     $LEAF, %eax
        cpuid
        cmp     $MAGIC, %eax
        jne     1f
        syscall
1:      ud2                             /* no gate for it: the machine stops */

on_syscall:
        mov     %cs, %eax
        test    $3, %al
        jnz     1b
        mov     $4, %al
        out     %al, $PORT
        hlt

on_breakpoint:
        mov     $1, %ebx
        iretq

fail:
        xor     %eax, %eax
        out     %al, $PORT
        hlt
