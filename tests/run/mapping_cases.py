"""ELF files that a program maps: very many, of any alignment, from many threads, and as data."""
import os
import re
import shutil
import subprocess

from comparison import PYTHON, SYSLOAD, SYSREWRITE, build, check, counts, environment, same, under_run

ONE_CALL = r"""
long call_it(void) {
  long answer;
  __asm__ volatile("mov $39, %%eax\n syscall" : "=a"(answer) : : "rcx", "r11");
  return answer;
}
"""

MANY_LIBRARIES = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  int right = 0;
  for (int i = 0; i < 1100; i++) {
    char name[64];
    sprintf(name, "./l%d.so", i);
    void* library = dlopen(name, RTLD_NOW);
    if (library == 0) return puts(dlerror()), 1;
    right += ((long (*)(void))dlsym(library, "call_it"))() == getpid();
  }
  printf("%d\n", right);
}
"""


def case_more_libraries_than_there_is_room_for(runner):
    """Those beyond are native, and said to be."""
    def prepare(folder):
        build(folder, "one", ONE_CALL, "-shared", "-fPIC")
        build(folder, "many", MANY_LIBRARIES)
        for i in range(1100):
            shutil.copy(os.path.join(folder, "one"), os.path.join(folder, f"l{i}.so"))

    folder = runner.folder(prepare)
    outcome = runner.execute(under_run(["./many"]), folder, b"")
    native = [line for line in outcome.stderr.splitlines() if "1024 libraries have a trampoline already" in line]
    check(outcome.status == 0 and outcome.stdout == "1100\n", f"not every library answers\n{outcome}")
    check(70 <= len(native) <= 80 and len(native) == len(outcome.stderr.splitlines()),
          f"{len(native)} are said to be native\n{outcome}")


READS_AS_DATA = r"""
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const int fd = open(argv[i], O_RDONLY);
    struct stat status;
    Elf64_Ehdr header;
    Elf64_Phdr phdrs[64];
    if (fstat(fd, &status) != 0 || pread(fd, &header, sizeof header, 0) != sizeof header) return 1;
    pread(fd, phdrs, sizeof phdrs, header.e_phoff);
    size_t span = 0;
    for (int k = 0; k < header.e_phnum && k < 64; ++k)
      if (phdrs[k].p_type == PT_LOAD) span = phdrs[k].p_vaddr + phdrs[k].p_memsz;
    const size_t size = span < (size_t)status.st_size ? span : (size_t)status.st_size;
    char* read_bytes = malloc(size);
    if (pread(fd, read_bytes, size, 0) != (ssize_t)size) return 2;
    const int flags[] = {MAP_PRIVATE, MAP_PRIVATE | MAP_DENYWRITE};
    const size_t sizes[] = {span, status.st_size};
    for (int k = 0; k < 4; ++k) {
      char* mapped = mmap(0, sizes[k % 2], PROT_READ, flags[k / 2], fd, 0);
      if (mapped == MAP_FAILED) return 3;
      puts(memcmp(mapped, read_bytes, size) == 0 ? "the same" : "different");
      munmap(mapped, sizes[k % 2]);
    }
    close(fd);
  }
  return 0;
}
"""


def case_libraries_read_as_data(runner):
    """Whoever maps as much of a library as ld.so would finds the bytes of the file."""
    libraries = subprocess.run(["ldd", PYTHON], capture_output=True, text=True, check=True).stdout
    paths = re.findall(r"(/\S+)", libraries)
    check(any("libc.so" in path for path in paths), libraries)
    same(runner, ["./reads", *paths], prepare=lambda f: build(f, "reads", READS_AS_DATA))


def foreign_libc(folder):
    """The C library, and the same as a file for no machine: Guile's compiled modules are ELF files of such a kind."""
    build(folder, "reads", READS_AS_DATA, "-static")
    libraries = subprocess.run(["ldd", PYTHON], capture_output=True, text=True, check=True).stdout
    with open(re.search(r"(/\S+/libc\.so\.6)", libraries).group(1), "rb") as file:
        libc = bytearray(file.read())
    for name, machine in ("libc", 62), ("foreign", 0):
        libc[18:20] = machine.to_bytes(2, "little")
        with open(os.path.join(folder, name), "wb") as file:
            file.write(libc)
    subprocess.run([SYSREWRITE, "--interp", SYSLOAD, "reads", "rewritten"], cwd=folder, check=True,
                   capture_output=True, env=environment(folder))


def case_unseen_libraries(runner):
    """Only what ld.so could map is said to be unseen: not what is read as data, nor for another machine."""
    hook = "count:output=/dev/null"
    same(runner, ["./reads", "libc", "foreign"], prepare=foreign_libc, options=("--hook", hook))
    folder = runner.folder(foreign_libc)
    with_hook = environment(folder, {"SYSLOAD_HOOK": hook})
    outcome = runner.execute(["./rewritten", "libc", "foreign"], folder, env=with_hook)
    line = f"sysload: hook: {folder}/libc is not rewritten: its calls are not seen\n"
    check(outcome.status == 0 and outcome.stderr == 2 * line, outcome)


