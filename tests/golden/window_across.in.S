# Where too little stands before the syscall, the instruction behind it is displaced too. It runs
# behind the call, and the stub jumps to the window's end.
#include "golden.h"
        .text
        function _start
        mov     $39, %al
        syscall
        mov     %eax, %ecx
        ret
        end     _start
