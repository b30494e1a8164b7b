"""What a program executes, by whatever name, and whether that is followed."""
import os
import re
import shlex
import struct
import subprocess

from comparison import (PYTHON, SYSLOAD, SYSREWRITE, build, check, counts, environment, same, source_of, tool,
                        under_run, write)


def case_exec_by_descriptors_that_close(runner):
    """/proc/self/fd/3 leads nowhere once the descriptor is closed, as it is by exec."""
    for flags in ((), ("-static",)):
        same(runner, ["./own"], prepare=lambda f: build(f, "own", source_of("exec_by_name"), "-w", *flags),
             normalise=[(r"task/\d+", "task/@PID@")])


FLAGS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void go(const char* name, int folder, const char* path, unsigned long flags) {
  char* words[] = {"echo", "executed", 0};
  if (fork() == 0) {
    long answer = syscall(SYS_execveat, folder, path, words, words + 2, flags);
    printf("%s: %ld %s\n", name, answer, answer < 0 ? strerrorname_np(errno) : "");
    fflush(stdout);
    _exit(0);
  }
  wait(0);
}
int main(int argc, char** argv) {
  if (argc == 2) return puts("executed itself"), 0;
  int echo = open("/bin/echo", O_RDONLY), data = open("data", O_RDONLY);
  symlink("/bin/echo", "link");
  go("none", AT_FDCWD, "/bin/echo", 0);
  go("upper half", AT_FDCWD, "/bin/echo", 1ul << 32);
  go("check", AT_FDCWD, "/bin/echo", 0x10000);
  go("check of data", AT_FDCWD, "data", 0x10000);
  go("check by descriptor", echo, "", 0x10000 | AT_EMPTY_PATH);
  go("check of data by descriptor", data, "", 0x10000 | AT_EMPTY_PATH);
  go("check of itself", AT_FDCWD, "/proc/self/exe", 0x10000);
  go("unknown", AT_FDCWD, "/bin/echo", 4);
  go("unknown by descriptor", echo, "", 4 | AT_EMPTY_PATH);
  go("empty", echo, "", 0);
  go("link", AT_FDCWD, "link", 0);
  go("link, not followed", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW);
  go("no link", AT_FDCWD, "/usr/bin/echo", AT_SYMLINK_NOFOLLOW);
  go("itself, not followed", AT_FDCWD, "/proc/self/exe", AT_SYMLINK_NOFOLLOW);
  return 0;
}
"""


def case_flags_of_execveat(runner):
    """AT_EXECVE_CHECK executes nothing, nor does a flag that there is not."""
    def prepare(folder):
        build(folder, "flags", FLAGS, "-w")
        write(folder, "data", "data\n")

    same(runner, ["./flags"], prepare=prepare)


ARGUMENTS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
// Words up to the last byte of a page, behind which nothing is mapped.
static void go(const char* name, long count, int misplaced, int ended) {
  const long size = (count + ended) * 8 + misplaced, pages = (size + 4095) & -4096l;
  char* memory = mmap(0, pages + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* at = memory + pages - size;
  char* const word = "w";
  munmap(memory + pages, 4096);
  for (long i = 0; i < count; ++i) memcpy(at + i * 8, &word, 8);
  if (fork() == 0) {
    execve("./arguments", (char**)at, environ);
    printf("%s: %s\n", name, strerrorname_np(errno));
    fflush(stdout);
    _exit(0);
  }
  wait(0);
}
int main(int argc, char** argv) {
  if (strcmp(argv[0], "w") == 0) return printf("%d arguments\n", argc), 0;
  if (argc == 2) return go("many", atol(argv[1]), 0, 1), 0;
  go("one", 1, 0, 1);
  go("a page", 511, 0, 1);
  go("a page and one", 512, 0, 1);
  go("two pages", 1023, 0, 1);
  go("misplaced", 2000, 3, 1);
  go("not ended", 10, 0, 0);
  go("a page, not ended", 512, 0, 0);
  go("misplaced, not ended", 2000, 5, 0);
  return 0;
}
"""


