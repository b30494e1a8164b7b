# A file without a system call gets a trailer that says so, and no trampoline.
#include "golden.h"
        .text
        function _start
        ret
        end     _start
