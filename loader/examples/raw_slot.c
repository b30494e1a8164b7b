/* A library OS of its own: no hook, but the slot itself.
 *
 * A rewritten file has a trampoline, whose first 8 bytes are the slot: the address of the callback
 * that every stub enters. sysload fills it with its own; who loads programs himself fills it with
 * his. This host maps a small program, fills the slot, and answers getpid for it:
 *
 *     cc -O2 -fPIE -static-pie -nostdlib -e guest -o guest loader/examples/guest.c
 *     sysrewrite --no-interp guest guest.rewritten
 *     cc -O2 -mgeneral-regs-only -o raw_slot loader/examples/raw_slot.c
 *     ./raw_slot guest.rewritten
 *
 * trampoline/layout.h and docs/format.md say what stands where. A real host also checks the
 * checksum, relocates, and has a stack for each thread; see loader/start/image_map.cc.
 */
#define _GNU_SOURCE
#include <asm/unistd.h>
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

static const char* file;
static uint64_t file_size;
static int file_fd;

static void open_file(const char* path) {
  struct stat status;
  file_fd = open(path, O_RDONLY | O_CLOEXEC);
  if (file_fd < 0 || fstat(file_fd, &status) != 0) die("cannot open it");
  file_size = (uint64_t)status.st_size;
  if (file_size < sizeof(Elf64_Ehdr) + sizeof(struct trailer)) die("it is too small");
  file = mmap(NULL, file_size, PROT_READ, MAP_PRIVATE, file_fd, 0);
  if (file == MAP_FAILED) die("cannot map it");
}

/* A part of the file at an address that we have reserved. */
static char* map_part(uint64_t address, uint64_t size, int protection, uint64_t offset) {
  const uint64_t before = address % PAGE;
  char* start = (char*)(address - before);
  if (size > file_size || offset > file_size - size || offset % PAGE != before)
    die("it is damaged");
  if (mmap(start, before + size, protection, MAP_PRIVATE | MAP_FIXED, file_fd,
           (off_t)(offset - before)) != start)
    die("cannot map a part of it");
  return start;
}

static int protection_of(const Elf64_Phdr* segment) {
  return (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
         (segment->p_flags & PF_X ? PROT_EXEC : 0);
}

/* Slot and stubs, where the program's jumps lead. The slot's page never becomes executable, and the
 * stubs are never writable. */
static void map_trampoline(const struct trailer* trailer, uint64_t bias) {
  char* slot = map_part(trailer->vaddr + bias, PAGE, PROT_READ | PROT_WRITE, trailer->offset);
  *(void (**)(void))slot = callback;
  if (mprotect(slot, PAGE, PROT_READ) != 0) die("cannot protect the slot");
  map_part(trailer->vaddr + bias + PAGE, trailer->size - PAGE, PROT_READ | PROT_EXEC,
           trailer->offset + PAGE);
}

/* Reserves what program and trampoline take together, 16 MiB to either side of address 0 of the
 * file, and maps both. Returns what is to be added to the file's addresses. */
static uint64_t map_program(const Elf64_Ehdr* header, const struct trailer* trailer) {
  const uint64_t reach = 16 << 20;
  const Elf64_Phdr* segments = (const Elf64_Phdr*)(file + header->e_phoff);
  char* room = mmap(NULL, 2 * reach, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const uint64_t bias = (uint64_t)room + reach;
  if (room == MAP_FAILED) die("no memory");
  for (int i = 0; i < header->e_phnum; ++i) {
    if (segments[i].p_type != PT_LOAD || segments[i].p_memsz == 0) continue;
    if (segments[i].p_vaddr >= reach || segments[i].p_memsz > reach - segments[i].p_vaddr ||
        segments[i].p_filesz != segments[i].p_memsz)
      die("this host maps no such segment");
    map_part(segments[i].p_vaddr + bias, segments[i].p_filesz, protection_of(&segments[i]),
             segments[i].p_offset);
  }
  if (trailer->size == 0) return bias; /* looked at, and there is no system call in it */
  /* Its address may be a "negative" one; the sum wraps to where it belongs. */
  if (trailer->size <= PAGE || trailer->size > reach ||
      trailer->vaddr + reach > 2 * reach - trailer->size)
    die("its trampoline is out of reach");
  map_trampoline(trailer, bias);
  return bias;
}

int main(int argc, char** argv) {
  Elf64_Ehdr header;
  struct trailer trailer;
  long (*guest)(void);
  if (argc != 2) die("usage: raw_slot PROGRAM");
  open_file(argv[1]);
  memcpy(&header, file, sizeof(header));
  memcpy(&trailer, file + file_size - sizeof(trailer), sizeof(trailer));
  if (memcmp(trailer.magic, "SYSRWT01", 8) != 0) die("it was not rewritten");
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_type != ET_DYN ||
      header.e_phoff > file_size ||
      header.e_phnum * sizeof(Elf64_Phdr) > file_size - header.e_phoff)
    die("it is no position-independent program");
  guest = (long (*)(void))(map_program(&header, &trailer) + header.e_entry);
  printf("the guest is process %ld\n", guest());
  return 0;
}
