// What the slot points at while the patched code runs. On entry (trampoline/stub.cc) rcx = resume,
// in redzone stubs rsp is 128 lower and r11 = enter; everything else is the program's. So these
// push nothing and change no flag; rcx and r11 are free once they have been used.
#include "trampoline/layout.h"

// The number of calls, without touching a flag.
.macro count
  mov differential_calls(%rip), %r11
  lea 1(%r11), %r11
  mov %r11, differential_calls(%rip)
.endm

.macro callback name
  .globl \name
  .type \name, @function
\name:
.endm

  .text
// Passes: the call is made by the stub's native tail.
callback differential_pass
  count
  lea SYSREWRITE_TAIL_FROM_RESUME(%rcx), %rcx
  jmp *%rcx

// Has every call issued again, from where r11 says, once; then passes.
callback differential_restart
  jmp *next_step(%rip)
first_time:
  lea second_time(%rip), %rcx
  mov %rcx, next_step(%rip)
  lea SYSREWRITE_RED_ZONE(%rsp), %rsp
  jmp *%r11
second_time:
  lea first_time(%rip), %r11
  mov %r11, next_step(%rip)
  jmp differential_pass

// The same by the other address that callbacks of LiteBox use: the indirect jump before resume.
callback differential_restart_by_rcx
  jmp *next_step_by_rcx(%rip)
first_time_by_rcx:
  lea second_time_by_rcx(%rip), %r11
  mov %r11, next_step_by_rcx(%rip)
  lea -6(%rcx), %r11
  jmp *%r11
second_time_by_rcx:
  lea first_time_by_rcx(%rip), %r11
  mov %r11, next_step_by_rcx(%rip)
  jmp differential_pass

// Answers with what the kernel says to the same call, made here.
callback differential_answer
  count
  mov %rcx, kept_rcx(%rip)
  lea SYSREWRITE_RED_ZONE(%rsp), %rsp
  syscall
  .globl differential_answer_issued
differential_answer_issued:
  jmp *kept_rcx(%rip)

callback differential_answer_plain
  count
  mov %rcx, kept_rcx(%rip)
  syscall
  .globl differential_answer_plain_issued
differential_answer_plain_issued:
  jmp *kept_rcx(%rip)

// Some that are wrong, for the test of the machine itself.
callback differential_break_flags
  stc
  jmp differential_pass

callback differential_break_red_zone
  movq $0, SYSREWRITE_RED_ZONE - 8(%rsp)
  jmp differential_pass

callback differential_break_vector
  vmovdqa %xmm15, %xmm15
  jmp differential_pass

callback differential_break_high_vector
  vpxord %zmm31, %zmm31, %zmm31
  jmp differential_pass

callback differential_break_mask
  kxorq %k5, %k5, %k5
  jmp differential_pass

callback differential_break_rounding
  stmxcsr kept_mxcsr(%rip)
  xorl $0x2000, kept_mxcsr(%rip)
  ldmxcsr kept_mxcsr(%rip)
  jmp differential_pass

  .data
  .balign 8
  .globl differential_calls
next_step: .quad first_time
next_step_by_rcx: .quad first_time_by_rcx
kept_rcx: .quad 0
kept_mxcsr: .quad 0
differential_calls: .quad 0

  .section .note.GNU-stack, "", @progbits
