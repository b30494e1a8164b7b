# A thunk jumps by its ret, and the function itself has no indirect jump; the label that it takes says
# enough.
#include "golden.h"
        .text
        function _start
        movslq  table(,%rdi,4), %rax
        lea     .Lbase(%rip), %rdx
        add     %rdx, %rax
        jmp     thunk
.Lbase: mov     %rdi, %rsi
.Lone:  mov     $39, %al
        syscall
        ret
        end     _start
        function thunk
        push    %rax
        ret
        end     thunk

        .section .rodata
        .globl  table
table:  .long   0, .Lone - .Lbase
