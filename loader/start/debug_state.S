// Where a debugger sets the breakpoint by which it learns of libraries (debugger.h).
#include "loader/label.inc"

        .section .note.GNU-stack, "", @progbits
        .text

        .p2align 4
        .type   _dl_debug_state, @function
        .globl  _dl_debug_state
        .hidden _dl_debug_state
_dl_debug_state:
        LABEL   sysload_debug_state
        ret
        .size   _dl_debug_state, . - _dl_debug_state
