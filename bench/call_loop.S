// The loops whose system calls are timed, one for each way in which compilers and libraries write
// them, and the program's entry.
//
//   constant loops    mov $N, %eax ; syscall      a jump over the mov: tier A
//   register loop     mov %ebp, %eax ; syscall    too short for A; the padding behind the loop
//                                                 makes a springboard: tier B. Without tier B, a
//                                                 window of two instructions: tier C
//
// The branch back goes to the first instruction of what a patch may cover, never into it. Each
// loop starts on a line of the instruction cache, so that unpatched loops differ in nothing else.

        .text

// In: rsp as the kernel left it. Never returns.
        .globl  _start
        .type   _start, @function
_start: mov     %rsp, %rdi
        and     $-16, %rsp
        call    run_program
        ud2
        .size   _start, . - _start

// In: rdi = how many calls, at least 1. Out: rax = what the last one returned.
        .macro  constant_loop name, number
        .p2align 6
        .globl  \name
        .type   \name, @function
\name:  push    %rbx
        mov     %rdi, %rbx
        .p2align 6
1:      mov     $\number, %eax
        syscall
        dec     %rbx
        jnz     1b
        pop     %rbx
        ret
        .size   \name, . - \name
        .endm

        constant_loop constant_getppid, 110
        constant_loop constant_missing, 1000

// In: rdi = how many calls, at least 1; rsi = the number. Out: rax = what the last one returned.
        .p2align 6
        .globl  register_loop
        .type   register_loop, @function
register_loop:
        push    %rbx
        push    %rbp
        mov     %rdi, %rbx
        mov     %esi, %ebp
        .p2align 6
1:      xor     %edi, %edi
        mov     %ebp, %eax
        syscall
        dec     %rbx
        jnz     1b
        pop     %rbp
        pop     %rbx
        ret
        .size   register_loop, . - register_loop
        .p2align 6                      // nops: the springboard's place

        .section .note.GNU-stack, "", @progbits
