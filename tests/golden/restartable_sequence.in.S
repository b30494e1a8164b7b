# The instruction in front of the syscall is the last one of a restartable sequence: interrupted behind it the
# kernel lets it be, before it the sequence begins again, and in a stub it would not know it. So it stays.
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
.Lbegin:
        mov     (%rdi), %rdx
        movq    $7, 16(%rdx)
.Lend:  syscall
        ret
        .byte   0x0f, 0xb9, 0x3d        # the signature in front of where it begins again
        .long   0x53053053
.Labort:
        jmp     .Lbegin
        end     _start

        .section __rseq_cs, "a"
        .balign 32
        .long   0, 0
        .quad   .Lbegin, .Lend - .Lbegin, .Labort
