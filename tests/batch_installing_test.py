#!/usr/bin/python3
"""`sysrewrite batch --install-sysload`: where sysload goes in a tree, and what it must not replace.
Usage: batch_installing_test.py SYSREWRITE SYSLOAD GOLDEN-SOURCES WORK-DIRECTORY [unittest arguments]
"""

import errno
import json
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

import batch_case
from batch_case import BatchTest, describe
from command_case import GCC, refuse_calls

LD_SO = "/lib64/ld-linux-x86-64.so.2"


class Installing(BatchTest):
    """--install-sysload, as far as files go; tests/run enters such a tree."""

    def install(self, *options, expect=0, **more):
        loader = () if "--loader" in options else ("--loader", batch_case.SYSLOAD)
        return self.batch("--install-sysload", *loader, "--json", *options, expect=expect, **more)

    def test_it_goes_where_programs_look(self):
        for path in ("usr/lib/x86_64-linux-gnu", "usr/lib64"):
            (self.tree / path).mkdir(parents=True)
        os.symlink("usr/lib64", self.tree / "lib64")
        os.symlink("usr/lib", self.tree / "lib")
        ld_so = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        shutil.copy(ld_so, self.tree / ld_so[1:])
        name = self.tree / "usr/lib64/ld-linux-x86-64.so.2"
        os.symlink("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", name)
        os.utime(self.tree / "usr/lib64", ns=(1, 1_000_000_000_000_000_002))
        report = json.loads(self.install().stdout)
        self.assertEqual(report["sysload"], ["/usr/lib/sysload", "/lib64/ld-linux-x86-64.so.2"])
        sysload = pathlib.Path(batch_case.SYSLOAD).read_bytes()
        there = self.out / "usr/lib64/ld-linux-x86-64.so.2"
        for path in (self.out / "usr/lib/sysload", there):
            self.assertFalse(path.is_symlink())
            # All but where its section headers are.
            self.assertEqual(path.read_bytes()[64:len(sysload)], sysload[64:])
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o755)
        self.assertEqual(os.readlink(f"{there}.rewritten"), os.readlink(name))
        self.run_command("verify", "-q", self.out / ld_so[1:])
        self.assertEqual(os.stat(self.out / "usr/lib64").st_mtime_ns, 1_000_000_000_000_000_002)
        # Once more: nothing changes but by name.
        again = self.dir / "again"
        self.run_command("batch", "--install-sysload", "--loader", batch_case.SYSLOAD, self.out, "-o", again)
        self.assertEqual(describe(again), describe(self.out))

    REAL = "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"

    def make_ld_so(self, under="", real=REAL):
        """As Debian has it: the file, and a link at the usual name."""
        root = self.tree / under
        for path in (root / real, root / "lib64/x"):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(LD_SO), root / real)
        os.symlink("/" + real, root / LD_SO[1:])

    def make_program(self, name, interpreter):
        """One that is not rewritten, as its payload forbids that, and names an interpreter."""
        source = self.dir / "program.c"
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run([GCC, source, "-o", self.tree / name, "-Wl,--dynamic-linker=" + interpreter], check=True)
        source.unlink()
        with open(self.tree / name, "ab") as file:
            file.write(b"PAYLOAD" * 100)

    def check_is_rewritten_ld_so(self, path):
        self.run_command("verify", "-q", path, "--against", os.path.realpath(LD_SO))

    def test_a_name_that_leads_to_another_is_a_link_to_sysload(self):
        """Whichever comes first: the names sort in one order or the other."""
        for real in (self.REAL, "usr/" + self.REAL):
            self.make_ld_so(real=real)
            os.symlink("../lib64/ld-linux-x86-64.so.2", self.tree / "lib64/ld.so")
            for number, name in enumerate((LD_SO, "/" + real, "//lib64/../lib64/./ld.so", "/lib/none", "/lib/..", "/")):
                self.make_program(f"program{number}", name)
            before = describe(self.tree)
            report = json.loads(self.install().stdout)
            self.assertEqual(report["sysload"], ["/usr/lib/sysload", "/" + real])
            self.assertEqual(report["ld_so_without_sysload"], [])
            self.assertIn(b"usage: sysload", (self.out / real).read_bytes())
            self.check_is_rewritten_ld_so(self.out / f"{real}.rewritten")
            after = describe(self.out)
            for name in (b"/lib64/ld-linux-x86-64.so.2", b"/lib64/ld.so"):
                self.assertEqual(after[name], before[name])
                self.assertNotIn(name + b".rewritten", after)
            shutil.rmtree(self.out)
            subprocess.run(["rm", "-rf", *self.tree.iterdir()], check=True)

    def test_a_root_file_system_inside_is_named(self):
        self.make_ld_so()
        self.make_ld_so("srv/inner\n")
        (self.tree / "srv/inner\n/program").write_bytes(self.program("program").read_bytes())
        done = self.install()
        inner = "srv/inner\n/" + self.REAL
        self.assertEqual(json.loads(done.stdout)["ld_so_without_sysload"], [{"path": inner}])
        shutil.rmtree(self.out)
        done = self.batch("--install-sysload", "--loader", batch_case.SYSLOAD)
        self.assertEqual(done.stderr.count(" is a rewritten ld.so without sysload in its place"), 1)
        self.assertIn(f"\n  srv/inner\\n/{self.REAL} is a rewritten ld.so without", done.stderr)
        # Rewritten by itself, and then as a part of the other.
        again = self.dir / "again"
        self.run_command("batch", "-q", "--install-sysload", "--loader", batch_case.SYSLOAD,
                         self.tree / "srv/inner\n", "-o", again)
        shutil.rmtree(self.tree / "srv/inner\n")
        shutil.copytree(again, self.tree / "srv/inner\n", symlinks=True)
        shutil.rmtree(self.out)
        self.assertEqual(json.loads(self.install().stdout)["rewritten"], 2)
        self.assertEqual(describe(self.out / "srv/inner\n"), describe(self.tree / "srv/inner\n"))

    def test_what_an_earlier_batch_left_is_replaced(self):
        self.make_ld_so()
        self.make_program("program", "/" + self.REAL)
        self.install("-q")
        old = describe(self.out, times=False)
        # The package's new version, with the link as well.
        os.remove(self.out / LD_SO[1:])
        os.symlink("/" + self.REAL, self.out / LD_SO[1:])
        shutil.copy(os.path.realpath(LD_SO), self.out / self.REAL)
        os.symlink("ld-linux-x86-64.so.2", self.out / (LD_SO[1:] + ".rewritten"))
        again = self.dir / "again"
        command = ("batch", "--json", "--install-sysload", "--loader", batch_case.SYSLOAD, self.out, "-o", again)
        report = json.loads(self.run_command(*command).stdout)
        self.assertEqual(report["sysload"], ["/usr/lib/sysload", "/" + self.REAL])
        self.assertEqual(report["ld_so_without_sysload"], [])
        self.assertEqual(describe(again, times=False), old)
        # But nothing that somebody else has put there.
        shutil.rmtree(again)
        beside = self.out / (self.REAL + ".rewritten")
        for contents in (b"mine", pathlib.Path(LD_SO).read_bytes(), pathlib.Path(batch_case.SYSLOAD).read_bytes()):
            beside.write_bytes(contents)
            self.assertIn("move it away if nothing needs it", self.run_command(*command, expect=1).stderr)
            self.assertFalse(again.exists())
        beside.unlink()
        os.symlink("nowhere", beside)
        self.assertIn("move it away if nothing needs it", self.run_command(*command, expect=1).stderr)
        self.assertFalse(again.exists())

    def test_the_sysload_of_an_earlier_batch_is_replaced_everywhere(self):
        """It may be another version, and the two would meet in one process."""
        self.make_ld_so()
        os.symlink(LD_SO, self.tree / "ld.so")
        self.make_program("program", "/ld.so")
        other = bytearray(pathlib.Path(batch_case.SYSLOAD).read_bytes())
        other[-1] ^= 1
        (self.dir / "other").write_bytes(other)
        self.install("-q", "--loader", self.dir / "other")
        (self.dir / "other").unlink()
        places = ("usr/lib/sysload", LD_SO[1:])
        for place in places:
            self.assertEqual((self.out / place).read_bytes()[64:len(other)], other[64:])
        self.tree, self.out = self.out, self.dir / "again"
        self.assertEqual(json.loads(self.install().stdout)["sysload"][0], "/usr/lib/sysload")
        for place in places:
            self.assertEqual((self.out / place).read_bytes()[64:len(other)],
                             pathlib.Path(batch_case.SYSLOAD).read_bytes()[64:])

    def test_a_tree_that_was_rewritten_without_sysload_gets_it(self):
        self.make_ld_so()
        self.batch("-q")
        self.tree, self.out = self.out, self.dir / "again"
        report = json.loads(self.install().stdout)
        self.assertEqual(report["sysload"], ["/usr/lib/sysload", LD_SO])
        self.assertEqual(os.readlink(self.out / (LD_SO[1:] + ".rewritten")), "/" + self.REAL)
        self.check_is_rewritten_ld_so(self.out / self.REAL)

    def test_linkers_find_what_ld_so_has(self):
        """glibc's libc.so is a script that names ld.so; a musl system links with nothing else."""
        names = {"/lib64/ld-linux-x86-64.so.2": "ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1": None}
        for name in names:
            (self.tree / name[1:]).parent.mkdir()
            shutil.copy(os.path.realpath(name), self.tree / name[1:])
        self.install()
        (self.dir / "tls.c").write_text("extern __thread int x; __thread int x; int f(void) { return x; }\n")
        (self.dir / "calls.c").write_text("int puts(const char*); void _start(void) { puts(\"x\"); }\n")

        def linked(source, linker, ld_so):
            output, there = self.dir / "linked.so", self.dir / "ld.so"
            shutil.copy(ld_so, there)  # the name is kept in the output
            kind = ["-shared", "-fPIC"] if source == "tls.c" else ["-no-pie"]
            subprocess.run([GCC, *kind, f"-fuse-ld={linker}", "-nostdlib", "-Wl,-z,defs", self.dir / source,
                            "-o", output, there], check=True, timeout=60)
            return subprocess.run(["readelf", "-WdV", "--dyn-syms", output], check=True, text=True,
                                  capture_output=True, timeout=60).stdout

        for name, soname in names.items():
            source = "tls.c" if soname else "calls.c"
            for linker in ("bfd", "gold", "lld"):
                native = linked(source, linker, self.tree / name[1:])
                self.assertIn(f"Shared library: [{soname or self.dir / 'ld.so'}]", native)
                self.assertIn("__tls_get_addr@GLIBC_2.3" if soname else "UND puts", native)
                self.assertEqual(linked(source, linker, self.out / name[1:]), native)

    def test_what_linkers_cannot_read_leaves_sysload_as_it_is(self):
        name = self.tree / "lib64/ld-linux-x86-64.so.2"
        name.parent.mkdir()
        original = pathlib.Path("/lib64/ld-linux-x86-64.so.2").read_bytes()
        headers, = struct.unpack_from("<Q", original, 40)
        symbols = next(at for at in range(headers, len(original), 64)
                       if struct.unpack_from("<I", original, at + 4)[0] == 11)
        # Of no known type; from another file's end on; without names.
        for field, value in ((4, b"\1"), (24 + 5, b"\1"), (40, b"\xff")):
            damaged = bytearray(original)
            damaged[symbols + field:symbols + field + len(value)] = value
            self.check_plain_sysload(name, damaged, field)
        # Each of 60,000 sections has all of the file.
        old, = struct.unpack_from("<H", original, 60)
        whole = struct.pack("<IIQQQQIIQQ", 0, 1, 0, 0, 0, len(original), 0, 0, 1, 0)
        damaged = bytearray(original)
        struct.pack_into("<Q", damaged, 40, len(original))
        struct.pack_into("<H", damaged, 60, 60_000)
        self.check_plain_sysload(name, damaged + original[headers:headers + 64 * old] + whole * (60_000 - old), "whole")

    def check_plain_sysload(self, name, contents, what):
        name.write_bytes(contents)
        self.install()
        self.assertEqual((self.out / "lib64/ld-linux-x86-64.so.2").read_bytes(),
                         pathlib.Path(batch_case.SYSLOAD).read_bytes(), what)
        shutil.rmtree(self.out)

    def test_links_in_the_tree_do_not_lead_out_of_it(self):
        outside = self.dir / "outside"
        outside.mkdir()
        os.symlink(outside, self.tree / "usr")
        self.install(expect=1)
        self.assertEqual(list(outside.iterdir()), [])
        (self.tree / "usr").unlink()
        (self.tree / "real").mkdir()
        os.symlink("/../../real", self.tree / "usr")
        self.install()
        self.assertTrue((self.out / "real/lib/sysload").exists())

    def test_where_openat2_is_not_known(self):
        """Linux before 5.6, and filters of containers."""
        (self.tree / "lib64").mkdir()
        shutil.copy(os.path.realpath(LD_SO), self.tree / LD_SO[1:])
        self.install("-q", preexec_fn=lambda: refuse_calls([437], errno.ENOSYS))
        self.assertIn(b"usage: sysload", (self.out / LD_SO[1:]).read_bytes())

    def test_what_it_would_replace_is_not_lost(self):
        (self.tree / "usr/lib").mkdir(parents=True)
        (self.tree / "usr/lib/sysload").write_text("mine")
        self.assertIn("is not sysload", self.install(expect=1).stderr)
        self.assertFalse(self.out.exists())
        self.assertIn("is not sysload", self.batch("--install-sysload", "--loader", "/bin/true", expect=1).stderr)
        self.assertFalse(self.out.exists())

    def test_what_sysload_would_not_start_is_a_usage_error(self):
        self.program("program")
        for options, words in ((["--no-interp"], "absolute path"), (["--interp=x"], "absolute path"),
                               (["--interp=/usr/lib/"], "absolute path"), (["--stub=plain"], "--stub=plain"),
                               (["--no-native-tail"], "--no-native-tail"), (["--format=litebox"], "--format=litebox")):
            for more in ([], ["-n"]):
                done = self.batch("--install-sysload", *options, *more, expect=2)
                self.assertRegex(done.stderr, r"\Asysrewrite: --install-sysload[^\n]*" + words)
                self.assertEqual(done.stdout, "")
            self.assert_nothing_left()
            self.batch("-q", *options)
            shutil.rmtree(self.out)

    def test_without_it_the_report_says_what_is_missing(self):
        shutil.copy("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", self.tree / "ld.so")
        text = self.batch().stderr
        self.assertRegex(text, r"\n  ld\.so is a rewritten ld\.so: ")
        self.assertIn("start by /usr/lib/sysload: sysload belongs there", text)
        self.assertIn("--install-sysload does this", text)


if __name__ == "__main__":
    batch_case.settle(*sys.argv[1:5])
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
