# Executable segments count, not sections: code outside .text is patched like any other.
#include "golden.h"
        .text
        function _start
        ret
        end     _start
        .section .text.late, "ax", @progbits
        function work
        mov     $39, %eax
        syscall
        ret
        end     work
        .section elsewhere, "ax", @progbits
        function more
        mov     $39, %eax
        syscall
        ret
        end     more
