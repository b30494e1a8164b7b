"""Processes, threads, signals, descriptors: what a program can see of whoever sits beside it."""
import contextlib
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import time

from comparison import (FULL, PYTHON, SYSLOAD, SYSREWRITE, Failure, build, check, check_nothing_left,
                        counts, environment, same, source_of, tool, under_run, write)

ROUNDS = 2000 if FULL else 100

VFORKS = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
static int rounds;
static void* run(void* p) {
  long bad = 0;
  for (int i = 0; i < rounds; i++) {
    char* args[] = {"sh", "-c", "exit 5", 0};
    char* lost[] = {"lost", 0};
    pid_t child = 0;
    int status = 0;
    if (i % 3 == 0) {
      bad += posix_spawn(&child, "/bin/sh", 0, 0, args, environ) != 0;
    } else if (i % 3 == 1) {
      child = vfork();
      if (child == 0) { execve("/bin/sh", args, environ); _exit(99); }
    } else {
      bad += posix_spawn(&child, "/no/such", 0, 0, lost, environ) == 0;
      child = vfork();
      if (child == 0) { execve("/no/such", lost, environ); _exit(5); }
    }
    waitpid(child, &status, 0);
    bad += !WIFEXITED(status) || WEXITSTATUS(status) != 5;
  }
  return (void*)bad;
}
int main(int argc, char** argv) {
  rounds = atoi(argv[1]);
  pthread_t t[8];
  long bad = 0;
  for (long i = 0; i < 8; i++) pthread_create(&t[i], 0, run, 0);
  for (int i = 0; i < 8; i++) { void* r; pthread_join(t[i], &r); bad += (long)r; }
  printf("bad %ld\n", bad);
  return bad != 0;
}
"""




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


def case_own_exe(runner):
    """/proc/self/exe is the program for every call that follows it, whoever the kernel has executed."""
    text = source_of("own_exe")
    for flags in ((), ("-static",)):
        for hook in ("none", "pass:entry:exit"):
            same(runner, ["./own", "own"], prepare=lambda f: build(f, "own", text, "-w", *flags),
                 options=("--hook", hook))


def case_vfork_and_spawn_from_many_threads(runner):
    same(runner, ["./v", str(ROUNDS // 5)], prepare=lambda f: build(f, "v", VFORKS, "-pthread"))


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


DESCRIPTORS = r"""
import os, resource, subprocess, sys
print(sorted(os.listdir('/proc/self/fd')))
print(os.open('/dev/null', os.O_RDONLY))
os.closerange(3, 1000); print(os.dup(1)); os.close(3)
import ctypes; ctypes.CDLL('libm.so.6'); import _ssl; print(os.open('/dev/null', os.O_RDONLY))
os.close(3)
print(subprocess.check_output(['ls', '-x', '/proc/self/fd'], close_fds=True))
resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
print(subprocess.check_output(['ls', '-x', '/proc/self/fd']))
import _decimal
"""


def case_descriptors(runner):
    same(runner, [PYTHON, "-c", DESCRIPTORS])
    same(runner, ["sh", "-c", "exec 2>&- <&-; cat /proc/self/comm; ls /proc/self/fd | wc -l"])
    same(runner, ["bash", "-c", "ulimit -n 8; ls / | wc -l; sh -c 'cat /proc/self/comm'"])
    script = "import os\nos.closerange(0, 100)\nos.execv('/bin/sh', ['sh', '-c', 'exit 6'])"
    same(runner, [PYTHON, "-c", script], status=6)


def case_a_full_descriptor_table_at_exec(runner):
    script = r"""
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
try:
    while True: os.open('/dev/null', os.O_RDONLY | os.O_CLOEXEC)
