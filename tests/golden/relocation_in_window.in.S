# The loader writes a relocation into the instruction before the syscall, over whatever jump stood
# there: that instruction is left alone, and so is the syscall, since the relocation's width is not
# known.
# link: -shared -Wl,-z,notext
#include "golden.h"
        .text
        function work
        movabs  $work, %rax
        syscall
        ret
        end     work
