#!/usr/bin/python3
"""Outputs of --embed=segment go through what packaging pipelines do to files, and still run, prove and hold.
Usage: embed_test.py SYSREWRITE SYSLOAD WORK-DIRECTORY [unittest arguments]
"""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

SYSREWRITE, SYSLOAD = (os.path.abspath(path) for path in sys.argv[1:3])
WORK = pathlib.Path(sys.argv[3]).absolute()

SOURCE = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
static char large[3 << 20];
int main(int count, char **names) {
  int fd = open("/dev/zero", O_RDONLY), status = 0;
  long got = read(fd, large, sizeof large);
  void *heap = malloc(200000); /* brk has to grow behind the trampoline */
  if (fork() == 0) _exit(7);
  wait(&status);
  printf("%d arguments, %ld bytes, heap %d, child %d\n", count, got, heap != NULL, WEXITSTATUS(status));
  return 3;
}
"""
LIBRARY = r"""
#include <unistd.h>
#include <sys/syscall.h>
long ask(void) { return syscall(SYS_getppid) == getppid(); }
long own(void) { long r; __asm__ volatile("mov $39, %%eax; syscall" : "=a"(r) : : "rcx", "r11", "memory"); return r == getpid(); }
"""

# Needs its unwind tables: exceptions through frames with landing pads, and a walk over all callers.
THROWING = r"""
#include <cstdio>
#include <cstdlib>
#include <execinfo.h>
#include <stdexcept>
#include <string>
#include <unistd.h>
struct Noisy { ~Noisy() { std::puts("gone"); } };
extern "C" __attribute__((noinline)) int deep(int n) {
  Noisy noisy;
  if (n > 0) return deep(n - 1) + 1;
  void *frames[64];
  std::printf("%d frames\n", backtrace(frames, 64));
  if (close(-1) != 0) throw std::runtime_error("as " + std::to_string(n));
  return 0;
}
int main() {
  for (int i = 0; i < 3; ++i) try { return deep(i); } catch (const std::exception &e) { std::puts(e.what()); }
  return 4;
}
"""

# What Debian's and others' packaging runs over programs and libraries.
TOOLS = {
    "nothing": [],
    "GNU strip": ["strip"],
    "GNU strip of debugging symbols": ["strip", "--strip-debug", "--remove-section=.comment", "--remove-section=.note"],
    "GNU strip --strip-unneeded": ["strip", "--strip-unneeded"],
    "GNU objcopy": ["objcopy"],
    "LLVM's strip": ["llvm-strip"],
    "LLVM's objcopy": ["llvm-objcopy"],
    "elfutils' strip": ["eu-strip"],
}


def run(*command, **keywords):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **keywords)


class Embedding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        (WORK / "program.c").write_text(SOURCE)
        (WORK / "library.c").write_text(LIBRARY)
        cls.build_tree()

    @classmethod
    def built(cls, name, compiler, *options, source="program.c"):
        done = run(compiler, "-O1", "-g", "-o", WORK / name, WORK / source, *options)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return WORK / name

    # ld.so as others find it, rewritten in its place, and the C library with its trampoline as segments.
    @classmethod
    def build_tree(cls):
        tree = WORK / "tree"
        tree.mkdir()
        host = pathlib.Path("/lib/x86_64-linux-gnu")
        cls.rewritten((host / "ld-linux-x86-64.so.2").resolve(), tree / "ld.so", "end")
        cls.rewritten((host / "libc.so.6").resolve(), tree / "libc.so.6")
        cls.rewritten(cls.built("libask.so", "gcc", "-shared", "-fPIC", source="library.c"), tree / "libask.so")

    @classmethod
    def rewritten(cls, path, output=None, where="segment", options=()):
        output = output or path.with_name(path.name + ".out")
        done = run(SYSREWRITE, "-q", f"--embed={where}", *options, "--interp", SYSLOAD, path, output)
        if done.returncode != 0 or done.stderr:
            raise AssertionError(done.stderr)
        return output

    def after(self, tool, path):
        """A copy of the file that has been through the tool; None where the tool refuses the original, too."""
        command = TOOLS[tool]
        copy = WORK / "copy"
        shutil.copy(path, copy)
        if command:
            done = run(*command, copy)
            self.assertEqual((done.returncode, done.stderr), (0, ""), f"{tool} of {path}")
        return copy

    def count_of_calls(self, program, *arguments, env=os.environ):
        done = run(program, *arguments, env={**env, "SYSLOAD_HOOK": "count"})
        table = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*?(\w+)$", done.stderr, re.M)
        return done, {name: int(count) for count, name in table}

    def check_program(self, path):
        native = run(path, "an argument")
        output = self.rewritten(path)
        original = run(SYSREWRITE, "verify", "-q", output, "--against", path)
        self.assertEqual((original.returncode, original.stderr), (0, ""))
        for tool in TOOLS:
            if path.name == "static" and tool.startswith("LLVM"):
                # LLVM 14 refuses the unpatched program as well: .rela.plt's sh_link.
                self.assertNotEqual(run(*TOOLS[tool], path, WORK / "refused").returncode, 0)
                continue
            with self.subTest(tool=tool, program=path.name):
                copy = self.after(tool, output)
                done, calls = self.count_of_calls(copy, "an argument")
                self.assertEqual((done.stdout, done.returncode), (native.stdout, native.returncode), done.stderr)
                if path.name.startswith(("static", "musl")):
                    self.assertGreaterEqual(calls.get("read", 0), 1, done.stderr)
                    self.assertEqual(calls.get("wait4"), 1, done.stderr)
                self.check_reading(tool, copy)

    def check_reading(self, tool, copy):
        verdict = run(SYSREWRITE, "verify", copy)
        self.assertEqual(verdict.returncode, 0, verdict.stderr)
        shown = run(SYSREWRITE, "inspect", copy)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("the trampoline is a segment", shown.stdout)
        again = run(SYSREWRITE, copy, WORK / "again")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("already", again.stderr)
        back = run(SYSREWRITE, "restore", "-q", copy, WORK / "back")
        if tool == "nothing":
            self.assertEqual(back.returncode, 0, back.stderr)
            self.assertNotIn("anew", shown.stdout + verdict.stderr)
        elif back.returncode != 0:
            # Who changed the file is told apart from who did not.
            self.assertIn("written anew", back.stderr)
            self.assertIn("written anew", verdict.stderr)
            self.assertIn("written anew", shown.stdout)

    def test_static_glibc(self):
        self.check_program(self.built("static", "gcc", "-static"))

    def test_static_pie(self):
        self.check_program(self.built("static-pie", "gcc", "-static-pie"))

    def test_musl_static(self):
        self.check_program(self.built("musl-static", "musl-gcc", "-static"))

    def test_dynamic(self):
        self.check_program(self.built("dynamic", "gcc"))
        self.check_program(self.built("fixed", "gcc", "-no-pie"))
        self.check_program(self.built("lld", "clang", "-fuse-ld=lld"))
        self.check_program(self.built("dynamic-musl", "musl-gcc"))

    # Its numbers and its hash table of half a megabyte are no reason to refuse it.
    def test_a_large_program(self):
        node = pathlib.Path("/usr/bin/node")
        output = self.rewritten(node, WORK / "node")
        proof = run(SYSREWRITE, "verify", "-q", output, "--against", node)
        self.assertEqual((proof.returncode, proof.stderr), (0, ""))
        for tool in ("nothing", "GNU strip"):
            done = run(self.after(tool, output), "-e", "console.log(process.version, 6 * 7)")
            self.assertEqual((done.returncode, done.stderr, done.stdout.split()[1:]), (0, "", ["42"]), tool)

    def test_exceptions_and_walks_over_callers(self):
        (WORK / "throwing.cc").write_text(THROWING)
        builds = {"static": ("g++", "-static"), "static-pie": ("g++", "-static-pie"), "dynamic": ("g++",),
                  "lld": ("clang++", "-fuse-ld=lld")}
        for name, (compiler, *options) in builds.items():
            for symbols in ([], ["--symbols"]):
                path = self.built("throwing-" + name, compiler, *options, source="throwing.cc")
                native = run(path)
                self.assertEqual(native.stdout.count("gone"), 6)
                output = self.rewritten(path, options=symbols)
                self.assertEqual(run(SYSREWRITE, "verify", "-q", output, "--against", path).returncode, 0)
                for tool in TOOLS:
                    if name == "static" and tool.startswith("LLVM"):
                        continue  # as in check_program()
                    with self.subTest(tool=tool, program=path.name, symbols=symbols):
                        done = run(self.after(tool, output))
                        self.assertEqual((done.stdout, done.stderr, done.returncode), (native.stdout, "", 4))

    def frames(self, path):
        """Offset and code of each FDE, as binutils read them."""
        shown = run("readelf", "--debug-dump=frames", path)
        self.assertEqual(shown.stderr, "")
        lines = re.findall(r"^([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ FDE cie=\S+ pc=([0-9a-f]+)\.\.([0-9a-f]+)", shown.stdout, re.M)
        return [tuple(int(number, 16) for number in line) for line in lines]

    def test_others_read_the_unwind_tables(self):
        (WORK / "throwing.cc").write_text(THROWING)
        libc = pathlib.Path("/lib/x86_64-linux-gnu/libc.so.6").resolve()
        paths = [libc] + [self.built("read-" + name, "g++", "-" + name, source="throwing.cc")
                          for name in ("static", "static-pie")]
        for path in paths:
            with self.subTest(path=path.name):
                output = self.rewritten(path, WORK / (path.name + ".out"))
                sites = run(SYSREWRITE, "inspect", "--json", output)
                stubs = [site for site in json.loads(sites.stdout)["sites"] if site["tier"] != "native"]
                before, after = self.frames(path), self.frames(output)
                self.assertEqual(after[:len(before)], before)
                self.assertGreaterEqual(len(after) - len(before), len(stubs) - 4)
                self.assertGreater(len(stubs), 100)
                if path.name != "read-static":  # which has no search table
                    self.check_search_table(output, after)

    def check_search_table(self, output, frames):
        shown = run("eu-readelf", "-e", output)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        table = shown.stdout[shown.stdout.index("Call frame search table"):]
        self.assertEqual(int(re.search(r"fde_count: +(\d+)", table)[1]), len(frames))
        found = re.findall(r"^  (0x\w+) \(offset: .*\) -> 0x\w+ fde=\[ *([0-9a-f]+)\]$", table, re.M)
        at = re.search(r"\.eh_frame_hdr +\w+ +([0-9a-f]+)", run("readelf", "-SW", output).stdout)
        codes = [(int(at[1], 16) + int(code, 16)) % 2**32 for code, _ in found]
        self.assertEqual(list(zip(codes, (int(entry, 16) for _, entry in found))),
                         sorted(((code, offset) for offset, code, _ in frames), key=lambda pair: pair[0]))

    def test_libraries_of_a_rewritten_tree(self):
        tree = WORK / "tree"
        program = self.built("in-tree", "gcc", f"-Wl,--dynamic-linker={tree}/ld.so", f"-Wl,-rpath,{tree}",
                             f"-L{tree}", "-Wl,--no-as-needed", "-lask")
        native = run(self.built("outside", "gcc"), "an argument")
        output = self.rewritten(program)
        for tool in TOOLS:
            with self.subTest(tool=tool):
                copies = tree / "copies"
                shutil.rmtree(copies, ignore_errors=True)
                copies.mkdir()
                for name in ("libc.so.6", "libask.so"):
                    shutil.copy(self.after(tool, tree / name), copies / name)
                shutil.copy(self.after(tool, output), copies / "program")
                by_path = {**os.environ, "LD_LIBRARY_PATH": str(copies)}
                for command in ([copies / "program"],
                                [tree / "ld.so", "--library-path", copies, copies / "program"]):
                    done, calls = self.count_of_calls(*command, "an argument", env=by_path)
                    self.assertEqual((done.stdout, done.returncode), (native.stdout, native.returncode), done.stderr)
                    self.assertEqual(calls.get("wait4"), 1, done.stderr)
                    self.assertGreaterEqual(calls.get("openat", 0), 2)

    def test_dlopen_and_dlclose(self):
        tree = WORK / "tree"
        (WORK / "opens.c").write_text(r"""
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **names) {
  for (int i = 0; i < 50; ++i) {
    void *library = dlopen(names[1], RTLD_NOW);
    if (!library) return puts(dlerror()), 1;
    long (*ask)(void) = (long (*)(void))dlsym(library, "ask"), (*own)(void) = (long (*)(void))dlsym(library, "own");
    if (!ask() || !own()) return puts("wrong"), 1;
    dlclose(library);
  }
  return puts("fine"), 0;
}
""")
        program = self.built("opens", "gcc", f"-Wl,--dynamic-linker={tree}/ld.so", f"-Wl,-rpath,{tree}",
                             source="opens.c")
        output = self.rewritten(program)
        done, calls = self.count_of_calls(output, tree / "libask.so")
        self.assertEqual((done.stdout, done.returncode), ("fine\n", 0), done.stderr)
        self.assertGreaterEqual(calls["getpid"], 100)  # 50 of the library's own site

    def test_the_stubs_are_one_readable_section_and_never_writable(self):
        output = self.rewritten(self.built("sections", "gcc", "-static-pie"))
        sections = run("readelf", "-SW", output)
        self.assertEqual(sections.stderr, "")
        self.assertRegex(sections.stdout, r"\.sysrewrite\.text +PROGBITS .* AX ")
        segments = run("readelf", "-lW", output)
        self.assertEqual(segments.stderr, "")
        self.assertNotRegex(segments.stdout, r"LOAD .* RWE ")
        code = run("objdump", "-d", "-j", ".sysrewrite.text", output)
        self.assertGreater(code.stdout.count("jmp    *"), 50)

    def notes(self, path):
        """What tools find by the program headers alone: build IDs and the ABI. Properties are in sections, too, where their
        readers look for them, and may have to make room."""
        copy = bytearray(path.read_bytes())
        copy[40:48] = bytes(8)  # e_shoff
        copy[58:64] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
        bare = WORK / "bare-notes"
        bare.write_bytes(copy)
        return sorted(re.findall(r"Build ID: \w+|ABI: \S+", run("readelf", "-nW", bare).stdout))

    def test_headers_name_their_table_segments_ascend_and_notes_stay(self):
        for name, compiler, *options in (("static", "gcc", "-static"), ("pie", "gcc"), ("fixed", "gcc", "-no-pie"),
                                         ("lld", "clang", "-fuse-ld=lld"), ("musl", "musl-gcc")):
            with self.subTest(program=name):
                path = self.built("headers-" + name, compiler, *options, "-Wl,--build-id")
                output = self.rewritten(path)
                headers = run("readelf", "-hW", output).stdout
                table, count = (int(re.search(rf"{what}: +(\d+)", headers).group(1))
                                for what in ("Start of program headers", "Number of program headers"))
                segments = re.findall(r"^ +(\w+) +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) ", run("readelf", "-lW", output).stdout, re.M)
                segments = [(kind, *(int(number, 16) for number in rest)) for kind, *rest in segments]
                self.assertEqual(len(segments), count)
                starts = [address for kind, _, address, _ in segments if kind == "LOAD"]
                self.assertEqual(starts, sorted(starts))
                kinds = [kind for kind, *_ in segments]
                for first in ("PHDR", "INTERP"):
                    if first in kinds:
                        self.assertLess(kinds.index(first), kinds.index("LOAD"))
                own = [(offset, size) for kind, offset, _, size in segments if kind == "PHDR"]
                self.assertIn(own, ([], [(table, 56 * count)]))
                self.assertEqual(own == [], name == "static")
                notes = self.notes(path)
                self.assertEqual(len(notes), 1 if name == "musl" else 2, notes)
                self.assertEqual(self.notes(output), notes)

    def test_while_it_runs_nothing_of_it_can_be_written(self):
        output = self.rewritten(self.built("maps", "gcc", "-static", source=self.write("maps.c", r"""
