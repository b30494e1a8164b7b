/* A library OS of its own: no hook, but the slot itself.
 *
 * A rewritten file has a trampoline, whose first 8 bytes are the slot: the address of the callback
 * that every stub enters. sysload fills it with its own; who loads programs himself fills it with
 * his. This host opens a rewritten library, fills the slot, and answers getpid for it:
 *
 *     cc -O2 -shared -fPIC -o guest.so loader/examples/guest.c
 *     sysrewrite guest.so guest.rewritten.so
 *     cc -O2 -mgeneral-regs-only -o raw_slot loader/examples/raw_slot.c -ldl
 *     ./raw_slot ./guest.rewritten.so
 *
 * trampoline/layout.h and docs/format.md say what stands where. A real host checks the checksum,
 * has a stack for each thread, and places trampolines itself; see loader/image_map.cc.
 */
#define _GNU_SOURCE
#include <asm/unistd.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

/* --- The callback -----------------------------------------------------------------------------
 *
 *   in    rcx = resume; rsp 128 lower than the program's; all else, flags too, the program's
 *   out   answered: to resume, rsp the program's, rax = result, r11 = flags, all else as it was
 *         passed: to resume + 2, the stub's own system call, with everything as it came in
 *
 * It may use rcx and r11 and nothing else until it has a stack. This one has one for all threads,
 * so the guest must have one thread.
 */
struct call {
  uint64_t number, argument[6];
  int64_t result; /* where it is answered */
};

__attribute__((used)) static int answer(struct call* call) {
  if (call->number != __NR_getpid) return 0;
  call->result = 42;
  return 1;
}

__asm__(
    "    .local  callback_stack, callback_rsp, callback_resume\n"
    "    .comm   callback_stack, 65536, 16\n"
    "    .comm   callback_rsp, 8, 8\n"
    "    .comm   callback_resume, 8, 8\n"
    "    .text\n"
    "callback:\n"
    "    mov     %rcx, callback_resume(%rip)\n"
    "    mov     %rsp, callback_rsp(%rip)\n"
    "    lea     callback_stack+65536(%rip), %rsp\n"
    "    pushfq\n"
    "    push    %rax\n" /* room for the result */
    "    push    %r9\n"
    "    push    %r8\n"
    "    push    %r10\n"
    "    push    %rdx\n"
    "    push    %rsi\n"
    "    push    %rdi\n"
    "    push    %rax\n"
    "    mov     %rsp, %rdi\n"
    "    sub     $8, %rsp\n" /* calls want rsp a multiple of 16 */
    "    cld\n"
    "    call    answer\n"
    "    lea     8(%rsp), %rsp\n"
    "    test    %eax, %eax\n" /* pop and mov leave flags alone */
    "    pop     %rax\n"
    "    pop     %rdi\n"
    "    pop     %rsi\n"
    "    pop     %rdx\n"
    "    pop     %r10\n"
    "    pop     %r8\n"
    "    pop     %r9\n"
    "    jz      1f\n"
    "    pop     %rax\n"
    "    mov     (%rsp), %r11\n"
    "    popfq\n"
    "    mov     callback_rsp(%rip), %rsp\n"
    "    lea     128(%rsp), %rsp\n"
    "    mov     callback_resume(%rip), %rcx\n"
    "    jmp     *%rcx\n"
    "1:  lea     8(%rsp), %rsp\n"
    "    popfq\n"
    "    mov     callback_rsp(%rip), %rsp\n"
    "    mov     callback_resume(%rip), %rcx\n"
    "    lea     2(%rcx), %rcx\n"
    "    jmp     *%rcx\n");
void callback(void);

/* --- The host --------------------------------------------------------------------------------- */

static void die(const char* why) {
  fprintf(stderr, "raw_slot: %s\n", why);
  exit(1);
}

/* The last 32 bytes of a rewritten file: struct Trailer of trampoline/layout.h. */
struct trailer {
  char magic[8];
  uint64_t offset, vaddr, size;
};

/* Maps slot and stubs where the library's jumps lead, and fills the slot. */
static void fill_slot(const char* path, uint64_t base) {
  struct trailer trailer;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const off_t end = fd < 0 ? -1 : lseek(fd, -(off_t)sizeof(trailer), SEEK_END);
  char* slot;
  if (end < 0 || pread(fd, &trailer, sizeof(trailer), end) != sizeof(trailer)) die("cannot read it");
  if (memcmp(trailer.magic, "SYSRWT01", 8) != 0) die("it was not rewritten");
  if (trailer.size == 0) return; /* looked at, and there is no site */
  if (trailer.size <= PAGE || trailer.offset > (uint64_t)end ||
      trailer.size > (uint64_t)end - trailer.offset)
    die("its trailer is damaged");
  slot = mmap((void*)(base + trailer.vaddr), PAGE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, (off_t)trailer.offset);
  if (slot == MAP_FAILED) die("there is no room for its trampoline");
  *(void (**)(void))slot = callback;
  if (mprotect(slot, PAGE, PROT_READ) != 0 ||
      mmap(slot + PAGE, trailer.size - PAGE, PROT_READ | PROT_EXEC,
           MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, (off_t)trailer.offset + PAGE) == MAP_FAILED)
    die("cannot map its stubs");
  close(fd);
}

int main(int argc, char** argv) {
  void* library;
  struct link_map* map;
  long (*guest)(void);
  if (argc != 2) die("usage: raw_slot REWRITTEN-LIBRARY");
  library = dlopen(argv[1], RTLD_NOW);
  if (library == NULL || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) die(dlerror());
  fill_slot(argv[1], map->l_addr);
  *(void**)&guest = dlsym(library, "guest");
  if (guest == NULL) die(dlerror());
  printf("the guest is process %ld\n", guest());
  return 0;
}