def case_many_arguments(runner):
    """argv may end with its page; and its words cost no call each."""
    same(runner, ["./arguments"], prepare=lambda f: build(f, "arguments", ARGUMENTS, "-w"))
    folder = runner.folder(lambda f: build(f, "arguments", ARGUMENTS, "-w"))
    trace = os.path.join(folder, "trace")
    outcome = runner.execute(["strace", "-f", "-e", "trace=process_vm_readv", "-o", trace,
                              *under_run(["./arguments", "20000"])], folder)
    with open(trace, encoding="ascii") as file:
        calls = file.read().count("process_vm_readv(")
    check(outcome.stdout == "20000 arguments\n" and 0 < calls < 200, f"{calls} calls\n{outcome}")


WRITES = r"""
#include <unistd.h>
int main(void) { for (int i = 0; i < 1000; i++) if (write(1, "w\n", 2) != 2) return 1; return 0; }
"""


def rewritten(folder):
    """Programs that name sysload as their interpreter, and a stripped sysload."""
    build(folder, "fixed", WRITES, "-static")
    build(folder, "moving", WRITES)
    for name in "fixed", "moving":
        subprocess.run([SYSREWRITE, "--interp", SYSLOAD, name, name + ".rw"], cwd=folder, check=True,
                       capture_output=True, env=environment(folder))
    subprocess.run([tool("strip"), "-o", folder + "/stripped", SYSLOAD], check=True)


SERVES = r"\S*sysload: it is sysload, which serves what it starts by itself"


def case_sysload_inside(runner):
    """run within run, and sysload as a command: each serves what it starts, and the outer one says so."""
    for command in (["echo", "hi"], ["sh", "-c", "./moving; ./moving.rw; ./fixed.rw"]):
        for loader in (SYSLOAD, "./stripped"):
            words = [loader if word == SYSLOAD else word for word in under_run(command)]
            name = os.path.basename(loader)
            same(runner, words, prepare=rewritten, natives=[rf"\S*{name}: it is sysload, "])
    for program in "./fixed.rw", "./moving.rw":
        for words in ([SYSLOAD, program], ["sh", "-c", f"{SYSLOAD} {program}; echo $?"],
                      [PYTHON, "-c", f"import os; os.execv('{SYSLOAD}', ['s', '--argv0', 'x', '{program}'])"]):
            same(runner, words, prepare=rewritten, natives=[SERVES])


def case_programs_that_are_rewritten_already(runner):
    """They are followed, and each call is seen once."""
    for name in "./fixed.rw", "./moving.rw":
        same(runner, [name], prepare=rewritten)
        for words in ([name], ["sh", "-c", f"{name}; :"]):
            folder = runner.folder(rewritten)
            outcome = runner.execute(under_run(words, "--hook", "count:each"), folder)
            tables = dict(counts(outcome.stderr))
            check(outcome.stdout == "w\n" * 1000 and tables.get(name[2:], {}).get("write") == 1000,
                  f"{words}: {outcome}")


def case_rights_of_the_effective_user(runner):
    """Who may execute is the effective user, and what he may is followed."""
    def prepare(folder):
        build(folder, "mine", WRITES)
        os.chmod(os.path.join(folder, "mine"), 0o700)

    for users in "65534, 0, 0", "0, 65534, 0":
        script = (f"import os\nos.setresuid({users})\n"
                  "try: os.execv('./mine', ['mine'])\nexcept OSError as e: print(e.errno)")
        same(runner, [PYTHON, "-c", script], prepare=prepare)
        folder = runner.folder(prepare)
        outcome = runner.execute(under_run([PYTHON, "-c", script], "--hook", "count:each"), folder)
        written = dict(counts(outcome.stderr)).get("mine", {}).get("write", 0)
        check(written == (1000 if outcome.stdout.startswith("w") else 0), f"{users}: {outcome}")


