# site: N: a relocation applies to the window
# exit: 3
#include "golden.h"
        .text
        movabs  $0, %rax
        syscall
        ret
