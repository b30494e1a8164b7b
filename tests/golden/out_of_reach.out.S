# site: N: the trampoline is out of the reach of a jmp rel32
# exit: 3
#include "golden.h"
        .text
        ret