except OSError: pass
os.execv('/bin/sh', ['sh', '-c', 'grep -c memfd:sysrewrite /proc/self/maps; :'])
"""
    folder = runner.folder()
    outcome = runner.execute(under_run([PYTHON, "-c", script]), folder)
    check(outcome.status == 0 and (outcome.stdout != "0\n" or "native" in outcome.stderr),
          f"ran native, and nobody said so\n{outcome}")


def case_a_low_descriptor_limit_around_run(runner):
    folder = runner.folder()
    command = "ulimit -Sn 12; exec \"$@\""
    outcome = runner.execute(["sh", "-c", command, "sh", *under_run(["ls", "/proc/self/fd"])], folder)
    check(outcome.status == 0 and outcome.stderr == "", str(outcome))


def case_a_very_low_descriptor_limit_around_run(runner):
    """With hardly any descriptors `run` ends with a line, or raises its limit; it does not hang."""
    for limit in (6, 8):
        folder = runner.folder()
        command = f"ulimit -Sn {limit}; exec \"$@\""
        outcome = runner.execute(["sh", "-c", command, "sh", *under_run(["ls", "/"])], folder,
                                 timeout=20)
        check(outcome.status == 0 and outcome.stderr == "", f"{limit}: {outcome}")


def case_sigchld_ignored_around_run(runner):
    """Who ignores SIGCHLD hands that on, and the kernel then tells `run` of no child's end."""
    folder = runner.folder()
    script = ("import os, signal, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    command = [PYTHON, "-c", script, *under_run(["sh", "-c", "exit 7"])]
    outcome = runner.execute(command, folder, timeout=20)
    check(outcome.status == 7, str(outcome))


VFORK_KILLED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
// Stops whoever answers, so that the child of vfork waits for it, and kills the child there.
int main(void) {
  pid_t server = getppid(), me = getpid();
  if (fork() == 0) {
    char path[100];
    int child;
    sleep(1);
    sprintf(path, "/proc/%d/task/%d/children", me, me);
    FILE* f = fopen(path, "r");
    while (fscanf(f, "%d", &child) == 1) if (child != getpid()) kill(child, SIGKILL);
    kill(server, SIGCONT);
    _exit(0);
  }
  kill(server, SIGSTOP);
  usleep(200000);
  pid_t child = vfork();
  if (child == 0) { char* args[] = {"true", 0}; execv("/bin/true", args); _exit(1); }
  int status;
  waitpid(child, &status, 0);
  printf("library %d\n", dlopen("libm.so.6", RTLD_NOW) != 0);
  return 0;
}
"""


def case_a_child_of_vfork_killed_in_execve(runner):
    folder = runner.folder()
    build(folder, "v", VFORK_KILLED, "-ldl")
    outcome = runner.execute(under_run(["./v"]), folder, timeout=20)
    check(outcome.status == 0 and outcome.stdout == "library 1\n", str(outcome))


def case_names_of_a_script(runner):
    """The kernel names the process, and AT_EXECFN, by the script and not by its interpreter."""
    def prepare(folder):
        build(folder, "name", "#include <stdio.h>\n#include <sys/auxv.h>\n"
              "int main(void) { puts((char*)getauxval(AT_EXECFN)); return 0; }")
        for name, text in (("comm.sh", "#!/bin/sh\ncat /proc/$$/comm\n"),
                           ("fn.sh", f"#!{folder}/name\n")):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(os.path.join(folder, name), 0o755)

    same(runner, ["./comm.sh"], prepare=prepare)
    same(runner, ["sh", "-c", "./comm.sh; ./fn.sh"], prepare=prepare)


def case_names_by_descriptor(runner):
    """What execveat is given beside a path shows in AT_EXECFN, as the kernel has it; comm is the file's."""
    def prepare(folder):
        build(folder, "name", "#include <stdio.h>\n#include <sys/auxv.h>\n#include <sys/prctl.h>\n"
              "int main(void) { char comm[16]; prctl(PR_GET_NAME, comm);\n"
              "  printf(\"%s %s\\n\", (char*)getauxval(AT_EXECFN), comm); return 0; }")
        build(folder, "from", "#define _GNU_SOURCE\n#include <fcntl.h>\n#include <unistd.h>\n"
              "#include <sys/syscall.h>\n"
              "int main(int argc, char** argv) { char* words[] = {\"x\", 0};\n"
              "  syscall(SYS_execveat, open(argv[1], O_PATH), argv[2], words, words + 1, AT_EMPTY_PATH);\n"
              "  return 9; }")
        os.mkdir(os.path.join(folder, "below"))

    for folder, name in ((".", "name"), ("below", "../name"), (".", "./below/.././name")):
        same(runner, ["./from", folder, name], prepare=prepare)
    same(runner, ["sh", "-c", "./from / $PWD/name | sed s,$PWD,,"], prepare=prepare)
    # Older kernels say the descriptor's number in comm.
    same(runner, ["sh", "-c", "./from name '' | cut -d' ' -f1"], prepare=prepare)


def case_vdso(runner):
    def prepare(folder):
        build(folder, "clock", "#include <stdio.h>\n#include <sys/auxv.h>\n#include <time.h>\n"
              "#include <unistd.h>\n"
              "int main(int argc, char** argv) { struct timespec t;\n"
              "  for (int i = 0; i < 77; i++) clock_gettime(CLOCK_MONOTONIC, &t);\n"
              "  printf(\"%d\\n\", getauxval(AT_SYSINFO_EHDR) != 0); fflush(stdout);\n"
              "  if (argc == 1) execl(argv[0], argv[0], \"again\", (char*)0); return 0; }")

    same(runner, ["./clock"], prepare=prepare)
    same(runner, ["./clock"], prepare=prepare, options=["--vdso", "keep"])
    for option, expected, calls in (("keep", "1\n1\n", 0), ("hide", "0\n0\n", 154)):
        folder = runner.folder(prepare)
        trace = os.path.join(folder, "trace")
        outcome = runner.execute(["strace", "-f", "-e", "trace=clock_gettime", "-o", trace,
                                  *under_run(["./clock"], "--vdso", option)], folder)
        with open(trace, encoding="ascii") as file:
            found = file.read().count("clock_gettime(CLOCK_MONOTONIC,")
        check(outcome.stdout == expected and outcome.stderr == "" and found == calls,
              f"{option}: {found} calls\n{outcome}")


SLOW_TO_STOP = r"""
strace -qq -o strace -e trace=tgkill -e inject=tgkill:delay_enter=300000 "$@" &
for i in $(seq 100); do
  run=$(pgrep -P $!); program=$(pgrep -P ${run:-0} -x sleep) && break; sleep 0.05
done
kill -STOP $program; sleep 0.05; kill -CONT $program
for i in $(seq 200); do kill -0 $program 2>/dev/null || break; sleep 0.05; done
sleep 0.5; kill -0 $run 2>/dev/null && echo "run is still there" && kill -KILL $run
wait $!; echo $?; grep -q SIGSTOP strace && echo stopped
"""


def case_a_program_that_goes_on_before_run_has_stopped(runner):
    """run stops with its program; one signal to go on was not enough where it came too early."""
    outcome = runner.execute(["bash", "-c", SLOW_TO_STOP, "-", *under_run(["sleep", "2"])], runner.folder())
    check((outcome.stdout, outcome.stderr) == ("0\nstopped\n", ""), f"{outcome}")


def case_chroot(runner):
    def prepare(folder):
        root = os.path.join(folder, "root")
        for path in ("/bin/sh", "/bin/ls", "/bin/cat"):
            listing = subprocess.check_output(["ldd", path], text=True)
            needed = [w for w in listing.split() if w.startswith("/")]
            for file in [path, *needed]:
                os.makedirs(root + os.path.dirname(file), exist_ok=True)
                shutil.copy(os.path.realpath(file), root + file)
        os.makedirs(root + "/proc")

    script = "echo inside; ls /; ls /bin; cat /nosuch; exit 4"
    same(runner, ["chroot", "root", "/bin/sh", "-c", script], prepare=prepare, status=4)


def case_privileged_and_unreadable_programs(runner):
    def prepare(folder):
        build(folder, "suid", "#include <unistd.h>\nint main(void) { return 3 + (int)geteuid(); }")
        os.chmod(os.path.join(folder, "suid"), 0o4755)
        shutil.copy("/bin/true", os.path.join(folder, "unreadable"))
        os.chmod(os.path.join(folder, "unreadable"), 0o711)

    same(runner, ["sh", "-c", "./suid; echo $?"], prepare=prepare,
         natives=["@DIR@/suid|.*suid: it is setuid"])
    same(runner, ["sh", "-c", "./unreadable; echo $?"], prepare=prepare)


SIGNALLED = r"""
import os, signal, sys, time
def on(number, frame):
    # Not print: it may be printing already.
    os.write(1, b'got ' + signal.Signals(number).name.encode() + b'\n')
    if number == signal.SIGTERM: sys.exit(11)
for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
          signal.SIGIO, signal.SIGPROF, signal.SIGRTMIN, signal.SIGRTMAX):
    signal.signal(s, on)
print('ready', flush=True)
while True: time.sleep(10)
"""


def read_until(descriptor, text, seconds=60):
    got = b""
    deadline = time.monotonic() + seconds
    while text not in got:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise Failure(f"{text} does not come, only {got}")
        try:
            piece = os.read(descriptor, 4096)
        except OSError:
            piece = b""
        if not piece:
            raise Failure(f"{text} does not come, only {got}")
        got += piece
    return got


def case_signals_to_the_parent_reach_the_program(runner):
    folder = runner.folder()
    with subprocess.Popen(under_run([PYTHON, "-c", SIGNALLED]), stdout=subprocess.PIPE, cwd=folder,
                          env=environment(folder), start_new_session=True) as process:
        out = process.stdout.fileno()
        read_until(out, b"ready")
        for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGQUIT", "SIGIO", "SIGPROF", "SIGRTMIN", "SIGRTMAX",
                     "SIGTERM"):
            process.send_signal(getattr(signal, name))
            read_until(out, b"got " + name.encode())
        check(process.wait(60) == 11, "the handler's status is lost")
    check_nothing_left("signals")
    with subprocess.Popen(under_run(["sleep", "100"]), env=environment(folder),
                          start_new_session=True) as process:
        time.sleep(0.5)
        process.terminate()
        check(process.wait(60) == 128 + signal.SIGTERM, "killed by SIGTERM")
    check_nothing_left("sleep")


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def wait_for_state(pid, wanted, what):
    deadline = time.monotonic() + 20
    while state_of(pid) not in wanted:
        if time.monotonic() > deadline:
            raise Failure(f"{what}: state {state_of(pid)}, not one of {wanted}")
        time.sleep(0.02)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


