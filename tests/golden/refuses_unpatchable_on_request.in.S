# --on-unpatchable=fail refuses a file with a site that no jump fits.
# options: --on-unpatchable=fail
#include "golden.h"
        .text
        function _start
        endbr64
        syscall
        ret
        end     _start
