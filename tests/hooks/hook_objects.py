#!/usr/bin/python3
"""Hooks that are shared objects: the examples, several in order, and what is refused."""

import os
import re
import subprocess
import sys
import unittest

from hook_programs import EXAMPLES, SOURCE, HookTest, SYSREWRITE, documented_flags, forbid_writable_code

COMPILERS = ("/usr/bin/gcc", "/usr/bin/clang")
CXX_FLAGS = ["-fno-exceptions", "-fno-rtti"]


class Examples(HookTest):
    def each(self, name):
        """The example as each compiler makes it, with and without optimization."""
        for compiler in COMPILERS:
            for more in ([], ["-O0"], ["-g", "-O3"]):
                flags, compile_with = documented_flags() + more, compiler
                if name.endswith(".cc"):
                    compile_with = compiler.replace("gcc", "g++").replace("clang", "clang++")
                    flags += CXX_FLAGS
                yield self.compiled(EXAMPLES / name, name + ".so", compile_with, flags)

    def test_count_opens_counts_what_strace_sees(self):
        words = ["cat=/etc/hostname", "cat=/nonexistent", "cat=/etc/passwd"]
        expected = self.counted_by_strace("open,openat", self.native, *words)
        self.assertEqual(expected, 3)
        for hook in self.each("count_opens.c"):
            done = self.hooked([hook], *words)
            self.assertEqual(done.stderr, f"{self.probe} opened 3 files and ended with 3\n")

    def test_count_opens_counts_a_dynamic_program(self):
        hook = self.compiled(EXAMPLES / "count_opens.c")
        expected = self.counted_by_strace("open,openat", "/bin/cat", "/etc/hostname")
        line = f"/bin/cat opened {expected} files and ended with 0\n"
        # cat closes its standard error before it ends.
        self.assertEqual(self.run_hooked([hook], "/bin/cat", "/etc/hostname").stderr, line)
        output = self.dir / "output"
        self.run_hooked([f"{hook}:output={output}"], "/bin/cat", "/etc/hostname")
        self.assertEqual(output.read_text(), line)

    def test_answer_getpid_answers_without_the_kernel(self):
        for hook in self.each("answer_getpid.c"):
            self.assertEqual(self.hooked([hook], "pid").stdout, "pid 42\n")
            self.assertEqual(self.hooked([f"{hook}:pid=7"], "pid").stdout, "pid 7\n")
        natively = self.counted_by_strace("getpid", self.native, "pid", "pid", "pid")
        self.assertEqual(natively, 3)
        command = [os.environ["SYSLOAD"], "--hook", hook, self.probe]
        of_sysload = self.counted_by_strace("getpid", *command)
        self.assertEqual(self.counted_by_strace("getpid", *command, "pid", "pid", "pid"), of_sysload)

    def test_a_hook_can_refuse_to_start(self):
        hook = self.compiled(EXAMPLES / "answer_getpid.c")
        done = self.hooked([f"{hook}:pid=x"], "say=started", expect=127)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr, f"sysload: hook: {hook}: pid=x is no number of a process\n")

    def test_rewrite_path_gives_another_file(self):
        (self.dir / "other").write_text("another file\n")
        for hook in self.each("rewrite_path.c"):
            spec = f"{hook}:from=/etc/hostname:to={self.dir}/other"
            done = self.hooked([spec], "cat=/etc/hostname", "cat=/etc/hostnam", "cat=/etc/hostname2")
            self.assertEqual(done.stdout, "another file\n/etc/hostnam: ENOENT\n/etc/hostname2: ENOENT\n")
        done = self.run_hooked([spec], "/bin/cat", "/etc/hostname")
        self.assertEqual(done.stdout, "another file\n")

    def test_timing_shows_each_call(self):
        for hook in self.each("timing.c"):
            done = self.hooked([hook], "pid", "pid", "cat=/etc/hostname", "mkdir=/proc/x")
            rows = {line.split()[2]: line.split() for line in done.stderr.splitlines()[1:]}
            self.assertEqual(rows["getpid"][0], "2", done.stderr)
            self.assertEqual(rows["mkdir"][0], "1")
            self.assertGreater(int(rows["mkdir"][1]), 10)
            self.assertNotIn("exit_group", rows)  # it does not return

    def test_bytes_per_thread_has_memory_for_each_thread(self):
        for hook in self.each("bytes_per_thread.cc"):
            done = self.hooked([hook], "threads")
            seen = dict(re.findall(r"^thread (\d+) wrote (\d+) bytes$", done.stderr, re.M))
            told = dict(re.findall(r"^(\d+) (\d+)$", done.stdout, re.M))
            self.assertEqual(len(told), 8)
            self.assertEqual({tid: seen.get(tid) for tid in told}, told, done.stderr)
            total = 10 * 100 * 36 + len(done.stdout)
            self.assertIn(f"all threads wrote {total} bytes\n", done.stderr)

    def test_a_child_ends_with_the_one_thread_that_it_has(self):
        """Its parent's threads are not there, so none of them is waited for."""
        for hook in self.each("bytes_per_thread.cc"):
            done = self.hooked([hook], "alone")
            self.assertEqual(done.stdout, "alone\nchild 1280\n")
            ends = re.sub(r"thread \d+ wrote", "thread T wrote", done.stderr)
            self.assertEqual(ends, "thread T wrote 6 bytes\nall threads wrote 6 bytes\nall threads wrote 11 bytes\n")

    def test_a_library_os_fills_the_slot_itself(self):
        for compiler in COMPILERS:
            guest, rewritten, host = self.dir / "guest", self.dir / "guest.rewritten", self.dir / "host"
            subprocess.run([compiler, "-O2", "-fPIE", "-static-pie", "-nostdlib", "-e", "guest", "-o",
                            guest, EXAMPLES / "guest.c"], check=True)
            subprocess.run([SYSREWRITE, "--quiet", "--no-interp", guest, rewritten], check=True)
            subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-mgeneral-regs-only", "-o",
                            host, EXAMPLES / "raw_slot.c"], check=True)
            done = self.execute([host, rewritten], 0)
            self.assertEqual(sorted(done.stdout.splitlines()),
                             ["the guest is process 42", "the guest writes"])
            self.assertEqual(self.execute([host, guest], 1).stderr, "raw_slot: it was not rewritten\n")

    def test_the_page_shows_the_examples_as_they_are(self):
        page = (SOURCE / "docs/hooks.md").read_text()
        first = (EXAMPLES / "count_opens.c").read_text()
        self.assertIn("```c\n" + first[first.index("#include"):] + "```", page)
        for example in EXAMPLES.iterdir():
            self.assertIn(example.name, page)
        self.assertIn(" ".join(documented_flags()), page)


