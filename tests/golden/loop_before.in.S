# loop and jrcxz have no long form, and are never displaced.
#include "golden.h"
        .text
        function _start
        nop
.Lagain:
        jrcxz   .Lout
        loop    .Lagain
        syscall
.Lout:  ret
        end     _start