LIBRARY = r"""
#include <unistd.h>
#include <sys/syscall.h>
int answer(void) { return (int)(syscall(SYS_getppid) > 0) + 41; }
long direct(void) { long r; __asm__ volatile("mov $39, %%eax; syscall" : "=a"(r) :: "rcx", "r11", "memory"); return r; }
"""

DLOPENS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static int one(const char* path) {
  void* l = dlopen(path, RTLD_NOW);
  if (!l) { puts(dlerror()); return 1; }
  int bad = ((int (*)(void))dlsym(l, "answer"))() != 42 || ((long (*)(void))dlsym(l, "direct"))() != getpid();
  return dlclose(l) != 0 || bad;
}
static int mappings(void) {
  FILE* f = fopen("/proc/self/maps", "r"); int n = 0, c;
  while ((c = getc(f)) != EOF) n += c == '\n';
  fclose(f); return n;
}
static int rounds; static volatile int stop;
static void* run(void* path) { long bad = 0; for (int i = 0; i < rounds; i++) bad += one(path); return (void*)bad; }
static void* more(void* path) { while (!stop) one(path); return 0; }
int main(int argc, char** argv) {
  rounds = atoi(argv[1]);
  one("./a.so");
  int before = mappings();
  long bad = (long)run("./a.so");
  printf("alone %ld, mappings %s\n", bad, mappings() <= before + 3 ? "given back" : "left");
  char* paths[] = {"./a.so", "./b.so", "./c.so", "./d.so"};
  pthread_t t[4];
  for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, run, paths[i]);
  bad = 0;
  for (int i = 0; i < 4; i++) { void* r; pthread_join(t[i], &r); bad += (long)r; }
  printf("together %ld\n", bad);
  for (int i = 0; i < 2; i++) pthread_create(&t[i], 0, more, paths[i]);
  bad = 0;
  for (int i = 0; i < rounds / 2; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(60);
      if (i % 2) { execl("/bin/sh", "sh", "-c", "exit 3", (char*)0); _exit(9); }
      char* p = malloc(100); free(p); int fds[2]; _exit(pipe(fds) == 0 ? 3 : 4);
    }
    int s; waitpid(child, &s, 0); bad += !WIFEXITED(s) || WEXITSTATUS(s) != 3;
  }
  stop = 1;
  for (int i = 0; i < 2; i++) pthread_join(t[i], 0);
  printf("forks %ld\n", bad);
  return 0;
}
"""


def libraries(folder, *flags):
    for name in "abcd":
        build(folder, name + ".so", LIBRARY, "-shared", "-fPIC", *flags)
    build(folder, "m", DLOPENS, "-pthread", "-ldl")


def case_dlopen_and_fork_from_many_threads(runner):
    same(runner, ["./m", "1000"], prepare=libraries)


def case_large_page_alignment(runner):
    """p_align above a page: ld.so reserves anonymously first, and maps fixed into that."""
    def prepare(folder):
        libraries(folder, "-Wl,-z,max-page-size=0x200000")

    same(runner, ["./m", "50"], prepare=prepare)


def case_calls_of_large_page_aligned_libraries_are_seen(runner):
    source = DLOPENS[:DLOPENS.index("static int mappings")].replace(
        "return dlclose(l) != 0 || bad;",
        "for (int i = 0; i < 5000; i++) ((long (*)(void))dlsym(l, \"direct\"))(); return bad;") + \
        "int main(void) { return one(\"./a.so\"); }"
    for flags in ([], ["-Wl,-z,max-page-size=0x200000"]):
        folder = runner.folder()
        build(folder, "a.so", LIBRARY, "-shared", "-fPIC", *flags)
        build(folder, "m", source, "-ldl")
        outcome = runner.execute(under_run(["./m"], "--hook", "count"), folder)
        tables = counts(outcome.stderr)
        native = "native" in outcome.stderr
        check(outcome.status == 0 and (native or tables and tables[0][1].get("getpid", 0) >= 5000),
              f"{flags}: calls neither seen nor said to be unseen\n{outcome}")
        check(not native or flags, str(outcome))


def case_mapping_an_executable_file_as_data(runner):
    """A private mapping of a whole ELF file, as linkers and git make it, is not a library's."""
    def prepare(folder):
        build(folder, "big.so", LIBRARY + "".join(
            f"int f{i}(int x) {{ return x * {i}; }}\n" for i in range(3000)),
            "-shared", "-fPIC", "-g3")
        build(folder, "a.o", LIBRARY, "-c", "-fPIC")

    script = ("import mmap, hashlib\n"
              "for name in 'big.so', 'a.o', '/lib/x86_64-linux-gnu/libc.so.6':\n"
              "    with open(name, 'rb') as f:\n"
              "        m = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)\n"
              "        print(name, hashlib.md5(m).hexdigest() == hashlib.md5(f.read()).hexdigest())\n")
    same(runner, [PYTHON, "-c", script], prepare=prepare)
