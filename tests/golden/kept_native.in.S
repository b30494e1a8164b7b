# --on-unpatchable=keep leaves a site that no jump fits as it was, and says so.
# options: --on-unpatchable=keep
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        endbr64
        syscall
        ret
        end     _start