class Several(HookTest):
    def test_the_first_that_answers_is_the_last_that_is_asked(self):
        getpid = self.compiled(EXAMPLES / "answer_getpid.c", "a.so")
        self.assertEqual(self.hooked([f"{getpid}:pid=1", f"{getpid}:pid=2"], "pid").stdout, "pid 1\n")

    def test_later_ones_see_what_earlier_ones_changed(self):
        rewrite = self.compiled(EXAMPLES / "rewrite_path.c", "r.so")
        (self.dir / "c").write_text("the third\n")
        chain = [f"{rewrite}:from=/a:to=/b", f"{rewrite}:from=/b:to={self.dir}/c"]
        self.assertEqual(self.hooked(chain, "cat=/a").stdout, "the third\n")
        self.assertEqual(self.hooked(chain[::-1], "cat=/a").stdout, "/a: ENOENT\n")

    def test_objects_and_built_in_ones_together(self):
        count = self.compiled(EXAMPLES / "count_opens.c", "count.so")
        policy = self.dir / "policy"
        policy.write_text("deny EACCES open, openat path is /etc/passwd\n")
        words = ["cat=/etc/passwd", "cat=/nonexistent"]
        first = self.hooked([count, f"deny:policy={policy}"], *words)
        self.assertEqual(first.stdout, "/etc/passwd: EACCES\n/nonexistent: ENOENT\n")
        self.assertIn("opened 2 files", first.stderr)
        behind = self.hooked([f"deny:policy={policy}", count], *words)
        self.assertEqual(behind.stdout, first.stdout)
        self.assertIn("opened 1 files", behind.stderr)

    def test_children_elsewhere_find_a_relative_object(self):
        self.compiled(EXAMPLES / "answer_getpid.c", "a.so")
        done = self.run_hooked(["./a.so"], "/bin/sh", "-c", f"cd /; {self.dynamic} pid; exit 0",
                               cwd=self.dir)
        self.assertEqual(done.stdout, "pid 42\n")