def case_stopping_and_going_on(runner):
    """When the program stops, `run` stops, and SIGCONT to `run` starts both."""
    folder = runner.folder()
    script = "kill -STOP $$; echo on; kill -STOP $$; echo again; exit 8"
    with subprocess.Popen(under_run(["bash", "-c", script]), stdout=subprocess.PIPE, cwd=folder,
                          env=environment(folder), start_new_session=True) as process:
        for word in (b"on", b"again"):
            wait_for_state(process.pid, "T", "run")
            process.send_signal(signal.SIGCONT)
            read_until(process.stdout.fileno(), word)
        check(process.wait(60) == 8, "status 8")
    check_nothing_left("stopping")


@contextlib.contextmanager
def group_of(command, folder):
    """A process group of its own, of which nothing is left where a check fails."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder,
                          env=environment(folder), start_new_session=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def case_going_on_after_a_stop_of_all(runner):
    """The whole group is stopped, and `run` alone is told to go on: the program does."""
    folder = runner.folder()
    script = "echo started; read line; echo on; exit 9"
    with group_of(under_run(["bash", "-c", script]), folder) as process:
        read_until(process.stdout.fileno(), b"started")
        for _ in range(5):
            os.killpg(process.pid, signal.SIGSTOP)
            wait_for_state(process.pid, "T", "run")
            process.send_signal(signal.SIGCONT)
            wait_for_state(children_of(process.pid)[0], "SR", "the program")
        process.stdin.write(b"\n")
        process.stdin.flush()
        read_until(process.stdout.fileno(), b"on", 20)
        check(process.wait(60) == 9, "status 9")
    check_nothing_left("stopping")


def in_terminal(runner, command):
    """Starts a command in a terminal of its own; the terminal's other end and the pid."""
    folder = runner.folder()
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment(folder, {"TERM": "dumb"}))
    return pid, master


