"""Libraries that a program maps, gives back in its own ways, or that are built in unusual ones."""
import os
import subprocess

from comparison import SYSREWRITE, build, check, counts, same, under_run

LIBRARY = r"""
__asm__(".balign 4096\n.skip 4096\n.balign 4096");
long call(void) { long r; __asm__ volatile("mov $39, %%eax; syscall" : "=a"(r) :: "rcx", "r11", "memory"); return r; }
__asm__(".balign 4096\n.skip 4096\n.balign 4096");
long call_behind(void) { long r; __asm__ volatile("mov $39, %%eax; syscall" : "=a"(r) :: "rcx", "r11", "memory"); return r; }
"""

# The library's code: a page of padding, call(), a page of padding, call_behind().
UNMAPS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
enum { PAGE = 4096 };
static long (*call)(void), (*call_behind)(void);
static char *base, *end, *page, *page_behind;
static int mappings(void) {
  FILE* f = fopen("/proc/self/maps", "r"); int n = 0, c;
  while ((c = getc(f)) != EOF) n += c == '\n';
  fclose(f); return n;
}
static void open_library(void) {
  void* library = dlopen("./l.so", RTLD_NOW);
  call = dlsym(library, "call");
  call_behind = dlsym(library, "call_behind");
  Dl_info info; dladdr(call, &info);
  base = info.dli_fbase;
  page = (char*)((uintptr_t)call & -PAGE);
  page_behind = (char*)((uintptr_t)call_behind & -PAGE);
  char line[512];
  FILE* maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps))  // up to the end of what is named l.so
    if (strstr(line, "/l.so") && strtoul(line, 0, 16) >= (uintptr_t)base) end = (char*)strtoul(strchr(line, '-') + 1, 0, 16);
  fclose(maps);
}
static int seal(void) { return syscall(462, base, PAGE, 0) != 0 && errno == ENOSYS; }
static void unmap(const char* what, void* start, size_t size) {
  int answer = munmap(start, size);
  printf("  %s: %d %s\n", what, answer, answer ? strerror(errno) : "");
}
static void calls(void) { printf("  calls %d\n", call() == getpid()); printf("  calls %d\n", call_behind() == getpid()); }
static void way(int i) {
  switch (i) {
    case 0: unmap("size -1", base, -1); return calls();
    case 1: unmap("size 0", base, 0); return calls();
    case 2: unmap("not aligned", base + 1, end - base); return calls();
    case 3: unmap("all but the end", (void*)PAGE, -1); return calls();
    case 4: unmap("beyond the end of memory", 0, 1ul << 47); return calls();
    case 5: seal(); unmap("sealed", base, seal() ? 0 : end - base); return calls();
    case 6: unmap("headers", base, PAGE); return calls();
    case 7: unmap("data", page_behind + PAGE, PAGE); return calls();
    case 8: unmap("up to the call", base, page - base); return calls();
    case 9: unmap("padding", page + PAGE, PAGE); return calls();
    case 10:
      unmap("one call", page, PAGE);
      printf("  calls %d\n", call_behind() == getpid());
      call();
      return;
    case 11:
      unmap("the other call", page_behind, PAGE);
      printf("  calls %d\n", call() == getpid());
      call_behind();
      return;
    case 12: unmap("whole", base, end - base); call(); return;
    default: {
      // Whatever belongs to it goes with the last of its code, in whatever order that goes.
      int before = mappings(), lines = 0;
      open_library();
      if (i == 13) unmap("at once", base, end - base);
      if (i == 14) { unmap("front", base, page + PAGE - base); unmap("back", page + PAGE, end - page - PAGE); }
      if (i == 15) { unmap("back", page_behind, end - page_behind); unmap("front", base, page_behind - base); }
      printf("  left over: %d\n", mappings() - before > 0);
    }
  }
}
int main(int argc, char** argv) {
  setvbuf(stdout, 0, _IONBF, 0);
  mappings();
  for (int i = 0; i < 16; i++) {
    printf("%d\n", i);
    pid_t child = fork();
    if (child == 0) {
      if (i < 13) open_library();
      way(i);
      _exit(0);
    }
    int status; waitpid(child, &status, 0);
    printf("  status %x\n", status & 0x7f ? status & 0x7f : status);
  }
  return 0;
}
"""


def case_memory_of_libraries_given_back(runner):
    """By munmap, which the kernel may refuse, and which may be of a part."""
    def prepare(folder):
        build(folder, "l.so", LIBRARY, "-shared", "-fPIC", "-fno-toplevel-reorder")
        build(folder, "m", UNMAPS, "-ldl", "-w")

    for options in ([], ["--hook", "pass:entry:exit"], ["--exhaustive"]):
        same(runner, ["./m"], prepare=prepare, options=options)


CALLS_ALL = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    void* library = dlopen(argv[i], RTLD_NOW);
    printf("%s: %d\n", argv[i], library ? ((long (*)(void))dlsym(library, "call"))() == getpid() : -1);
  }
  return 0;
}
"""


