#!/usr/bin/python3
"""Programs under the hook `deny`: what a policy makes of their calls, and policies with mistakes."""

import re
import unittest

from hook_programs import HookTest


class DenyTest(HookTest):
    def policy(self, text):
        path = self.dir / "policy"
        path.write_text(text)
        return path

    def denied(self, text, *words, more="", **expected):
        return self.hooked([f"deny:policy={self.policy(text)}{more}"], *words, **expected)


class Decisions(DenyTest):
    def test_denied_calls_answer_with_the_error(self):
        done = self.denied("deny EPERM ptrace\ndeny ENOSPC mkdir, mkdirat\n", "ptrace",
                           f"mkdir={self.dir}/x", "pid")
        self.assertRegex(done.stdout, r"^ptrace: EPERM\nmkdir: ENOSPC\npid \d+\n$")
        self.assertFalse((self.dir / "x").exists())
        self.assertEqual(done.stderr, "")

    def test_paths_are_seen_from_where_the_program_is(self):
        rule = "deny EACCES open, openat path under /etc\n"
        done = self.denied(rule, "cat=/etc/hostname", "cat=/usr/../etc//hostname", "cat=/etcetera", "cd=/etc",
                           "cat=hostname", "cat=./x/../hostname", "cd=/usr", "cat=../etc/hostname",
                           "cat=hostname")
        self.assertEqual(done.stdout.splitlines(), [
            "/etc/hostname: EACCES", "/usr/../etc//hostname: EACCES", "/etcetera: ENOENT", "cd: ok",
            "hostname: EACCES", "./x/../hostname: EACCES", "cd: ok", "../etc/hostname: EACCES",
            "hostname: ENOENT"])

    def test_the_first_rule_that_decides_counts(self):
        text = (f"allow open, openat path under {self.dir}/free\n"
                f"deny EROFS open, openat path under {self.dir} writing\n")
        (self.dir / "free").mkdir()
        done = self.denied(text, f"write={self.dir}/free/x", f"write={self.dir}/y", "cat=/dev/null")
        self.assertEqual(done.stdout, "write: ok\nwrite: EROFS\n")
        self.assertTrue((self.dir / "free/x").exists())
        self.assertFalse((self.dir / "y").exists())

    def test_a_symbolic_link_leads_around_a_path(self):
        # What the page says of its limits.
        (self.dir / "link").symlink_to("/etc")
        done = self.denied("deny EACCES open, openat path under /etc\n", f"cat={self.dir}/link/passwd")
        self.assertIn("root:", done.stdout)

    def test_everything_but_what_is_allowed(self):
        text = ("default deny ENOSYS\n"
                "allow write int0 == 1\nallow newfstatat, fstat, getpid\n"
                "allow brk, arch_prctl\nallow mmap, mprotect arg2 & PROT_EXEC == 0\n")
        done = self.denied(text, "pid", "cat=/etc/hostname")
        self.assertRegex(done.stdout, r"^pid \d+\n/etc/hostname: ENOSYS\n$")

    def test_a_forked_child_is_under_the_policy(self):
        done = self.denied("deny EPERM ptrace\n", "fork", "ptrace")
        self.assertEqual(done.stdout, "ptrace: EPERM\nchild 768\n")

    def test_threads_are_under_the_policy(self):
        done = self.denied("log write arg2 == 700\n", "threads")
        lines = [line for line in done.stderr.splitlines() if "write" in line]
        self.assertEqual(len(lines), 10, done.stderr)

    def test_kill_ends_the_process(self):
        for program in (lambda text, *words: self.denied(text, *words, expect=-9),
                        lambda text, *words: self.run_hooked([f"deny:policy={self.policy(text)}"],
                                                             self.dynamic, *words, expect=137)):
            done = program("kill reboot arg0 == 1\n", "say=before", "reboot", "say=after")
            self.assertEqual(done.stdout, "before\n")
            self.assertRegex(done.stderr, rf"^deny: \d+: killed for reboot\(1, 2, 3.*\) \({self.dir}/policy:1\)\n")


class Logs(DenyTest):
    def test_a_line_for_each_call_that_strace_sees(self):
        output = self.dir / "output"
        words = ["cat=/etc/hostname", "cat=/nonexistent", "cat=/etc/a\nb"]
        self.denied("log open, openat, read\n", *words, more=f":output={output}")
        self.assertEqual(len(output.read_text().splitlines()),
                         self.counted_by_strace("open,openat,read", self.native, *words))
        self.assertIn(', "/etc/a\\x0ab")', output.read_text())

    def test_failures_but_the_expected_ones(self):
        text = ("allow openat answer == ENOENT path under /lib\n"
                "log openat answer < 0\n")
        done = self.denied(text, "cat=/lib/none", "cat=/etc/none", "cat=/etc/hostname")
        self.assertRegex(done.stderr, rf'^deny: \d+: log openat\(-100, "/etc/none".*\) = -2 ENOENT '
                                      rf'\({self.dir}/policy:2\)\n$')

    def test_an_answer_can_be_changed(self):
        done = self.denied("deny EIO openat path is /etc/hostname answer >= 0\n", "cat=/etc/hostname",
                           more=":report")
        self.assertEqual(done.stdout, "/etc/hostname: EIO\n")
        self.assertRegex(done.stderr, r"^deny: \d+: denied openat\(.*\) = \d+ \(.*policy:1\)\n$")