def end_of(pid):
    deadline = time.monotonic() + 60
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise Failure("does not end")
        time.sleep(0.02)


def case_keys_of_the_terminal(runner):
    pid, master = in_terminal(runner, under_run([PYTHON, "-c", SIGNALLED]))
    read_until(master, b"ready")
    os.write(master, b"\x03")
    seen = read_until(master, b"got SIGINT")
    os.write(master, b"\x1c")
    seen += read_until(master, b"got SIGQUIT")
    check(seen.count(b"SIGINT") == 1, f"once pressed, once seen: {seen}")
    os.kill(pid, signal.SIGTERM)
    check(end_of(pid) == 11, "status 11")
    pid, master = in_terminal(runner, under_run(["sleep", "100"]))
    time.sleep(1)
    os.write(master, b"\x03")
    check(end_of(pid) == 130, "sleep ends by Ctrl-C")
    check_nothing_left("terminal")


def case_job_control_in_a_terminal(runner):
    """An interactive shell that runs `run` as a job, and one inside `run`."""
    for outer in (True, False):
        shell = ["/bin/bash", "--norc", "--noprofile", "-i"]
        pid, master = in_terminal(runner, shell if outer else under_run(shell))
        run = " ".join(under_run([])) if outer else ""
        os.write(master, b"PS1=; stty -echo; echo re''ady\n")
        read_until(master, b"ready\r\n")
        os.write(master, f"{run} sh -c 'echo star''ted; sleep 1000'\n".encode())
        read_until(master, b"started")
        for _ in range(5):
            time.sleep(0.3)
            os.write(master, b"\x1a")
            read_until(master, b"Stopped")
            os.write(master, b"jobs; fg\n")
            read_until(master, b"sleep 1000")
        time.sleep(0.3)
        os.write(master, b"\x03")
        os.write(master, b"echo status $?\nexit 3\n")
        read_until(master, b"status 130")
        check(end_of(pid) == 3, "the shell ends")
        check_nothing_left("job control")


