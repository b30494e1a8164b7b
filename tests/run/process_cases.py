"""Processes, threads and descriptors: what a program can see of whoever sits beside it."""
import os
import shutil
import struct
import subprocess

from inheritance_cases import same_around
from comparison import FULL, PYTHON, SYSREWRITE, build, check, same, tool, under_run, write

ROUNDS = 400 if FULL else 20

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


def case_vfork_and_spawn_from_many_threads(runner):
    same(runner, ["./v", str(ROUNDS)], prepare=lambda f: build(f, "v", VFORKS, "-pthread"))


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


ORPHANS = r"""
import os, time
for status in range(5):
    if os.fork() == 0:
        if os.fork() == 0: os._exit(status)
        os._exit(0)
    os.wait()
def ended():
    states = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/stat") as stat: states.append(stat.read().rpartition(")")[2].split()[0])
    return states.count("Z")
for _ in range(200):
    if ended() == 0: break
    time.sleep(0.05)
print(os.getppid(), ended())
"""


def case_orphans_of_a_namespace(runner):
    """Their first process, which run may be, is to reap them."""
    folder = runner.folder()
    outcome = runner.execute(["unshare", "-p", "-f", "--mount-proc", *under_run([PYTHON, "-c", ORPHANS])], folder)
    check((outcome.status, outcome.stdout, outcome.stderr) == (0, "1 0\n", ""), f"{outcome}")