def case_libraries_with_any_entry_point(runner):
    """Nobody goes there. One that is linked to a fixed address has mostly none, which reads as 0."""
    def prepare(folder):
        build(folder, "far.so", LIBRARY, "-shared", "-fPIC", "-Wl,-e,0x12345678")
        build(folder, "none.so", LIBRARY, "-shared", "-fPIC", "-Wl,-e,0,-Ttext-segment=0x10000000")
        build(folder, "m", CALLS_ALL, "-ldl")

    for options in ([], ["--hook", "pass:entry:exit"]):
        same(runner, ["./m", "./far.so", "./none.so"], prepare=prepare, options=options)


# getpid, by code that ld.so, or a static program's first code, runs to find out where a function is.
EARLY = r"""
static volatile long calls;
static long call(void) {
  long r;
  __asm__ volatile("mov $39, %%eax; syscall" : "=a"(r) :: "rcx", "r11", "memory");
  calls++;
  return r;
}
static void* pick(void) {
  for (int i = 0; i < 1000; i++) call();
  return call;
}
long which(void) __attribute__((ifunc("pick")));
long calls_so_far(void) { return calls; }
"""
BEFORE_MAIN = r"""
#include <stdio.h>
#include <unistd.h>
long which(void), calls_so_far(void);
static long before, in_constructor;
static void first(int argc, char** argv, char** environment) { before = which(); }
__attribute__((section(".preinit_array"), used)) static void (*const at_first)(int, char**, char**) = first;
__attribute__((constructor)) static void second(void) { in_constructor = which(); }
int main(void) {
  const long own = getpid();
  printf("%d %d %d\n", before == own, in_constructor == own, which() == own);
  printf("%ld\n", calls_so_far() + 1);
  return 0;
}
"""


def case_calls_before_constructors(runner):
    """Those of IFUNC resolvers, while nothing is relocated yet, and of .preinit_array."""
    def prepare(folder):
        build(folder, "early.so", EARLY, "-shared", "-fPIC")
        build(folder, "early.o", EARLY, "-c")
        build(folder, "dynamic", BEFORE_MAIN, "-w", os.path.join(folder, "early.so"))
        build(folder, "static", BEFORE_MAIN, "-w", "-static", os.path.join(folder, "early.o"))

    for program in ("./dynamic", "./static"):
        for hook in ("none", "pass:entry:exit"):
            native = same(runner, [program], prepare=prepare, options=["--hook", hook])
        made = int(native.stdout.split()[-1])
        check(made > 1000, str(native))
        outcome = runner.execute(under_run([program], "--hook", "count"), runner.folder(prepare))
        seen = counts(outcome.stderr)[0][1].get("getpid", 0)
        check(outcome.status == 0 and seen == made, f"{program}: {seen} of {made} calls are seen\n{outcome}")


SHIFTS = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
enum { PAGE = 4096 };
int main(void) {
  int right = 0;
  for (int i = 0; i < 1500; i++) {
    // What is mapped next lies a page further down, once there is no smaller hole.
    mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void* library = dlopen("./l.so", RTLD_NOW);
    right += ((long (*)(void))dlsym(library, "call"))() == getpid();
    dlclose(library);
  }
  printf("%d\n", right);
  return 0;
}
"""


def case_large_page_alignment_at_any_page(runner):
    """Where the page lies that ld.so is given decides how much is left behind the library, for its trampoline."""
    def prepare(folder):
        build(folder, "l.so", LIBRARY, "-shared", "-fPIC", "-Wl,-z,max-page-size=0x200000")
        build(folder, "m", SHIFTS, "-ldl")

    same(runner, ["./m"], prepare=prepare)


# Maps as much of a file as its segments span, at a place that is free, with more of it behind or in front.
HINTS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
static size_t span_of(int fd) {
  Elf64_Ehdr header;
  Elf64_Phdr phdrs[64];
  size_t span = 0;
  pread(fd, &header, sizeof header, 0);
  pread(fd, phdrs, sizeof phdrs, header.e_phoff);
  size_t start = phdrs[0].p_vaddr;
  for (int i = header.e_phnum - 1; i >= 0; --i)
    if (phdrs[i].p_type == PT_LOAD) start = phdrs[i].p_vaddr, span = span ? span : start + phdrs[i].p_memsz;
  return span - start;
}
static const char* at(void* asked, void* got) { return got == asked ? "as asked" : "elsewhere"; }
int main(int argc, char** argv) {
  const size_t room = 1 << 20;
  for (int i = 1; i < argc; ++i) {
    const int fd = open(argv[i], O_RDONLY);
    const size_t span = span_of(fd);
    char* free_place = mmap(0, span + 2 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(free_place, span + 2 * room);
    char* asked = free_place + room;
    printf("hint: %s\n", at(asked, mmap(asked, span, PROT_READ, MAP_PRIVATE, fd, 0)));
    printf("taken: %s\n", at(asked, mmap(asked, span, PROT_READ, MAP_PRIVATE, fd, 0)));
    munmap(asked, span);
    printf("not replaced: %s\n",
           at(asked, mmap(asked, span, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0)));
    void* library = dlopen(argv[i], RTLD_NOW);
    Dl_info info;
    dladdr(dlsym(library, "call"), &info);
    printf("by ld.so: %d, %s\n", ((long (*)(void))dlsym(library, "call"))() == getpid(),
           at((void*)0x10000000, info.dli_fbase));
    close(fd);
  }
  return 0;
}
"""


