// A syscall behind a prefix, with dead padding in reach; one case enters it behind the prefix.
  .text
  .globl op
  .type op, @function
op:
  .cfi_startproc
  cmp $2, %edi
  je .Lother
  mov $39, %eax
  test %edi, %edi
  jnz .Lbare
  .byte 0x66
.Lbare:
  syscall
  ret
  .balign 16, 0xcc
.Lother:
  mov $-2, %rax
  ret
  .cfi_endproc
  .size op, . - op
