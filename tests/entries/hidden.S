// The constant of a `test` holds two instructions, to which a branch leads: the number of getpid, for
// who comes by the branch, and the caller's, for who does not.
  .text
  .globl op
  .type op, @function
op:
  .cfi_startproc
  cmp $2, %edi
  je .Lother
  mov %rsi, %rax
  test %edi, %edi
  jz .Lskip + 1
.Lskip:
  .byte 0xa9                           // test $imm32, %eax
  xchg %ax, %ax
  mov $39, %al
  syscall
  ret
.Lother:
  mov $-2, %rax
  ret
  .cfi_endproc
  .size op, . - op
