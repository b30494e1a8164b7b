// long call_with_state(struct state *before, struct state *after, long number, long first)
//
// Loads all of `before` into the registers, makes the system call, and stores what is then in them into
// `after`. Flags, too, with DF and AC where `before` has them. The 128 bytes below rsp are filled from
// `before` and read back.
//
//   offsets  0 rax (answer), 8 rbx, 16 rcx, 24 rdx, 32 rsi, 40 rdi, 48 rbp, 56 r8 ... 112 r15, 120 flags,
//            128 rsp, 136 mxcsr, 144 x87 control, 160 red zone (128), 320 vectors (32 of 64 bytes),
//            2368 masks (8 of 8 bytes), 2432 wide: 0 xmm, 1 ymm, 2 zmm
        .section .note.GNU-stack, "", @progbits
        .text
        .globl  call_with_state
        .type   call_with_state, @function
call_with_state:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $152, %rsp
        movq    %rsi, saved_after(%rip)
        movq    %rdi, saved_before(%rip)
        movq    %rdi, %rax
        movq    %rdx, 0(%rax)
        movq    %rcx, 40(%rax)
        leaq    -128(%rsp), %rdi
        leaq    160(%rax), %rsi
        movl    $16, %ecx
        cld
        rep movsq
        ldmxcsr 136(%rax)
        fldcw   144(%rax)
        movl    2432(%rax), %ecx
        cmpl    $1, %ecx
        ja      1f
        je      2f
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movups  320+64*\n(%rax), %xmm\n
        .endr
        jmp     3f
2:
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovups 320+64*\n(%rax), %ymm\n
        .endr
        jmp     3f
1:
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovups 320+64*\n(%rax), %zmm\n
        .endr
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   2368+8*\n(%rax), %k\n
        .endr
3:
        movq    8(%rax), %rbx
        movq    24(%rax), %rdx
        movq    32(%rax), %rsi
        movq    40(%rax), %rdi
        movq    48(%rax), %rbp
        movq    56(%rax), %r8
        movq    64(%rax), %r9
        movq    72(%rax), %r10
        movq    88(%rax), %r12
        movq    96(%rax), %r13
        movq    104(%rax), %r14
        movq    112(%rax), %r15
        movq    %rsp, saved_rsp(%rip)
        leaq    -256(%rsp), %rsp
        pushq   120(%rax)
        movq    0(%rax), %rax
        popfq
        leaq    256(%rsp), %rsp
        syscall
        .globl  behind_call
behind_call:
        movq    %rsp, found_rsp(%rip)
        movq    %rax, found_rax(%rip)
        leaq    -256(%rsp), %rsp
        pushfq
        popq    found_flags(%rip)
        pushq   $0x202
        popfq
        leaq    256(%rsp), %rsp
        movq    saved_after(%rip), %rax
        movq    %rbx, 8(%rax)
        movq    %rcx, 16(%rax)
        movq    %rdx, 24(%rax)
        movq    %rsi, 32(%rax)
        movq    %rdi, 40(%rax)
        movq    %rbp, 48(%rax)
        movq    %r8, 56(%rax)
        movq    %r9, 64(%rax)
        movq    %r10, 72(%rax)
        movq    %r11, 80(%rax)
        movq    %r12, 88(%rax)
        movq    %r13, 96(%rax)
        movq    %r14, 104(%rax)
        movq    %r15, 112(%rax)
        movq    found_flags(%rip), %rcx
        movq    %rcx, 120(%rax)
        movq    found_rsp(%rip), %rcx
        subq    saved_rsp(%rip), %rcx
        movq    %rcx, 128(%rax)
        movq    saved_rsp(%rip), %rsp
        stmxcsr 136(%rax)
        fnstcw  144(%rax)
        movq    saved_before(%rip), %rdx
        movl    2432(%rdx), %ecx
        cmpl    $1, %ecx
        ja      1f
        je      2f
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movups  %xmm\n, 320+64*\n(%rax)
        .endr
        jmp     3f
2:
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovups %ymm\n, 320+64*\n(%rax)
        .endr
        vzeroupper
        jmp     3f
1:
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovups %zmm\n, 320+64*\n(%rax)
        .endr
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   %k\n, 2368+8*\n(%rax)
        .endr
        vzeroupper
3:
        leaq    160(%rax), %rdi
        leaq    -128(%rsp), %rsi
        movl    $16, %ecx
        rep movsq
        movl    $0x1f80, -4(%rsp)
        ldmxcsr -4(%rsp)
        fninit
        movq    found_rax(%rip), %rax
        addq    $152, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

        .bss
        .balign 8
saved_after:    .skip 8
saved_before:   .skip 8
saved_rsp:      .skip 8
found_rsp:      .skip 8
found_rax:      .skip 8
found_flags:    .skip 8
