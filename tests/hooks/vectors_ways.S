// void keep_KIND(const Registers* before, Registers* after, std::byte* area, uint64_t lower_only)
//
// Loads all registers of the kind from `before`, keeps them as sysload does, sets every bit of them, gives them
// back, and stores them into `after`, with the state components that the processor then takes for used.
// `lower_only`: the upper halves are zero, and the processor knows it.
//
//   Registers: 32 of 64 bytes, 8 masks of 8, mxcsr and XINUSE of 4
        .section .note.GNU-stack, "", @progbits
        .text

#define SIXTEEN 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
#define UPPER_SIXTEEN 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31

.macro  BEGIN   kind
        .globl  keep_\kind
        .type   keep_\kind, @function
keep_\kind:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        movq    %rdi, %rbx
        movq    %rsi, %rbp
        movq    %rdx, %r12
        ldmxcsr 2112(%rbx)
.endm

.macro  SAVE    kind
        movq    %r12, %rdi
        call    sysload_save_\kind
        pushq   $0x1fbf
        ldmxcsr (%rsp)
        popq    %rax
.endm

.macro  RESTORE kind
        movq    %r12, %rdi
        call    sysload_restore_\kind
.endm

.macro  LEARN_USED
        xorl    %eax, %eax
        movl    $1, %ecx
        xgetbv
        movl    %eax, 2116(%rbp)
.endm

.macro  END
        stmxcsr 2112(%rbp)
        pushq   $0x1f80
        ldmxcsr (%rsp)
        popq    %rax
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret
.endm

        BEGIN   xmm
        .irp    n, SIXTEEN
        movups  64*\n(%rbx), %xmm\n
        .endr
        SAVE    xmm
        .irp    n, SIXTEEN
        pcmpeqd %xmm\n, %xmm\n
        .endr
        RESTORE xmm
        .irp    n, SIXTEEN
        movups  %xmm\n, 64*\n(%rbp)
        .endr
        END

        BEGIN   ymm
        vzeroupper
        .irp    n, SIXTEEN
        vmovups 64*\n(%rbx), %xmm\n
        .endr
        testq   %rcx, %rcx
        jnz     1f
        .irp    n, SIXTEEN
        vmovups 64*\n(%rbx), %ymm\n
        .endr
1:      SAVE    ymm
        .irp    n, SIXTEEN
        vcmptrueps %ymm\n, %ymm\n, %ymm\n
        .endr
        RESTORE ymm
        LEARN_USED
        .irp    n, SIXTEEN
        vmovups %ymm\n, 64*\n(%rbp)
        .endr
        vzeroupper
        END

        BEGIN   zmm
        vzeroupper
        .irp    n, SIXTEEN
        vmovups 64*\n(%rbx), %xmm\n
        .endr
        testq   %rcx, %rcx
        jnz     1f
        .irp    n, SIXTEEN
        vmovups 64*\n(%rbx), %zmm\n
        .endr
1:      .irp    n, UPPER_SIXTEEN
        vmovups 64*\n(%rbx), %zmm\n
        .endr
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   2048+8*\n(%rbx), %k\n
        .endr
        SAVE    zmm
        .irp    n, SIXTEEN,UPPER_SIXTEEN
        vpternlogd $255, %zmm\n, %zmm\n, %zmm\n
        .endr
        .irp    n, 0,1,2,3,4,5,6,7
        kxnorq  %k\n, %k\n, %k\n
        .endr
        RESTORE zmm
        LEARN_USED
        .irp    n, SIXTEEN,UPPER_SIXTEEN
        vmovups %zmm\n, 64*\n(%rbp)
        .endr
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   %k\n, 2048+8*\n(%rbp)
        .endr
        vzeroupper
        END
