// A copy that may fault, out of memory that may not be there.
//
//   in       rdi = to, rsi = from, rdx = size
//   out      rax = bytes that are left: 0 where all was there
//   clobbers rcx, rsi, rdi
//
// A fault has rip at sysload_copy_begin, with what is left in rcx; the handler of signals.cc lets it go on
// at sysload_copy_end.
#include "loader/abi.h"

        .section .note.GNU-stack, "", @progbits
        .text
        .globl  sysload_copy, sysload_copy_begin, sysload_copy_end
        .hidden sysload_copy, sysload_copy_begin, sysload_copy_end
        .p2align 4
sysload_copy:
        movq    %rdx, %rcx
sysload_copy_begin:
        rep movsb
sysload_copy_end:
        movq    %rcx, %rax
        ret
