# What every golden pair needs: function bounds for the input, stubs for the output.

        .macro function name
        .globl  \name
        .type   \name, @function
\name:
        .endm

        .macro end name
        .size   \name, . - \name
        .endm

# One landing pad, of a call of two bytes; the function says .cfi_lsda 0x1b, .Llsda
        .macro  landing_pad function, call, pad
        .section .gcc_except_table, "a"
.Llsda: .byte   0xff                    # pads count from the function
        .byte   0xff                    # no types
        .byte   0x01                    # call sites in uleb128
        .uleb128 .Lend - .Lbegin
.Lbegin:
        .uleb128 \call - \function
        .uleb128 2
        .uleb128 \pad - \function
        .uleb128 0
.Lend:
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
