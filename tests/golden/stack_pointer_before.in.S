# An instruction that moves rsp would mislead an unwinder that stands in the stub: it is displaced
# only where no springboard is in reach.
#include "golden.h"
        .text
        function _start
        sub     $0x100, %rsp
        syscall
        ret
        end     _start
        .p2align 4, 0xcc
