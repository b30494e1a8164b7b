# Something stands behind the last segment and section: a program that finds it from the file's end
# would miss it.
# append: hsqs and what AppImage keeps there
#include "golden.h"
        .text
        function _start
        mov     $39, %eax
        syscall
        ret
        end     _start
