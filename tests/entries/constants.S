// Constants that stand among code: nops that are a table, in padding that nothing enters; and the
// number of a system call, of whose instruction the code compares the bytes.
  .text
  .globl _start
  .type _start, @function
_start:
  .cfi_startproc
  xor %ebx, %ebx
  mov $39, %al
  movzbl %al, %eax
  cmp $1, %ebx
.Lcall:
  syscall
  test %ebx, %ebx
  jne .Lcall
  call table
  movabs $0x0000000000841f0f, %rcx
  mov $1, %edi
  cmp %rcx, %rax
  jne .Lleave
  mov .Lnumber(%rip), %esi
  mov $2, %edi
  cmp $0x27b8, %esi
  jne .Lleave
.Lnumber:
  mov $39, %eax
  syscall
  mov $1, %eax
  mov $1, %edi
  lea text(%rip), %rsi
  mov $3, %edx
  syscall
  xor %edi, %edi
.Lleave:
  mov $60, %eax
  syscall
  hlt
  .cfi_endproc
  .size _start, . - _start

  .p2align 4
  .type table, @function
table:
  .cfi_startproc
  mov .Lnops(%rip), %rax
  ret
  .p2align 3, 0x90
.Lnops:
  .byte 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
  .cfi_endproc
  .size table, . - table

  .section .rodata
text:
  .ascii "ok\n"