#include <stdio.h>
int main(void) { char line[512]; FILE *maps = fopen("/proc/self/maps", "r"); while (fgets(line, 512, maps)) fputs(line, stdout); return 0; }
""")))
        headers = run("readelf", "-lW", output).stdout
        loads = re.findall(r"LOAD +\S+ (0x\S+) \S+ \S+ (0x\S+) (...)", headers)
        data = int(loads[-2][0], 16)
        maps = run(output).stdout
        lines = [line for line in maps.splitlines() if line.startswith(f"{data:08x}-")]
        self.assertEqual(len(lines), 1, maps)
        self.assertRegex(lines[0], r" r--p ")

    def write(self, name, text):
        (WORK / name).write_text(text)
        return name

    def test_the_same_input_gives_the_same_bytes(self):
        path = self.built("same", "gcc", "-static")
        first = self.rewritten(path).read_bytes()
        self.assertEqual(self.rewritten(path, WORK / "elsewhere").read_bytes(), first)

    def refusal(self, *command):
        done = run(SYSREWRITE, *command, WORK / "refused")
        self.assertEqual(done.returncode, 1)
        self.assertFalse((WORK / "refused").exists())
        return done.stderr

    def test_refusals(self):
        for path in WORK.glob("refused"):
            path.unlink()
        ld = pathlib.Path("/lib64/ld-linux-x86-64.so.2").resolve()
        self.assertIn("it is an interpreter", self.refusal("--embed=segment", ld))
        bare = bytearray(self.built("bare", "gcc", "-static").read_bytes())
        del bare[struct.unpack_from("<Q", bare, 40)[0]:]
        bare[40:48] = bytes(8)  # e_shoff
        bare[58:64] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
        (WORK / "bare").write_bytes(bare)
        self.assertIn("no section headers", self.refusal("--embed=segment", "--force", WORK / "bare"))
        static = self.built("plain", "gcc", "-static")
        self.assertIn("LiteBox", self.refusal("--embed=segment", "--format=litebox", static))

    def test_more_sections_than_the_header_can_count(self):
        code = "_start: mov $60, %eax; xor %edi, %edi; syscall\n"
        sections = "".join(f'.section s{i}, "", @progbits\n.byte 1\n' for i in range(66000))
        (WORK / "many.s").write_text(".globl _start\n" + code + sections)
        subprocess.run(["gcc", "-nostdlib", "-static", "-o", WORK / "many", WORK / "many.s"], check=True)
        header = subprocess.run(["readelf", "-h", WORK / "many"], capture_output=True, text=True, check=True).stdout
        self.assertRegex(header, r"Number of section headers: +0 \(66\d{3}\)")
        self.assertIn("it has more sections than e_shnum can say", self.refusal("--embed=segment", WORK / "many"))
        subprocess.run([SYSREWRITE, "-q", WORK / "many", WORK / "many.out"], check=True)
        subprocess.run([SYSREWRITE, "verify", "-q", WORK / "many.out", "--against", WORK / "many"], check=True)
        subprocess.run([SYSLOAD, WORK / "many.out"], check=True)

    def test_a_damaged_one_does_not_start(self):
        output = self.rewritten(self.built("whole", "gcc", "-static"))
        contents = bytearray(output.read_bytes())
        stubs = int(re.search(r"LOAD +(0x\S+) [^\n]*R E 0x1000\n +(?:GNU_STACK|TLS|NOTE|DYNAMIC|GNU_RELRO)",
                              run("readelf", "-lW", output).stdout).group(1), 16)
        contents[stubs + 3] ^= 1
        output.write_bytes(contents)
        done = run(output)
        self.assertEqual(done.returncode, 127)
        self.assertRegex(done.stderr, r"\Asysload: trailer: .*changed after it was rewritten")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