def case_low_limits_around_run(runner):
    """Of the size of files and of memory: they are the program's, and run does what it has to."""
    hook = ("--hook", "trace:output=calls")
    script = "ulimit -Sf; ulimit -Hf; ulimit -Sv; ulimit -Hv; exec 9>big; echo kept >&9; /bin/echo $?"
    for limits in ("-Sf 100", "-Sv 30000"):
        around = ["bash", "-c", f"ulimit {limits}; exec \"$@\"", "bash"]
        same_around(runner, around, ["bash", "-c", script], options=("--no-cache", *hook))
    # Where it may not have more, it goes on serving.
    libraries = "import ctypes; print([ctypes.CDLL(n) is not None for n in ('libm.so.6', 'libz.so.1', 'libutil.so.1')])"
    user = [tool("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"]
    for limits in ("-f 100", "-v 24000", "-v 27000", "-v 30000"):
        folder = runner.folder()
        around = [*user, "bash", "-c", f"ulimit {limits}; exec \"$@\"", "bash"]
        outcome = runner.execute([*around, *under_run([PYTHON, "-c", libraries], "--no-cache")], folder)
        check(outcome.status == 0 and ("native: " in outcome.stderr or "-v" in limits), f"{limits}: {outcome}")


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


# The three calls of a page that has no code for them: the kernel answers where it is entered.
VSYSCALL = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static void none(int number) {
  (void)!write(1, "no vsyscall\n", 12);
  _exit(number);
}
int main(void) {
  signal(SIGSEGV, none);
  long (*const gettime)(struct timeval*, void*) = (void*)0xffffffffff600000;
  long (*const seconds)(time_t*) = (void*)0xffffffffff600400;
  long (*const processor)(unsigned*, unsigned*, void*) = (void*)0xffffffffff600800;
  struct timeval now = {0};
  time_t said = 0;
  const time_t is = time(NULL);
  unsigned cpu = ~0u;
  const long time_done = gettime(&now, NULL), told = seconds(&said), processor_done = processor(&cpu, NULL, NULL);
  printf("%ld %d ", time_done, labs((long)(now.tv_sec - is)) < 60);
  printf("%d %d ", told == said, labs((long)(said - is)) < 60);
  printf("%ld %d\n", processor_done, cpu < 4096);
  return 3;
}
"""


def case_vsyscall(runner):
    for options in ((), ("--hook", "pass:entry:exit"), ("--vdso", "hide"), ("--exhaustive",)):
        same(runner, ["./old"], prepare=lambda folder: build(folder, "old", VSYSCALL), options=options, status=None)


def case_without_proc(runner):
    """Where run cannot tell where it lies itself, sysload is where it is installed."""
    around = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"]
    same_around(runner, around, ["sh", "-c", "/bin/echo it; exec ls /proc"], options=("--no-cache",))
    outcome = runner.execute([*around, SYSREWRITE, "run", "--", "true"], runner.folder())
    check(outcome.stderr == "" or "/usr/lib/sysload" in outcome.stderr, f"{outcome}")


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


# exit(5), by int $0x80.
CODE_32 = bytes.fromhex("b801000000bb05000000cd80")
PROGRAM_32 = (struct.pack("<4s12BHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, *[0] * 9, 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1,
                          0, 0, 0) +
              struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 84 + len(CODE_32), 84 + len(CODE_32), 5, 4096) + CODE_32)


def case_nothing_runs_native_where_it_is_to_fail(runner):
    """--unpatched=fail holds where the server is not asked, or cannot be: the process ends with 127 and a line."""
    def prepare(folder):
        build(folder, "suid", "int main(void) { return 5; }")
        shutil.copy(os.path.join(folder, "suid"), os.path.join(folder, "mine"))
        os.chmod(os.path.join(folder, "suid"), 0o4755)
        with open(os.path.join(folder, "old"), "wb") as file:
            file.write(PROGRAM_32)
        os.chmod(os.path.join(folder, "old"), 0o755)

    vforks = [PYTHON, "-c", "import subprocess; print(subprocess.run(['./suid']).returncode)"]
    for command in (["sh", "-c", "./suid; echo $?"], ["sh", "-c", "./old; echo $?"], vforks,
                    ["sh", "-c", "setpriv --reuid 65534 --clear-groups ./mine; echo $?"]):
        for hook in ("none", "pass:entry:exit"):
            folder = runner.folder(prepare)
            outcome = runner.execute(under_run(command, "--hook", hook), folder)
            check(outcome.stdout == "5\n" and "native" in outcome.stderr, f"{command}: {outcome}")
            outcome = runner.execute(under_run(command, "--hook", hook, "--unpatched=fail"), folder)
            check(outcome.stdout == "127\n" and "--unpatched=fail was asked for" in outcome.stderr, f"{command}: {outcome}")


OTHER = r"""
.globl _start
_start:
  mov $1, %eax
  mov $7, %ebx
  int $0x80
"""


def case_first_programs_that_run_native(runner):
    """Whether it is run that starts them or its program: as the kernel does, and listed."""
    def prepare(folder):
        build(folder, "suid", "#include <unistd.h>\nint main(void) { return 3 + (int)geteuid(); }")
        build(folder, "unreadable", "int main(void) { return 4; }")
        write(folder, "other.s", OTHER)
        subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-o", "other", "other.s"], cwd=folder, check=True)
        write(folder, "script", f"#!{folder}/suid\n", 0o755)
        for name, mode in (("suid", 0o4755), ("unreadable", 0o711)):
            os.chmod(os.path.join(folder, name), mode)

    nobody = [tool("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"]
    for name, status, why in (("suid", 3, "it is setuid"), ("script", 3, "it is setuid"), ("other", 7, "not an x86-64"),
                              ("unreadable", 4, "it may be executed, but not read")):
        folder = runner.folder(prepare)
        outcome = runner.execute([*nobody, *under_run([f"./{name}"], "--no-cache")], folder)
        check(outcome.status == status and f"native: ./{name}: {why}" in outcome.stderr, f"{name}: {outcome}")
        outcome = runner.execute([*nobody, *under_run([f"./{name}"], "--no-cache", "--unpatched", "fail")], folder)
        check(outcome.status == 127 and f"cannot rewrite ./{name}: {why}" in outcome.stderr, f"{name}: {outcome}")


def case_the_hook_goes_along(runner):
    folder = runner.folder()
    outcome = runner.execute(under_run(["sh", "-c", "bash -c 'exit 3'; id -u"], "--hook", "count:each"),
                             folder)
    for name in ("(sh)", "(bash)", "(id)"):
        check(name in outcome.stderr, f"no table of {name}\n{outcome}")