def case_a_program_that_ignores_the_stop_key(runner):
    """Ctrl-Z does not stop a program that handles it, and so it must not stop `run`."""
    script = ("import signal, sys, time\n"
              "signal.signal(signal.SIGTSTP, lambda *a: print('ts'+'tp', flush=True))\n"
              "print('rea'+'dy', flush=True)\nsys.stdin.readline()\nprint('re'+'ad', flush=True)\n")
    # A shell around it: a process group that nobody could wake is never stopped.
    pid, master = in_terminal(runner, ["/bin/bash", "--norc", "--noprofile", "-i"])
    os.write(master, b"PS1=; stty -echo; echo pre''pared\n")
    read_until(master, b"prepared\r\n")
    os.write(master, (shlex.join(under_run([PYTHON, "-u", "-c", script.replace("\n", ";").replace(
        ";;", ";")])) + "\n").encode())
    read_until(master, b"ready")
    job = children_of(pid)[0]
    os.write(master, b"\x1a")
    read_until(master, b"tstp")
    time.sleep(0.5)
    state = state_of(job)
    os.kill(job, signal.SIGCONT)
    os.write(master, b"line\nfg\n")
    time.sleep(0.5)
    os.write(master, b"exit 3\n")
    try:
        check(state != "T", "run is stopped while the program is not")
    finally:
        os.kill(job, signal.SIGKILL) if os.path.exists(f"/proc/{job}") else None
        os.kill(pid, signal.SIGHUP)
        end_of(pid)
    check_nothing_left("stop key")


def case_the_own_executable_by_its_proc_name(runner):
    for script in ("import os; print(os.path.getsize('/proc/self/exe'))",
                   "import hashlib; print(hashlib.md5(open('/proc/self/exe', 'rb').read()).hexdigest())",
                   "import os; os.execv('/proc/self/exe', ['python3', '-c', 'print(5)'])"):
        same(runner, [PYTHON, "-c", script])


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


def case_a_program_reads_its_signal_dispositions(runner):
    """All of them but, in /proc, which ones are caught: the trap's handlers show there (docs/limits.md)."""
    script = ("import signal\nfor s in signal.SIGSEGV, signal.SIGTRAP, signal.SIGINT:\n"
              "    print(signal.getsignal(s))\n"
              "print([l for l in open('/proc/self/status') if l.startswith(('SigP', 'ShdP', 'SigB', 'SigI'))])\n")
    same(runner, [PYTHON, "-c", script])


