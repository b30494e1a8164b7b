// Code in a segment that may be written: it puts the number into the instruction in front of one
// system call, and compares the bytes of another.
  .section .both, "awx", @progbits
  .globl _start
  .type _start, @function
_start:
  .cfi_startproc
  movl $39, .Lnumber + 1(%rip)
.Lnumber:
  mov $0, %eax
  syscall
  mov %eax, %ebx
  movzwl .Lpair(%rip), %esi
  mov $1, %edi
  cmp $0x050f, %esi
  jne .Lleave
  mov $39, %eax
.Lpair:
  syscall
  mov $2, %edi
  cmp %eax, %ebx
  jne .Lleave
  mov $1, %eax
  mov $1, %edi
  lea .Ltext(%rip), %rsi
  mov $3, %edx
  syscall
  xor %edi, %edi
.Lleave:
  mov $60, %eax
  syscall
  hlt
  .cfi_endproc
  .size _start, . - _start

  .section .rodata
.Ltext:
  .ascii "ok\n"
