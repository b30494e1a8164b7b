// Keeping the vector registers of a program, by plain moves (vectors.h).
//
// All of the kind that the system has enabled, the masks, and MXCSR. The x87 is left alone. xsave would
// take ten times as long, and xgetbv, which could say what is in use, as long as half of the moves.
//
// Upper halves that are all zero come back by vzeroupper, so that the processor knows it, too: legacy SSE
// code is slow while it must take them for used.
//
//   in       rdi = the area, at a multiple of 64
//   clobbers rax, flags; saving: the vector registers and masks, too
//   stack    none
#include "loader/abi.h"

        .section .note.GNU-stack, "", @progbits
        .text

.macro  FUNCTION name
        .globl  \name
        .hidden \name
        .type   \name, @function
        .p2align 4
\name:
.endm

.macro  MXCSR_IS_AS_BEFORE to
        stmxcsr SYSLOAD_VECTORS_MXCSR+4(%rdi)
        movl    SYSLOAD_VECTORS_MXCSR+4(%rdi), %eax
        cmpl    %eax, SYSLOAD_VECTORS_MXCSR(%rdi)
        je      \to
        ldmxcsr SYSLOAD_VECTORS_MXCSR(%rdi)
\to:
.endm

// --- SSE ---------------------------------------------------------------------------------------
        FUNCTION sysload_save_xmm
        stmxcsr SYSLOAD_VECTORS_MXCSR(%rdi)
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movaps  %xmm\n, 64*\n(%rdi)
        .endr
        ret

        FUNCTION sysload_restore_xmm
        MXCSR_IS_AS_BEFORE .Lxmm
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movaps  64*\n(%rdi), %xmm\n
        .endr
        ret

// --- AVX ---------------------------------------------------------------------------------------
        FUNCTION sysload_save_ymm
        stmxcsr SYSLOAD_VECTORS_MXCSR(%rdi)
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovaps %ymm\n, 64*\n(%rdi)
        .endr
        .irp    n, 1,2,3,4,5,6,7
        vorps   %ymm\n, %ymm0, %ymm0
        .endr
        .irp    n, 9,10,11,12,13,14,15
        vorps   %ymm\n, %ymm8, %ymm8
        .endr
        vorps   %ymm8, %ymm0, %ymm0
        vextractf128 $1, %ymm0, %xmm0
        vptest  %xmm0, %xmm0
        setnz   %al
        movzbl  %al, %eax
        movw    %ax, SYSLOAD_VECTORS_UPPER(%rdi)
        ret

        FUNCTION sysload_restore_ymm
        MXCSR_IS_AS_BEFORE .Lymm
        cmpw    $0, SYSLOAD_VECTORS_UPPER(%rdi)
        je      .Llower
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovaps 64*\n(%rdi), %ymm\n
        .endr
        ret

// The lower halves, in registers whose upper ones are zero.
.Llower:
        vzeroupper
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovaps 64*\n(%rdi), %xmm\n
        .endr
        ret

// --- AVX-512 -----------------------------------------------------------------------------------
        FUNCTION sysload_save_zmm
        stmxcsr SYSLOAD_VECTORS_MXCSR(%rdi)
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   %k\n, SYSLOAD_VECTORS_MASKS+8*\n(%rdi)
        .endr
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovaps %zmm\n, 64*\n(%rdi)
        .endr
        // 0xfe: the or of three.
        vpternlogq $0xfe, %zmm2, %zmm1, %zmm0
        vpternlogq $0xfe, %zmm5, %zmm4, %zmm3
        vpternlogq $0xfe, %zmm8, %zmm7, %zmm6
        vpternlogq $0xfe, %zmm11, %zmm10, %zmm9
        vpternlogq $0xfe, %zmm14, %zmm13, %zmm12
        vpternlogq $0xfe, %zmm6, %zmm3, %zmm0
        vpternlogq $0xfe, %zmm15, %zmm12, %zmm9
        vporq   %zmm9, %zmm0, %zmm0
        movl    $0xfc, %eax             // words 2 to 7
        kmovw   %eax, %k1
        vptestmq %zmm0, %zmm0, %k2{%k1}
        kmovw   %k2, SYSLOAD_VECTORS_UPPER(%rdi)
        ret

        FUNCTION sysload_restore_zmm
        MXCSR_IS_AS_BEFORE .Lzmm
        .irp    n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovaps 64*\n(%rdi), %zmm\n
        .endr
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   SYSLOAD_VECTORS_MASKS+8*\n(%rdi), %k\n
        .endr
        cmpw    $0, SYSLOAD_VECTORS_UPPER(%rdi)
        je      .Llower
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovaps 64*\n(%rdi), %zmm\n
        .endr
        ret
