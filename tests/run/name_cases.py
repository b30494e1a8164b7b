"""The names by which a program knows itself: AT_EXECFN, comm and /proc/self/exe."""
import os

from comparison import PYTHON, build, check, same, source_of, under_run, write


def case_own_exe(runner):
    """/proc/self/exe is the program for every call that follows it, whoever the kernel has executed."""
    text = source_of("own_exe")
    for flags in ((), ("-static",)):
        for hook in ("none", "pass:entry:exit"):
            same(runner, ["./own", "own"], prepare=lambda f: build(f, "own", text, "-w", *flags),
                 options=("--hook", hook))


def case_a_path_that_is_no_address(runner):
    """It is EFAULT, though nobody may fault there: neither end of the address space is looked at."""
    for flags in ((), ("-static",)):
        for hook in ("none", "pass:entry:exit"):
            same(runner, ["./program"], prepare=lambda f: build(f, "program", source_of("no_address"), "-w", *flags),
                 options=("--hook", hook))


WAYS_TO_BE_GONE = ["deleted", "renamed", "replaced", "replaced by nothing left", "above the root", "below the root",
                   "without proc", "memory", "memory without seals"]


def gone(folder):
    build(folder, "own", source_of("own_exe_gone"), "-w", "-static")
    build(folder, "dynamic", source_of("own_exe_gone"), "-w")
    build(folder, "other", "#include <stdio.h>\nint main(void) { return puts(\"another program\"), 7; }", "-static")
    os.chmod(folder, 0o777)
    os.chmod(write(folder, "data", "#!/bin/echo what an argument names was executed\n"), 0o755)


def case_own_exe_that_is_gone(runner):
    """/proc/self/exe is this very file, wherever its name leads by now; and an argument of its is no program."""
    for way in WAYS_TO_BE_GONE:
        for hook in ("none", "pass:entry:exit"):
            same(runner, ["unshare", "-m", "./own", "./own", way], prepare=gone, options=("--hook", hook))
    # Its ld.so is not there.
    same(runner, ["unshare", "-m", "./dynamic", "./dynamic", "above the root"], prepare=gone)


def case_own_exe_without_privileges(runner):
    """What has a name is found, and what never had one, and nothing else: only root can open a file that lost it."""
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    for way in "renamed", "replaced", "memory", "memory without seals":
        folders = [runner.folder(gone) for _ in range(2)]
        command = ["./own", "./own", way]
        native = runner.execute([*nobody, *command], folders[0])
        ours = runner.execute([*nobody, *under_run(command, "--no-cache")], folders[1])
        found = ours.stdout.replace(*reversed(folders))
        if way.startswith("memory"):  # a copy, that is
            found = found.replace("another file", "the program")
        check(found == native.stdout, f"{native}\n{ours}")
    for way in "deleted", "replaced by nothing left":
        outcome = runner.execute([*nobody, *under_run(["./own", "./own", way], "--no-cache")], runner.folder(gone))
        lines = outcome.stdout.splitlines()
        check(lines[-5:] == ["  open: -1, No such file or directory ", "  open to write: No such file or directory",
                             "  stat: No such file or directory ", "  access: No such file or directory",
                             "  execve: No such file or directory"], str(outcome))


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


def case_the_own_executable_by_its_proc_name(runner):
    for script in ("import os; print(os.path.getsize('/proc/self/exe'))",
                   "import hashlib; print(hashlib.md5(open('/proc/self/exe', 'rb').read()).hexdigest())",
                   "import os; os.execv('/proc/self/exe', ['python3', '-c', 'print(5)'])"):
        for options in ((), ("--no-follow",)):
            same(runner, [PYTHON, "-c", script], options=options)


def case_the_own_executable_without_a_server(runner):
    """Where nobody can say what is rewritten, it is the program all the same."""
    script = "import os; os.execv('/proc/self/exe', ['python3', '-c', 'print(5)', 'data'])"
    native = runner.execute([PYTHON, "-c", script], runner.folder())
    other = ["setpriv", "--reuid", "65534", "--clear-groups"]
    outcome = runner.execute(under_run([*other, PYTHON, "-c", script]), runner.folder())
    check("native" in outcome.stderr and outcome.status == 0 and outcome.stdout == native.stdout, f"{native}\n{outcome}")
