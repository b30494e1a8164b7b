// Sites of every shape in functions that say how to unwind them. No alignment anywhere: padding
// would give each a springboard.
        .macro  function name
        .globl  \name
        .type   \name, @function
\name:  .cfi_startproc
        .endm
        .macro  done name
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .text
        function _start
        .cfi_undefined %rip
        xor     %ebp, %ebp
        call    main
        mov     %eax, %edi
        mov     $231, %eax
        syscall
        hlt
        done    _start

        function main
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        call    covered
        call    sprung
        call    windowed
        call    lowers
        call    behind
        call    expressed
        xor     %eax, %eax
        leave
        .cfi_def_cfa %rsp, 8
        ret
        done    main

// A, in the middle of a frame.
        function covered
        sub     $24, %rsp
        .cfi_def_cfa_offset 32
        mov     $39, %eax
        syscall
        add     $24, %rsp
        .cfi_def_cfa_offset 8
        ret
        done    covered

// Out of reach of the padding below.
        function filler
        .rept   80
        mov     %eax, %eax
        .endr
        ret
        done    filler

// C: the instructions before the syscall.
        function windowed
        push    %rbx
        .cfi_def_cfa_offset 16
        .cfi_offset %rbx, -16
        xor     %eax, %eax
        mov     $39, %al
        syscall
        pop     %rbx
        .cfi_def_cfa_offset 8
        .cfi_restore %rbx
        ret
        done    windowed

// A: the displaced instruction lowers the stack pointer.
        function lowers
        mov     $39, %eax
        lea     -40(%rsp), %rsp
        .cfi_def_cfa_offset 48
        syscall
        add     $40, %rsp
        .cfi_def_cfa_offset 8
        ret
        done    lowers

// C, behind the syscall, since a jump leads to it; with a frame pointer.
        function behind
        push    %rbx
        .cfi_def_cfa_offset 16
        .cfi_offset %rbx, -16
        mov     %rsp, %rbx
        .cfi_def_cfa_register %rbx
        xor     %eax, %eax
        mov     $39, %al
        jmp     1f
1:      syscall
        mov     %eax, %edi
        xor     %edi, %edi
        pop     %rbx
        .cfi_def_cfa %rsp, 8
        .cfi_restore %rbx
        ret
        done    behind

// A, and its rules are expressions: the frame begins where the word on the stack says.
        function expressed
        sub     $8, %rsp
        .cfi_def_cfa_offset 16
        lea     16(%rsp), %rax
        mov     %rax, (%rsp)
        .cfi_escape 0x0f, 3, 0x77, 0, 0x06
        mov     $39, %eax
        syscall
        add     $8, %rsp
        .cfi_def_cfa %rsp, 8
        ret
        done    expressed

        function filler_too
        .rept   80
        mov     %eax, %eax
        .endr
        ret
        done    filler_too

// B: padding stands behind its return.
        function sprung
        push    $39
        .cfi_def_cfa_offset 16
        pop     %rax
        .cfi_def_cfa_offset 8
        syscall
        ret
        done    sprung
        .fill   11, 1, 0xcc
        .p2align 4, 0xcc

        .section .note.GNU-stack, "", @progbits