class Loading(HookTest):
    WRITES_MAPS = "cat=/proc/self/maps"

    def test_code_is_the_file_s_and_never_writable(self):
        for more in ([], ["-O0"], ["-Wl,-z,noseparate-code"]):
            hook = self.compiled("""#include <sysload/hook.h>
int x = 1; int* const where[] = {&x, &x}; char large[50000];
int sysload_hook_init(struct sysload_hook* hook) {
  hook->api->print(hook, "%p %p %p", (void*)sysload_hook_init, (void*)where, (void*)&large[49999]);
  return *where[hook->options[0] != 0] - 1; }""", flags=documented_flags() + more)
            done = self.hooked([hook], self.WRITES_MAPS)
            code, constants, data = (int(word, 16) for word in done.stderr.split())
            mappings = [line.split() for line in done.stdout.splitlines()]
            def mapping_of(address):
                for fields in mappings:
                    start, end = (int(word, 16) for word in fields[0].split("-"))
                    if start <= address < end:
                        return fields
                return self.fail(f"{address:x} is not mapped\n{done.stdout}")
            self.assertEqual((mapping_of(code)[1], mapping_of(code)[-1]), ("r-xp", str(hook)))
            # Relocated, and read-only afterwards.
            self.assertEqual((mapping_of(constants)[1], mapping_of(constants)[-1]), ("r--p", str(hook)))
            self.assertEqual(mapping_of(data)[1], "rw-p")
            self.assertFalse([fields for fields in mappings if "w" in fields[1] and "x" in fields[1]])

    def test_it_loads_where_writable_memory_may_not_become_executable(self):
        hook = self.compiled(EXAMPLES / "rewrite_path.c", flags=documented_flags() + ["-O0"])
        probe = subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); "
                                "import hook_programs; sys.exit(not hook_programs.forbid_writable_code())",
                                os.path.dirname(os.path.abspath(__file__))], check=False)
        self.assertEqual(probe.returncode, 0, "this kernel has no PR_SET_MDWE")
        done = self.hooked([f"{hook}:from=/a:to=/etc/hostname"], "cat=/a",
                           preexec_fn=forbid_writable_code)
        self.assertNotIn("ENOENT", done.stdout)

    def test_memory_functions_that_compilers_call_are_there(self):
        hook = self.compiled("""#include <sysload/hook.h>
void* memcpy(void*, const void*, size_t); void* memset(void*, int, size_t);
void* memmove(void*, const void*, size_t); int memcmp(const void*, const void*, size_t);
size_t strlen(const char*);
static char a[300], b[300];
int sysload_hook_init(struct sysload_hook* hook) {
  volatile size_t size = 300;
  memset(a, 7, size); memcpy(b, a, size); memmove(b + 1, b, size - 1);
  return memcmp(a, b, size) != 0 || strlen(hook->options) != 3 || b[299] != 7; }""",
                             flags=documented_flags() + ["-fno-builtin"])
        self.assertEqual(self.hooked([f"{hook}:abc"], "say=good").stdout, "good\n")

    def test_data_is_aligned_as_it_asks(self):
        hook = self.compiled("""#include <sysload/hook.h>
_Alignas(65536) int x[2];
int sysload_hook_init(struct sysload_hook* hook) { x[1] = 1; (void)hook;
  return ((uintptr_t)x & 65535) != 0; }""")
        for _ in range(8):
            self.hooked([hook], "say=good")

    def test_functions_find_the_stack_aligned_as_compilers_expect(self):
        """At a call by the psABI rsp + 8 is a multiple of 16, and so is the frame's address."""
        source = """#include <sysload/hook.h>
static int calls[7], askew;
#define LOOK(which) (++calls[which], askew += (uintptr_t)__builtin_frame_address(0) % 16 != 0)
static enum sysload_verdict entry(struct sysload_hook* h, struct sysload_thread* t, struct sysload_call* c) {
  LOOK(0); (void)h; (void)t; (void)c; return SYSLOAD_PASS; }
static void leave(struct sysload_hook* h, struct sysload_thread* t, struct sysload_call* c) {
  LOOK(1); (void)h; (void)t; (void)c; }
static void started(struct sysload_hook* h, struct sysload_thread* t) { LOOK(2); (void)h; (void)t; }
static void exiting(struct sysload_hook* h, struct sysload_thread* t) { LOOK(3); (void)h; (void)t; }
static void forked(struct sysload_hook* h, struct sysload_thread* t) { LOOK(4); (void)h; (void)t; }
static void finishing(struct sysload_hook* h, int status) {
  LOOK(5); (void)status;
  h->api->print(h, "called %d%d%d%d%d%d%d, askew %d", calls[0] > 0, calls[1] > 0, calls[2] > 0, calls[3] > 0,
                calls[4] > 0, calls[5] > 0, calls[6] > 0, askew); }
int sysload_hook_init(struct sysload_hook* hook) {
  LOOK(6);
  hook->entry = entry; hook->exit = leave; hook->thread_started = started; hook->thread_exiting = exiting;
  hook->forked = forked; hook->finishing = finishing; hook->flags = FLAGS;
  sysload_want_all(hook, 1, 1);
  return 0; }"""
        for flags in ("0", "SYSLOAD_VECTORS", "SYSLOAD_VECTORS | SYSLOAD_NO_X87"):
            hook = self.compiled(source.replace("FLAGS", flags))
            for hooks in ([hook], [hook, "pass:entry:exit"], ["pass:entry:exit", hook]):
                done = self.hooked(hooks, "pid", "threads", "cat=/proc/self/comm", "fork")
                found = re.findall(r"called (\d+), askew (\d+)", done.stderr)
                # Of the parent's functions all but forked() are called, of the child's that one too.
                self.assertEqual(sorted(found), [("1111011", "0"), ("1111111", "0")], done.stderr)


