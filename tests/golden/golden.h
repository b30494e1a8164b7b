# What every golden pair needs: function bounds for the input, stubs for the output.

        .macro function name
        .globl  \name
        .type   \name, @function
\name:
        .endm

        .macro end name
        .size   \name, . - \name
        .endm

# --- For RULE.out.S: the trampoline of a file in the sysrewrite format ------------------------------

        .macro poison
        .byte   0xf1, 0xf4              # icebp; hlt
        .endm

        .macro trampoline
        .section .trampoline, "ax", @progbits
slot:   .quad   0
        .org    4096, 0
        .endm

        .macro end_trampoline
        .p2align 12, 0xcc
        .endm

# The part of a stub that is the same in all of them. `after`: the label behind the syscall.
        .macro core after
1:      lea     -0x80(%rsp), %rsp
        lea     2f(%rip), %rcx
        lea     1b(%rip), %r11
        jmp     *slot(%rip)
2:      jmp     3f
        lea     0x80(%rsp), %rsp
        syscall
3:      lea     \after(%rip), %rcx
        .endm