def case_libraries_at_a_hint(runner):
    """A hint is followed where there is room; ld.so gives one for a library with an address of its own."""
    def prepare(folder):
        build(folder, "any.so", LIBRARY, "-shared", "-fPIC")
        build(folder, "own.so", LIBRARY, "-shared", "-fPIC", "-Wl,-Ttext-segment=0x10000000")
        build(folder, "m", HINTS, "-ldl", "-no-pie")

    for options in ([], ["--hook", "pass:entry:exit"]):
        same(runner, ["./m", "./any.so", "./own.so"], prepare=prepare, options=options)


NOEXEC = """
mkdir noexec && mount -t tmpfs -o noexec none noexec || exit 9
cp any.so once.so large.so rewritten.so fixed noexec
for library in any once large rewritten; do
  for i in 1 2 3; do ./m ./noexec/$library.so; done
  ./m ./$library.so
done
/lib64/ld-linux-x86-64.so.2 ./noexec/fixed; echo $?
/lib64/ld-linux-x86-64.so.2 ./fixed; echo $?
"""
OPENS = r"""
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char** argv) { puts(dlopen(argv[1], RTLD_NOW) ? "opened" : dlerror()); return 0; }
"""


def case_libraries_that_may_not_be_code(runner):
    """On a mount with noexec the kernel refuses a library's code, wherever a copy of it lies, and ld.so says so."""
    def prepare(folder):
        for name, flags in (("any", ()), ("once", ("-Wl,-z,noseparate-code",)),
                            ("large", ("-Wl,-z,max-page-size=0x200000",))):
            build(folder, name + ".so", LIBRARY, "-shared", "-fPIC", *flags)
        subprocess.run([SYSREWRITE, "any.so", "rewritten.so"], cwd=folder, check=True, capture_output=True)
        build(folder, "fixed", OPENS, "-ldl", "-no-pie")
        build(folder, "m", OPENS, "-ldl")

    for options in ([], ["--hook", "pass:entry:exit"]):
        native = same(runner, ["unshare", "-m", "sh", "-c", NOEXEC], prepare=prepare, options=options, natives=["/usr/bin/mount: it is setuid"])
        check(native.stdout.count("failed to map segment") == 12, str(native))


# Threads that take whatever is free for a moment, while small holes are filled and libraries come and go.
TAKEN = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
enum { PAGE = 4096, THREADS = 2 };
static volatile int stop;
static void* take(void* unused) {
  while (!stop) {
    void* page = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) munmap(page, PAGE);
  }
  return 0;
}
int main(int argc, char** argv) {
  pthread_t threads[THREADS];
  int right = 0;
  for (int i = 0; i < 3000; i++) mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, take, 0);
  for (int i = 0; i < 4000; i++) {
    void* library = dlopen(argv[1], RTLD_NOW);
    if (!library) return puts(dlerror()), 1;
    right += ((long (*)(void))dlsym(library, "call"))() == getpid();
    dlclose(library);
  }
  stop = 1;
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
  printf("%d\n", right);
  return 0;
}
"""


def case_libraries_while_memory_is_taken(runner):
    """The place of a trampoline is nobody else's at any moment, whichever way the library was given it."""
    def prepare(folder):
        build(folder, "l.so", LIBRARY, "-shared", "-fPIC")
        build(folder, "large.so", LIBRARY, "-shared", "-fPIC", "-Wl,-z,max-page-size=0x200000")
        build(folder, "m", TAKEN, "-ldl", "-pthread")

    for library in ("./l.so", "./large.so"):
        same(runner, ["./m", library], prepare=prepare)
