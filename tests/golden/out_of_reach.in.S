# A part of the code lies more than 2 GiB from the trampoline. No jump reaches it from there, and no
# stub would find the way back: the syscall stays native, and is reported.
# link: -static -Wl,--section-start=far=0xc0000000
#include "golden.h"
        .text
        function _start
        ret
        end     _start
        .section far, "ax", @progbits
        function work
        mov     $39, %eax
        syscall
        ret
        end     work
