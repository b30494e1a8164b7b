"""The names by which a program knows itself: AT_EXECFN, comm and /proc/self/exe."""
import os

from comparison import PYTHON, build, same, source_of


def case_own_exe(runner):
    """/proc/self/exe is the program for every call that follows it, whoever the kernel has executed."""
    text = source_of("own_exe")
    for flags in ((), ("-static",)):
        for hook in ("none", "pass:entry:exit"):
            same(runner, ["./own", "own"], prepare=lambda f: build(f, "own", text, "-w", *flags),
                 options=("--hook", hook))


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
        same(runner, [PYTHON, "-c", script])
