# The loader writes a relocation into the instruction before the syscall, over whatever jump stood
# there: that instruction is left alone. The syscall behind the eight bytes that it writes is not.
# link: -shared -Wl,-z,notext
#include "golden.h"
        .text
        function work
        movabs  $work, %rax
        syscall
        ret
        end     work