REGISTERED = r"""
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 9
cd /proc/sys/fs/binfmt_misc
trap 'for f in sysrewrite-magic sysrewrite-name; do echo -1 > /proc/sys/fs/binfmt_misc/$f; done' EXIT
echo ':sysrewrite-magic:M:1:YSREW?ITE:\xff\xff\xff\xff\xff\x00\xff\xff\xff:/bin/cat:' > register
echo ':sysrewrite-name:E::sysrewrite-test::/bin/cat:' > register
cd "$OLDPWD"
./magic; ./name.sysrewrite-test; ./neither; echo $?
echo 0 > /proc/sys/fs/binfmt_misc/sysrewrite-magic; ./off; echo $?
"""


def case_registered_formats(runner):
    """What the kernel starts by an interpreter of somebody's is native, and listed; nothing else is."""
    def prepare(folder):
        write(folder, "magic", "SYSREWRITE\n", 0o755)
        write(folder, "off", "SYSREWRITE\n", 0o755)
        write(folder, "name.sysrewrite-test", "", 0o755)
        write(folder, "neither", "SYSREWRONG\n", 0o755)

    same(runner, ["unshare", "-m", "bash", "-c", REGISTERED], prepare=prepare, normalise=[(r"line \d+", "line")],
         natives=["/usr/bin/mount: it is setuid", "./magic: its format is registered",
                  "./name.sysrewrite-test: its format is registered"])
    given = REGISTERED.replace("./magic; ./name.sysrewrite-test; ./neither", f"{shlex.join(under_run(['./magic']))}; :")
    folder = runner.folder(prepare)
    outcome = runner.execute(["unshare", "-m", "bash", "-c", given], folder)
    check(outcome.stdout.startswith("SYSREWRITE\n") and
          "native: ./magic: its format is registered" in outcome.stderr, f"{outcome}")


def elf_file(**changes):
    """A program's headers, of which some are wrong."""
    fields = {"class": 2, "type": 2, "machine": 62, "phentsize": 56, "phnum": 1, **changes}
    header = struct.pack("<4s12BHHIQQQIHHHHHH", b"\x7fELF", fields["class"], 1, 1, *[0] * 9,
                         fields["type"], fields["machine"], 1, 0x400078, 64, 0, 0, 64,
                         fields["phentsize"], fields["phnum"], 0, 0, 0)
    code = bytes.fromhex("b83c00000031ff0f05")  # exit(0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 4096)
    return header + segment + code


def case_broken_headers(runner):
    """ENOEXEC is the caller's to see, and nothing has run native then."""
    def prepare(folder):
        interpreter = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, 1, 1, 1)
        files = {"whole": elf_file(), "object": elf_file(type=1), "arm": elf_file(machine=183),
                 "none": elf_file(phnum=0), "many": elf_file(phnum=1171), "short": elf_file(phnum=9),
                 "entries": elf_file(phentsize=32), "head": elf_file()[:60], "empty": b"",
                 "interpreter": elf_file()[:64] + interpreter + elf_file()[120:]}
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
            os.chmod(os.path.join(folder, name), 0o755)

    script = ("import os\nfor name in sorted(os.listdir('.')):\n"
              "    if os.fork() == 0:\n"
              "        try: os.execv('./' + name, [name])\n"
              "        except OSError as e: print(name, e.errno, flush=True)\n"
              "        os._exit(9)\n"
              "    print(name, os.wait()[1], flush=True)\n")
    same(runner, [PYTHON, "-c", script], prepare=prepare)


def elf_with_interpreter(path):
    """A program that does nothing, and says so, by whatever it names."""
    words = path.encode() + b"\0"
    end = 64 + 2 * 56
    header = bytearray(elf_file(phnum=2)[:64])
    header[24:32] = struct.pack("<Q", 0x400000 + end + len(words))
    code = bytes.fromhex("b83c00000031ff0f05")  # exit(0)
    size = end + len(words) + len(code)
    return (bytes(header) + struct.pack("<IIQQQQQQ", 3, 4, end, 0x400000 + end, 0, len(words), len(words), 1) +
            struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 4096) + words + code)


