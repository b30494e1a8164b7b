# --no-native-tail emits no syscall instruction: resume sets rcx at once.
# options: --no-native-tail
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
