// Constants that are made of what padding is made of, right behind the code, read through a
// register or by an address that counts from elsewhere: only a symbol of theirs, or the section
// headers, say what they are.
  .text
  .globl _start
  .type _start, @function
  .p2align 6
_start:
  .cfi_startproc
  lea _start(%rip), %rsi
  mov masks - _start(%rsi), %rdi
  add masks + 8 - _start(%rsi), %rdi
  movabs $0x9999999999999998, %rcx
  mov $1, %ebx
  cmp %rcx, %rdi
  jne .Lleave
  mov $1, %eax
  mov $1, %edi
  lea text(%rip), %rsi
  mov $3, %edx
  syscall
  xor %ebx, %ebx
  .p2align 4
.Lleave:                // 16 bytes, so that nothing is filled up behind them
  mov %ebx, %edi
  test %rdi, %rdi
  lea 0x11(%rax), %rax
  push $60
  pop %rax
  syscall
  ud2
  .cfi_endproc
  .size _start, . - _start
#ifdef IN_A_SECTION
  .section .rodata
#else
  .type masks, @object
#endif
  .p2align 3, 0xcc
masks:
  .quad 0xcccccccccccccccc, 0xcccccccccccccccc
  .size masks, . - masks
text:
  .ascii "ok\n"