INTERPRETERS = {"text": b"text\n", "empty": b"", "script": b"#!/bin/sh\n", "short": elf_file()[:63],
                "cut": elf_file()[:64 + 55], "arm": elf_file(machine=183), "32bit": elf_file(phentsize=32),
                "none": elf_file(phnum=0), "many": elf_file(phnum=1171)}


def case_broken_interpreters(runner):
    """What the kernel cannot use as an interpreter is an errno in the caller, which goes on."""
    def put(folder, name, content, mode):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
        os.chmod(os.path.join(folder, name), mode)

    def prepare(folder):
        os.mkdir(os.path.join(folder, "interpreters"))
        os.mkdir(os.path.join(folder, "interpreters", "folder"))
        os.mkfifo(os.path.join(folder, "interpreters", "pipe"), 0o755)
        for name, content in INTERPRETERS.items():
            put(folder, "interpreters/" + name, content, 0o755)
        put(folder, "interpreters/data", elf_file(), 0o644)
        for name in [*os.listdir(os.path.join(folder, "interpreters")), "absent", "text/below"]:
            put(folder, name.replace("/", "-"), elf_with_interpreter("interpreters/" + name), 0o755)

    script = ("import os\nfor name in sorted(n for n in os.listdir('.') if os.path.isfile(n)):\n"
              "    try: os.execv('./' + name, [name])\n"
              "    except OSError as e: print(name, e.strerror, flush=True)\n")
    native = same(runner, [PYTHON, "-c", script], prepare=prepare)
    check(len(native.stdout.splitlines()) == len(INTERPRETERS) + 5, str(native))


SHOWS = r"""
#include <stdio.h>
int main(int argc, char** argv) {
  printf("  %s", argv[0][0] == '/' ? "by its path" : argv[0]);
  for (int i = 1; i < argc; i++) printf(" [%zu %s]", strlen(argv[i]), argv[i]);
  puts("");
  return 0;
}
"""


def beginnings_of_scripts(folder):
    """What scripts begin with: blanks, zeros and ends of the file, and names that end around byte 256."""
    lines = [b"", b" ", b"\t \t", b"\0", b"\n./show", b" \n", b" \t" * 200, b" \t" * 126 + b"./show\n",
             b" " * 247 + b"./show", b" " * 248 + b"./show", b" " * 248 + b"./show\n", b"nosuch x\n"]
    for argument in (b"", b" ", b" one", b" one two ", b"\t one\t \t", b" one\0two", b"\0one", b" " * 300, b" x" * 200):
        lines += [blanks + b"./show" + argument + end for blanks in (b"", b" \t") for end in (b"", b"\n", b" \n")]
    for size in range(248, 260):
        name = folder.encode() + b"/" * (size - 2 - len(folder) - 4) + b"show"
        lines += [name + end for end in (b"", b"\n", b" ", b"\t", b"\0", b"\r\n", b" x\n", b"-and-more\n", b" " * 9)]
    return lines


def case_first_lines_of_scripts(runner):
    """Which interpreter a line names, with which argument, or whether it is ENOEXEC, is the kernel's to say."""
    def prepare(folder):
        build(folder, "show", SHOWS, "-include", "string.h")
        for number, line in enumerate(beginnings_of_scripts(folder)):
            path = os.path.join(folder, f"script-{number:03}")
            with open(path, "wb") as file:
                file.write(b"#!" + line)
            os.chmod(path, 0o755)

    script = ("import os\nfor name in sorted(n for n in os.listdir('.') if n.startswith('script')):\n"
              "    print(name, flush=True)\n"
              "    if os.fork() == 0:\n"
              "        try: os.execv('./' + name, [name])\n"
              "        except OSError as e: print(' ', e.strerror, flush=True)\n"
              "        os._exit(0)\n"
              "    os.wait()\n")
    native = same(runner, [PYTHON, "-c", script], prepare=prepare)
    check({"Exec format error", "No such file or directory", "by its path"} <=
          {line[2:].split(" [")[0] for line in native.stdout.splitlines()}, str(native))


