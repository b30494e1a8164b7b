# site: A: the instruction before the syscall is 5 bytes or longer and falls through
#include "golden.h"
        .text
        jmp     stub
        poison
after:  ret

        .section .trampoline, "ax", @progbits
slot:   .quad   0                       # the callback's address, filled at load time
        .org    4096, 0                 # a page of its own, which never becomes executable
stub:   mov     $39, %eax               # displaced
enter:  lea     -0x80(%rsp), %rsp       # over the red zone; flags untouched
        lea     resume(%rip), %rcx      # where the callback continues
        lea     enter(%rip), %r11       # where this system call alone is issued again
        jmp     *slot(%rip)             # resume - 6
resume: jmp     done
tail:   lea     0x80(%rsp), %rsp        # resume + 2: the callback passes
        syscall
done:   lea     after(%rip), %rcx       # as the kernel leaves it
        jmp     after
        .p2align 12, 0xcc