def case_the_hook_goes_along(runner):
    folder = runner.folder()
    outcome = runner.execute(under_run(["sh", "-c", "bash -c 'exit 3'; id -u"], "--hook", "count:each"),
                             folder)
    for name in ("(sh)", "(bash)", "(id)"):
        check(name in outcome.stderr, f"no table of {name}\n{outcome}")


GROUP_SIGNALS = r"""
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static volatile sig_atomic_t came;
static void handler(int signal) { came = signal; }
int main(void) {
  int all[] = {SIGHUP, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGUSR1, SIGTERM, SIGRTMIN};
  for (unsigned i = 0; i < sizeof(all) / sizeof(*all); ++i) {
    came = 0;
    signal(all[i], handler);
    kill(0, all[i]);
    usleep(20000);
    printf("%d %s\n", all[i], came == all[i] ? "came" : "did not come");
  }
  return 3;
}
"""


def case_signals_to_the_process_group(runner):
    """Whatever a program sends to its group, and handles, run outlives it, and its status is the program's."""
    same(runner, ["./group"], prepare=lambda folder: build(folder, "group", GROUP_SIGNALS), status=3)


class Counted:
    """A program under `run`, in a process group of the two, that counts the signals it gets."""

    def __init__(self, process, number):
        self.process = process
        self.number = number
        self.out = process.stdout.fileno()
        read_until(self.out, b"ready\n")

    def to_group(self):
        os.killpg(self.process.pid, self.number)

    def to_run(self):
        os.kill(self.process.pid, self.number)

    def answered(self):
        read_until(self.out, b"+\n")

    def taken_by_run(self):
        """Signals that are not queued, and wait for the same process, are one (docs/limits.md)."""
        waiting = "1"
        while int(waiting, 16) != 0:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                waiting = re.search(r"ShdPnd:\s*(\w+)", status.read()).group(1)

    def check_count(self, count, what):
        """Of what it has got in the end, when nothing more comes."""
        time.sleep(0.3)
        self.process.terminate()
        counts = read_until(self.out, b";\n").decode().replace("+\n", "")
        check(self.process.wait(60) == 5, "the status is lost")
        queued = [count if self.number == other else 0 for other in (signal.SIGRTMIN + 1, signal.SIGRTMAX)]
        handled = count if self.number == signal.SIGUSR1 else 0
        check(counts == f"handled {handled}, queued {queued[0]} and {queued[1]};\n", f"{what}: {counts}")


@contextlib.contextmanager
def counted(runner, number):
    folder = runner.folder(lambda path: build(path, "counts", source_of("signal_counts")))
    with group_of(under_run(["./counts"]), folder) as process:
        yield Counted(process, number)
    check_nothing_left("signals")


def case_signals_come_once(runner):
    """Sent to the process group, of which `run` is one, or to `run` alone: the program gets each once."""
    for number in (signal.SIGRTMIN + 1, signal.SIGRTMAX, signal.SIGUSR1):
        for senders in (("to_group",), ("to_run",), ("to_group", "to_run", "to_run")):
            with counted(runner, number) as program:
                for turn in range(ROUNDS):
                    getattr(program, senders[turn % len(senders)])()
                    program.answered()
                    program.taken_by_run()
                program.check_count(ROUNDS, f"{number} {senders}")


def case_queued_signals_come_once(runner):
    """The same where nobody waits for one before the next is sent."""
    with counted(runner, signal.SIGRTMIN + 1) as program:
        for turn in range(300):
            program.to_group() if turn % 3 == 0 else program.to_run()
        program.check_count(300, "queued")


def case_signals_come_once_after_a_stop(runner):
    """The group is stopped, and `run` alone is told to go on."""
    with counted(runner, signal.SIGRTMIN + 1) as program:
        os.killpg(program.process.pid, signal.SIGSTOP)
        wait_for_state(program.process.pid, "T", "run")
        for _ in range(2):
            program.to_group()
        program.process.send_signal(signal.SIGCONT)
        for _ in range(2):
            program.to_run()
        program.check_count(4, "stopped")