CONFINED = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
// What lies below these folders may be executed, and nothing else.
static int by_landlock(void) {
  struct landlock_ruleset_attr what = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE};
  const char* folders[] = {"/usr", "/lib", "/lib64", "/bin"};
  const int rules = syscall(SYS_landlock_create_ruleset, &what, sizeof what, 0);
  for (int i = 0; i < 4; i++) {
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_EXECUTE,
                                              .parent_fd = open(folders[i], O_PATH | O_CLOEXEC)};
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }
  return syscall(SYS_landlock_restrict_self, rules, 0);
}
static int by_filter(int error) {
  struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter = {4, code};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}
int main(int argc, char** argv) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const int error = strcmp(argv[1], "EPERM") == 0 ? EPERM : ENOSYS;
  if ((strcmp(argv[1], "landlock") == 0 ? by_landlock() : by_filter(error)) != 0) return 9;
  if (strcmp(argv[3], "at") == 0)
    syscall(SYS_execveat, open(argv[2], O_PATH), "", argv + 2, argv + argc, AT_EMPTY_PATH);
  else
    execvp(argv[2], argv + 2);
  return puts(strerrorname_np(errno)), 0;
}
"""


def case_sysload_may_not_be_executed(runner):
    """By a rule for folders, or a filter: the program runs, native, and is listed."""
    def prepare(folder):
        build(folder, "confined", CONFINED, "-w")
        build(folder, "mine", WRITES)

    for way in "landlock", "EPERM", "ENOSYS":
        same(runner, ["./confined", way, "echo", "hi"], prepare=prepare,
             natives=["/usr/bin/echo: sysload may not be executed"])
    for way in "EPERM", "ENOSYS":
        same(runner, ["./confined", way, "./mine", "at"], prepare=prepare)
    # Kernels before 6.14 cannot be asked whether it runs, and so it is listed there.
    same(runner, ["./confined", "landlock", "./mine", ""], prepare=prepare, stderr=False)


def first_lines(folder):
    """Names of scripts, and their first lines, of which the kernel reads 256 bytes."""
    show = folder + "/show"
    path = folder + "/" + "/" * (250 - len(folder)) + "show"  # with "#!" it ends one byte early
    longer = folder + "/" + "/" * (251 - len(folder)) + "show"
    return {"plain": f"#!{show} -a b  c \t\n", "tabs": f"#!\t {show}\t\n", "blank": "#! \t\n", "returned": f"#!{show}\r\n",
            "bare": "#!", "zero": f"#!{show}\0 x\n", "zero in argument": f"#!{show} a\0b\n", "no end": f"#!{show} x",
            "cut": f"#!{show} " + "a" * 300 + "\n", "whole": f"#!{show} ".ljust(255, "a") + "\n",
            "all blank": "#!" + " " * 300 + f"{show}\n", "fits": f"#!{path} x\n", "ends": f"#!{path}\n",
            "longer": f"#!{longer} x\n", "behind": f"#!{path}-and-more\n", "missing": "#!/no/such x\n",
            "folder": "#!/tmp\n", "none": "echo no first line $0 $*\n", "empty": ""}


def case_first_lines(runner):
    """Of the script that run is given: interpreter and argument are the kernel's, and what it refuses goes to a shell."""
    def prepare(folder):
        build(folder, "show", SHOW)
        for name, text in first_lines(folder).items():
            write(folder, name, text, 0o755)

    for name in first_lines("."):
        said = []
        for start in ("env",), under_run(()):
            folder = runner.folder(prepare)
            outcome = runner.execute([*start, f"./{name}", "one", "two"], folder)
            said.append((outcome.status == 0, outcome.stdout.replace(folder, "@DIR@"), outcome))
        check(said[0][:2] == said[1][:2], f"{name}:\n{said[0][2]}\n=== under run\n{said[1][2]}")