class Refusals(HookTest):
    INIT = "int sysload_hook_init(void* h) { (void)h; return 0; }\n"

    def refused(self, hook, why):
        done = self.hooked([hook], "say=started", expect=127)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr, f"sysload: hook: {hook}: {why}\n")
        again = self.run_hooked([hook], self.dynamic, "say=started", expect=127)
        self.assertEqual(again.stdout, "")
        self.assertIn(why, again.stderr)

    def test_a_second_output(self):
        hook = self.compiled(self.INIT)
        hooks = [f"{hook}:output={self.dir}/a:x:output={self.dir}/b"]
        for done in (self.hooked(hooks, "say=started", expect=127),
                     self.run_hooked(hooks, self.dynamic, "say=started", expect=127)):
            self.assertEqual(done.stdout, "")
            self.assertIn(f"sysload: hook: {hook}: output= is given twice\n", done.stderr)

    def test_a_library_that_it_needs(self):
        hook = self.compiled("int puts(const char*); int sysload_hook_init(void* h) { (void)h; "
                             "return puts(\"\"); }", flags=["-shared", "-fPIC"])
        self.refused(hook, "needs libc.so.6; compile with -nostdlib")

    def test_a_function_that_is_not_there(self):
        hook = self.compiled("int printf(const char*, ...); int sysload_hook_init(void* h) { (void)h; "
                             "return printf(\"%d\", 1); }")
        self.refused(hook, "refers to printf, which is not there; a hook may call only what hook.h names")

    def test_thread_local_storage(self):
        hook = self.compiled("_Thread_local int x; int sysload_hook_init(void* h) { (void)h; return x++; }",
                             flags=documented_flags() + ["-ftls-model=initial-exec"])
        self.refused(hook, "has thread-local variables, and %fs is the program's; use the thread's data "
                           "instead")

    def test_a_relocation_that_is_not_supported(self):
        hook = self.compiled("static int g(void) { return 1; } static void* pick(void) { return (void*)g; }\n"
                             "static int f(void) __attribute__((ifunc(\"pick\")));\n"
                             "int sysload_hook_init(void* h) { (void)h; return f(); }")
        self.refused(hook, "has a relocation R_X86_64_IRELATIVE; sysload applies relative ones and those "
                           "to the hook's own symbols")

    def test_constructors(self):
        hook = self.compiled("int x; __attribute__((constructor)) void f(void) { x = 1; }" + self.INIT)
        self.refused(hook, "has constructors, which nobody would run; compile with -nostdlib, and do "
                           "their work in sysload_hook_init")

    def test_no_init(self):
        self.refused(self.compiled("int other(void) { return 0; }"),
                     "exports no function sysload_hook_init")

    def test_a_segment_writable_and_executable(self):
        hook = self.compiled(self.INIT + "int x = 1;",
                             flags=documented_flags() + ["-Wl,-N", "-Wl,-z,noseparate-code"])
        self.refused(hook, "segment 0 is both writable and executable")

    def test_what_is_no_elf_file(self):
        text = self.dir / "text.so"
        text.write_text("#!/bin/sh\n" + "echo no ELF file at all\n" * 9)
        self.refused(text, "not an ELF file")
        (self.dir / "empty.so").touch()
        self.refused(self.dir / "empty.so", "the file is empty")
        self.refused(self.native, "not a shared object (e_type 2); compile with -shared -fPIC")

    def test_a_file_that_is_not_there(self):
        done = self.hooked([self.dir / "none.so"], "say=started", expect=127)
        self.assertEqual(done.stderr, f"sysload: hook: cannot open {self.dir}/none.so: ENOENT\n")
        done = self.hooked([self.dir], "say=started", expect=127)
        self.assertEqual(done.stderr, f"sysload: hook: cannot read {self.dir}: EISDIR\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