class Trees(DenyTest):
    def test_programs_that_are_executed(self):
        hook = f"deny:policy={self.policy('deny EACCES open, openat path is /etc/hostname')}"
        done = self.run_hooked([hook], "/bin/sh", "-c",
                               "cat /etc/hostname; cd /etc; cat hostname; cat ./../etc/hostname; exit 5",
                               expect=5)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("Permission denied"), 3, done.stderr)

    def test_pipes_are_below_no_directory(self):
        # These ask fstat about their standard output, which is a pipe here.
        hook = f"deny:policy={self.policy('deny EACCES * path under /nowhere')}:report"
        for command in (["/bin/cat", "/etc/hostname"], ["/usr/bin/python3", "-c", "print(1)"]):
            self.assertEqual(self.run_hooked([hook], *command).stderr, "")

    def test_the_policy_is_that_of_the_first_process(self):
        self.policy("deny EACCES open, openat path is /etc/hostname\n")
        change = "echo 'deny EACCES open, openat path is /etc/passwd' > policy"
        done = self.run_hooked(["deny:policy=policy"], "/bin/sh", "-c",
                               f"{change}; cd /; cat /etc/hostname; cat /etc/passwd", cwd=self.dir)
        self.assertIn("root:", done.stdout)
        self.assertIn("Permission denied", done.stderr)

    def test_a_policy_can_come_from_a_pipe(self):
        done = self.run_hooked(["deny:policy=/dev/stdin"], "/bin/sh", "-c", "cat /etc/hostname; exit 0",
                               input="deny EACCES openat path is /etc/hostname\n")
        self.assertEqual(done.stdout, "")
        self.assertIn("Permission denied", done.stderr)

    def test_execve_can_be_denied(self):
        hook = f"deny:policy={self.policy('deny EACCES execve path like /**/bin/ls')}"
        done = self.run_hooked([hook], "/bin/sh", "-c", "/bin/ls / >/dev/null; /usr/bin/id -u; exit 0")
        self.assertRegex(done.stderr, "Permission denied")
        self.assertRegex(done.stdout, r"^\d+\n$")

    def test_a_python_program(self):
        hook = f"deny:policy={self.policy('deny EACCES openat path is /etc/hostname')}"
        done = self.run_hooked([hook], "/usr/bin/python3", "-c",
                               "import os\ntry: open('/etc/hostname')\nexcept PermissionError as e: print(e)\n"
                               "os.chdir('/etc')\ntry: open('hostname')\nexcept PermissionError as e: print(e)")
        self.assertEqual(done.stdout, "[Errno 13] Permission denied: '/etc/hostname'\n"
                                      "[Errno 13] Permission denied: 'hostname'\n")


class Mistakes(DenyTest):
    def refused(self, text, what):
        done = self.denied(text, "say=started", expect=127)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr, f"sysload: hook: deny: {self.dir}/policy:{what}\n")
        done = self.run_hooked([f"deny:policy={self.dir}/policy"], self.dynamic, "say=started", expect=127)
        self.assertEqual(done.stdout, "")
        self.assertIn(what, done.stderr)

    def test_a_policy_with_a_mistake(self):
        self.refused("default allow\n\ndeny EPERM opennat\n",
                     "3:12: found 'opennat', expected the name of a system call, or *")
        self.refused("deny EPERMM open", "1:6: found 'EPERMM', expected the name of an error, as EPERM")
        self.refused("log open arg0 == ", "1:18: found the end of the line, expected a number, or a "
                                          "constant as O_CREAT")
        self.refused("log read path is /x", "1:10: found 'path', expected calls that all take a path")
        self.refused("deny EPERM exit_group", "1:12: found 'exit_group', expected a call that can do "
                                              "without happening")

    def test_options_with_a_mistake(self):
        self.policy("")
        for options, what in (("", "which policy? deny:policy=FILE"),
                              (f":polcy={self.dir}/policy", "option at column 1: found "
                               f"polcy={self.dir}/policy, expected policy=FILE, report or output=PATH"),
                              (":policy=/nonexistent", "cannot read /nonexistent: ENOENT"),
                              (":policy=/dev/zero", "/dev/zero is longer than 65520 bytes")):
            done = self.hooked(["deny" + options], "say=started", expect=127)
            self.assertEqual(done.stdout, "")
            self.assertEqual(done.stderr, f"sysload: hook: deny: {what}\n")


class Page(DenyTest):
    def test_every_policy_on_the_page_is_taken(self):
        from hook_programs import SOURCE
        page = (SOURCE / "docs/hooks/deny.md").read_text()
        policies = re.findall(r"```policy\n(.*?)```", page, re.S)
        self.assertGreaterEqual(len(policies), 3)
        for text in policies:
            done = self.denied(text.replace("default deny", "default log"), "say=started", expect=3)
            self.assertEqual(done.stdout, "started\n", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
