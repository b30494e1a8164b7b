/* A call among GHC's code: without it a dynamic program has none of its own. */
long asked_directly(void) {
  long result;
  __asm__ volatile("mov $39, %%eax; syscall" : "=a"(result) : : "rcx", "r11", "memory");
  return result;
}
