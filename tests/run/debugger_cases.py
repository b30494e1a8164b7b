"""Debuggers and tracers that run under `run`, and find in what they start what they would have found."""
import os
import re
import shutil
import subprocess

from comparison import SYSLOAD, SYSREWRITE, build, check, environment, same, source_of, tool, write

ADDRESSES = [(r"0x[0-9a-f]+", "@ADDRESS@"), (r"\b(process|LWP) \d+", r"\1 @PID@")]

DEBUGGED = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static int innermost(int x) { return getpid() > 0 ? x + 1 : 0; }
static void* thread(void* x) { return (void*)(long)innermost(*(int*)x); }
int main(int argc, char** argv) {
  int x = argc;
  pthread_t one;
  void* answer;
  pthread_create(&one, 0, thread, &x);
  pthread_join(one, &answer);
  void* library = dlopen("./libplugin.so", RTLD_NOW);
  int (*plugin)(int) = library ? (int (*)(int))dlsym(library, "plugin") : innermost;
  printf("%ld %d\n", (long)answer, plugin(x));
  return innermost(x);
}
"""
PLUGIN = "#include <unistd.h>\nint plugin(int x) { return getppid() > 0 ? x * 2 : 0; }\n"
LINKED = {"position-independent": (), "at a fixed address": ("-no-pie",), "static": ("-static",),
          "static-PIE": ("-static-pie",)}


def gdb(*commands):
    words = [tool("gdb"), "-nx", "-batch"]
    for command in ("set breakpoint pending on", "set print thread-events off", *commands):
        words += ["-ex", command]
    return [*words, "--args", "./prog", "a", "b"]


def prepare(*flags):
    def build_both(folder):
        build(folder, "libplugin.so", PLUGIN, "-g", "-O0", "-shared", "-fPIC")
        build(folder, "prog", DEBUGGED, "-g", "-O0", "-w", "-Wl,--no-warnings", *flags)

    return build_both


def case_gdb(runner):
    """Breakpoints, frames of the program, a thread and a plugin, and the list of libraries."""
    commands = gdb("break innermost", "break plugin", "run", "bt", "info threads 2", "continue", "bt", "finish",
                   "continue", "bt", "continue")
    for how, flags in LINKED.items():
        ours = same(runner, commands, prepare=prepare(*flags), normalise=ADDRESSES)
        frames = re.findall(r"(?m)^#\d+ .*?\b(innermost|thread|plugin|main) \(", ours.stdout)
        check(frames == ["innermost", "thread", "plugin", "main", "innermost", "main"], f"{how}: frames {frames}\n{ours}")


def case_gdb_lists_libraries(runner):
    """Those that are there at the start, and one that is opened later."""
    ours = same(runner, gdb("break plugin", "run", "info sharedlibrary"), prepare=prepare(), normalise=ADDRESSES)
    for library in ("ld-linux-x86-64.so.2", "libc.so.6", "libplugin.so"):
        check(re.search(rf"(?m)^@ADDRESS@ +@ADDRESS@ +Yes .*{library}$", ours.stdout), f"no {library}\n{ours}")


def case_gdb_from_the_first_instruction(runner):
    """gdb stops before the program's ld.so has run, knows where it is, and steps on."""
    ours = same(runner, gdb("starti", "info symbol $pc", "print/x $rsp % 16", "print/x $rdx | $rbp", "print/x $eflags",
                            "stepi", "info symbol $pc", "info sharedlibrary"), prepare=prepare(), normalise=ADDRESSES)
    check("_start in section .text of /lib64/ld-linux-x86-64.so.2" in ours.stdout, str(ours))


def case_tracers_find_the_program(runner):
    """The kernel's SIGTRAP of an execve shows a tracer the program and its ld.so, not sysload."""
    def build_all(folder):
        build(folder, "tracer", source_of("traced_start"), "-w")
        for name, flags in (("pie", ()), ("fixed", ("-no-pie",)), ("static", ("-static",)), ("spie", ("-static-pie",))):
            build(folder, name, "int main(int c, char** v) { return c; }\n", *flags)
        write(folder, "script", "#!./static\n", 0o755)

    for name in ("pie", "fixed", "static", "spie"):
        same(runner, ["./tracer", "./" + name, "x"], prepare=build_all)
    same(runner, ["./tracer", "./script", "x"], prepare=build_all)


PLUGIN_WITH_CONSTRUCTOR = r"""
#include <unistd.h>
static int construct(int x) { return getppid() > 0 ? x : 0; }
__attribute__((constructor)) static void constructor(void) { construct(1); }
int plugin(int x) { return getppid() > 0 ? x * 2 : 0; }
"""
IN_TREE = (*ADDRESSES, (r"warning: Loadable section \"\.eh_frame\" outside of ELF segments\n  in \S*/(ld\S+)\n", ""))


def make_tree(root, place, compiler, ld_so, libraries):
    """A program, a plugin and their C library, which are to be found in `place`."""
    for name in (ld_so, *libraries):
        os.makedirs(os.path.dirname(root + name), exist_ok=True)
        shutil.copy2(os.path.realpath(name), root + name)
    build(root, "libplugin.so", PLUGIN_WITH_CONSTRUCTOR, "-g", "-O0", "-shared", "-fPIC", compiler=compiler)
    folders = ":".join(place + os.path.dirname(name) for name in (ld_so, *libraries))
    build(root, "prog", DEBUGGED, "-g", "-O0", "-w", f"-Wl,--dynamic-linker={place}{ld_so}", f"-Wl,-rpath,{folders}",
          compiler=compiler)


def case_gdb_in_a_tree(runner):
    """In a tree that batch has rewritten gdb finds a plugin, its constructor and ld.so's frames, and warns of nothing
    but unwind tables that lie outside of segments."""
    commands = gdb("break construct", "break plugin", "run", "bt", "info sharedlibrary", "continue", "bt", "continue")
    for compiler, ld_so, libraries in (("gcc", "/lib64/ld-linux-x86-64.so.2", ["/lib/x86_64-linux-gnu/libc.so.6"]),
                                       ("musl-gcc", "/lib/ld-musl-x86_64.so.1", [])):
        folder = runner.folder()
        native, ours, place = folder + "/native", folder + "/ours", folder + "/tree"
        make_tree(native, place, compiler, ld_so, libraries)
        shutil.copy2(native + "/prog", native + "/later")
        subprocess.run([SYSREWRITE, "batch", "-q", native, "-o", ours, "--install-sysload", "--loader", SYSLOAD,
                        "--interp", folder + "/sysload"], check=True, timeout=120)
        shutil.copy2(ours + folder + "/sysload", folder)
        # As it was, and started by what stands at ld.so's name.
        shutil.copy2(native + "/prog", ours + "/later")
        for program in ("./prog", "./later"):
            found = []
            for root in (native, ours):
                os.symlink(root, place)
                done = subprocess.run([*commands[:-3], program, *commands[-2:]], cwd=place, text=True, timeout=120,
                                      capture_output=True, env=environment(folder), check=False)
                os.remove(place)
                text = done.stdout + done.stderr
                for pattern, instead in IN_TREE:
                    text = re.sub(pattern, instead, text)
                found.append(text)
            check(found[0] == found[1], f"{ld_so} {program}\n=== natively\n{found[0]}\n=== rewritten\n{found[1]}")
            frames = re.findall(r"(?m)^#\d+ .*?\b(construct|constructor|plugin|main) \(", found[1])
            # musl's has no unwind tables.
            through_ld_so = ["main"] if compiler == "gcc" else []
            check(frames == ["construct", "constructor", *through_ld_so, "plugin", "main"], f"{frames}\n{found[1]}")
