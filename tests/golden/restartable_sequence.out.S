# site: D: the window holds bytes that a tracer writes over (XRay, patchable entry, mcount, SDT), or a part of a restartable sequence
#include "golden.h"
        .text
        mov     $39, %eax
begin:  mov     (%rdi), %rdx
        movq    $7, 16(%rdx)
        poison
after:  ret
        .byte   0x0f, 0xb9, 0x3d
        .long   0x53053053
        jmp     begin

        trampoline
stub:   core    after
        jmp     after
        end_trampoline
