# --tiers=D poisons every site.
# options: --tiers=D
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
