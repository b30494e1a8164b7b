// From the machine into a function under test, with every register as it is told, and back, with
// every register kept. The function's own stack pointer may be anything, so nothing is pushed there.
#include "tests/differential/state.h"

#define IN differential_in(%rip)
#define OUT differential_out(%rip)
#define SYS_ARCH_PRCTL 158
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003

#define LOW 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define HIGH 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
#define MASKS 0, 1, 2, 3, 4, 5, 6, 7

.macro each do, numbers:vararg
  .irp n, \numbers
    \do \n
  .endr
.endm
.macro load_zmm n
  vmovdqu64 differential_in + DIFFERENTIAL_VECTORS + 64 * \n(%rip), %zmm\n
.endm
.macro save_zmm n
  vmovdqu64 %zmm\n, differential_out + DIFFERENTIAL_VECTORS + 64 * \n(%rip)
.endm
.macro load_mask n
  kmovq differential_in + DIFFERENTIAL_MASKS + 8 * \n(%rip), %k\n
.endm
.macro save_mask n
  kmovq %k\n, differential_out + DIFFERENTIAL_MASKS + 8 * \n(%rip)
.endm
.macro load_ymm n
  vmovdqu differential_in + DIFFERENTIAL_VECTORS + 64 * \n(%rip), %ymm\n
.endm
.macro load_xmm n
  movdqu differential_in + DIFFERENTIAL_VECTORS + 64 * \n(%rip), %xmm\n
.endm
.macro save_ymm n
  vmovdqu %ymm\n, differential_out + DIFFERENTIAL_VECTORS + 64 * \n(%rip)
.endm
.macro save_xmm n
  movdqu %xmm\n, differential_out + DIFFERENTIAL_VECTORS + 64 * \n(%rip)
.endm

  .text
  .globl differential_run
  .type differential_run, @function
differential_run:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  lea host_fs(%rip), %rsi
  mov $ARCH_GET_FS, %edi
  mov $SYS_ARCH_PRCTL, %eax
  syscall
  mov differential_segment_base(%rip), %rsi
  mov $ARCH_SET_GS, %edi
  mov $SYS_ARCH_PRCTL, %eax
  syscall
  mov $ARCH_SET_FS, %edi
  mov $SYS_ARCH_PRCTL, %eax
  syscall
  ldmxcsr differential_in + DIFFERENTIAL_MXCSR(%rip)
  cmpb $1, differential_width(%rip)
  jb 1f
  je 3f
  each load_zmm, LOW
  each load_zmm, HIGH
  each load_mask, MASKS
  jmp 2f
3:
  each load_ymm, LOW
  jmp 2f
1:
  each load_xmm, LOW
2:
  push differential_in + DIFFERENTIAL_FLAGS(%rip)
  lea 8(%rsp), %rax
  mov %rax, host_rsp(%rip)
  mov differential_in + 8 * 0(%rip), %rax
  mov differential_in + 8 * 1(%rip), %rcx
  mov differential_in + 8 * 2(%rip), %rdx
  mov differential_in + 8 * 3(%rip), %rbx
  mov differential_in + 8 * 5(%rip), %rbp
  mov differential_in + 8 * 6(%rip), %rsi
  mov differential_in + 8 * 7(%rip), %rdi
  mov differential_in + 8 * 8(%rip), %r8
  mov differential_in + 8 * 9(%rip), %r9
  mov differential_in + 8 * 10(%rip), %r10
  mov differential_in + 8 * 11(%rip), %r11
  mov differential_in + 8 * 12(%rip), %r12
  mov differential_in + 8 * 13(%rip), %r13
  mov differential_in + 8 * 14(%rip), %r14
  mov differential_in + 8 * 15(%rip), %r15
  popfq
  mov differential_in + 8 * 4(%rip), %rsp
  jmp *differential_entry(%rip)
  .size differential_run, . - differential_run

  .globl differential_leave
  .type differential_leave, @function
differential_leave:
  mov %rax, differential_out + 8 * 0(%rip)
  mov %rcx, differential_out + 8 * 1(%rip)
  mov %rdx, differential_out + 8 * 2(%rip)
  mov %rbx, differential_out + 8 * 3(%rip)
  mov %rsp, differential_out + 8 * 4(%rip)
  mov %rbp, differential_out + 8 * 5(%rip)
  mov %rsi, differential_out + 8 * 6(%rip)
  mov %rdi, differential_out + 8 * 7(%rip)
  mov %r8, differential_out + 8 * 8(%rip)
  mov %r9, differential_out + 8 * 9(%rip)
  mov %r10, differential_out + 8 * 10(%rip)
  mov %r11, differential_out + 8 * 11(%rip)
  mov %r12, differential_out + 8 * 12(%rip)
  mov %r13, differential_out + 8 * 13(%rip)
  mov %r14, differential_out + 8 * 14(%rip)
  mov %r15, differential_out + 8 * 15(%rip)
  mov host_rsp(%rip), %rsp
  pushfq
  popq differential_out + DIFFERENTIAL_FLAGS(%rip)
  cld
  stmxcsr differential_out + DIFFERENTIAL_MXCSR(%rip)
  ldmxcsr default_mxcsr(%rip)
  cmpb $1, differential_width(%rip)
  jb 1f
  je 3f
  each save_zmm, LOW
  each save_zmm, HIGH
  each save_mask, MASKS
  vzeroupper
  jmp 2f
3:
  each save_ymm, LOW
  vzeroupper
  jmp 2f
1:
  each save_xmm, LOW
2:
  mov host_fs(%rip), %rsi
  mov $ARCH_SET_FS, %edi
  mov $SYS_ARCH_PRCTL, %eax
  syscall
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
  .size differential_leave, . - differential_leave

  .section .rodata
  .balign 4
default_mxcsr: .long 0x1f80

  .bss
  .balign 64
  .globl differential_in, differential_out, differential_entry, differential_segment_base
  .globl differential_width
differential_in: .skip DIFFERENTIAL_MASKS + 8 * 8
differential_out: .skip DIFFERENTIAL_MASKS + 8 * 8
differential_entry: .skip 8
differential_segment_base: .skip 8
host_rsp: .skip 8
host_fs: .skip 8
differential_width: .skip 8

  .section .note.GNU-stack, "", @progbits
