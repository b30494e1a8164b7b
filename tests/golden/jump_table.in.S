# A function with an indirect jump may enter any of its own instructions through a table that no
# scan reads: no window in it holds more than one instruction before its syscall.
#include "golden.h"
        .text
        function _start
        jmp     *table(, %rdi, 8)
.Lone:  mov     %rdi, %rsi
.Ltwo:  mov     $39, %al
        syscall
        ret
        end     _start

        .section .rodata
        .globl  table
table:  .quad   .Lone, .Ltwo