SHOW = r"""
#include <stdio.h>
int main(int argc, char** argv) {
  for (int i = 0; i < argc; i++) printf("[%s]", argv[i]);
  return puts(""), 0;
}
"""


BY_DESCRIPTOR = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
static void go(const char* name, int folder, const char* path) {
  char* words[] = {"x", (char*)name, 0};
  if (fork() == 0) {
    syscall(SYS_execveat, folder, path, words, environ, AT_EMPTY_PATH);
    printf("%s: %s\n", name, strerrorname_np(errno));
    fflush(stdout);
    _exit(0);
  }
  wait(0);
}
int main(int argc, char** argv) {
  if (strcmp(argv[0], "from") != 0) {
    char comm[16];
    prctl(PR_GET_NAME, comm);
    if (argc == 2) return printf("%s: comm %s\n", argv[1], comm), 0;
    for (int i = 0; i < argc; i++) printf("%s ", argv[i]);
    return printf("execfn %s, comm %s\n", (char*)getauxval(AT_EXECFN), comm), 0;
  }
  const int memory = memfd_create("copy", 0), elf = memfd_create("elf", MFD_CLOEXEC);
  struct stat status;
  stat("from", &status);
  sendfile(elf, open("from", O_RDONLY | O_CLOEXEC), 0, status.st_size);
  write(memory, "#!./link one\n", 13);
  go("script", open("script", O_RDONLY), "");
  go("script of a script", open("outer", O_RDONLY), "");
  go("closed", open("script", O_RDONLY | O_CLOEXEC), "");
  go("folder", open(".", O_RDONLY), "script");
  go("closed folder", open(".", O_RDONLY | O_CLOEXEC), "script");
  go("path", open("script", O_PATH), "");
  go("memory", memory, "");
  go("program", open("link", O_RDONLY | O_CLOEXEC), "");
  go("program in memory", elf, "");
  return 0;
}
"""


def case_scripts_by_descriptor(runner):
    """The kernel gives the interpreter /dev/fd/3 as the script's name, which a closed one has not."""
    def prepare(folder):
        build(folder, "from", BY_DESCRIPTOR, "-w")
        os.symlink("from", os.path.join(folder, "link"))
        write(folder, "script", "#!./link one\n", 0o755)
        write(folder, "outer", "#!./script two\n", 0o755)

    # Before 6.14 comm is the descriptor's number, where the descriptor is the whole name.
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    drop = [] if release >= (6, 14) else [(", comm .*", "")]
    same(runner, [PYTHON, "-c", "import os; os.execv('./from', ['from'])"], prepare=prepare, normalise=drop)
    folder = runner.folder(prepare)
    outcome = runner.execute(under_run(["bash", "-c", "exec -a from ./from"], "--hook", "count:each"), folder)
    check(len(counts(outcome.stderr)) >= 6, f"not followed: {outcome}")


def case_natives_by_descriptor(runner):
    """What is listed has a name, although the call gave none."""
    def prepare(folder):
        build(folder, "suid", WRITES)
        os.chmod(os.path.join(folder, "suid"), 0o4755)

    script = "import os; os.execve(os.open('suid', os.O_RDONLY), ['x'], {})"
    same(runner, [PYTHON, "-c", script], prepare=prepare, natives=["/.*/suid: it is setuid"])


def case_valgrind(runner):
    """Its tools are static programs without a C library, whose one function for calls nothing describes."""
    same(runner, ["valgrind", "-q", "--trace-children=yes", "sh", "-c", "ls /etc/hostname; exit 3"], status=3)
    same(runner, ["valgrind", "-q", "--tool=none", "perl", "-e", "print fork ? wait > 0 : 1"])
    # At fixed addresses: it reads the file itself, and knows of nothing beside it.
    same(runner, ["valgrind", "-q", "--tool=none", "/bin/busybox", "ls", "-d", "/etc/hostname"])
