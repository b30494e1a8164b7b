# A call pushes the address behind it, and is 5 bytes long, but is never displaced: its return
# address would be the stub's, where unwinders find nothing.
#include "golden.h"
        .text
        function _start
        call    work
        syscall
        ret
        end     _start
        function work
        ret
        end     work
