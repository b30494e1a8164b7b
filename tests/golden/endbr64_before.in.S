# endbr64 is where indirect branches land: it is never displaced and never overwritten.
#include "golden.h"
        .text
        function _start
        endbr64
        syscall
        ret
        end     _start
