"""Language runtimes: interpreters, virtual machines, and what compilers of other worlds produce."""
import re
import subprocess

from comparison import (FULL, PYTHON, build, check, environment, same, seen, tool,
                        under_run, write)

PYTHON_MIX = r"""
import asyncio, mmap, multiprocessing, os, signal, socket, subprocess, sys, tempfile, threading

def work(n):
    return sum(i * i for i in range(n))

def threads():
    out = []
    def run(i):
        out.append((i, subprocess.check_output(['echo', str(i)]), work(1000)))
    ts = [threading.Thread(target=run, args=(i,)) for i in range(16)]
    [t.start() for t in ts]; [t.join() for t in ts]
    print(sorted(out)[-1], len(out))

def sockets():
    server = socket.create_server(('127.0.0.1', 0))
    def serve():
        c, _ = server.accept()
        with c: c.sendall(c.recv(100).upper())
    t = threading.Thread(target=serve); t.start()
    with socket.create_connection(server.getsockname()) as c:
        c.sendall(b'hello'); print(c.recv(100))
    t.join(); server.close()
    a, b = socket.socketpair()
    socket.send_fds(a, [b'x'], [0]); print(len(socket.recv_fds(b, 10, 4)[1]))

async def talk():
    async def handle(r, w):
        w.write((await r.readline()).upper()); await w.drain(); w.close()
    server = await asyncio.start_server(handle, '127.0.0.1', 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname())
    w.write(b'async\n'); print(await r.read()); w.close()
    p = await asyncio.create_subprocess_exec('cat', stdin=-1, stdout=-1)
    print(await p.communicate(b'piped')); server.close()

def maps():
    with tempfile.TemporaryFile() as f:
        f.truncate(1 << 20)
        m = mmap.mmap(f.fileno(), 0); m[5:8] = b'abc'; m.flush(); m.resize(1 << 21)
        print(m[4:9], len(m)); m.close()
    a = mmap.mmap(-1, 4096); a[:3] = b'xyz'
    if os.fork() == 0:
        a[:3] = b'XYZ'; os._exit(0)
    os.wait(); print(a[:3])

def signals():
    got = []
    signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    while len(got) < 20: work(1000)
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(len(got) >= 20)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.kill(os.getpid(), signal.SIGUSR1)
    print(signal.sigpending(), signal.sigwait({signal.SIGUSR1}))

if __name__ == '__main__':
    threads(); sockets(); asyncio.run(talk()); maps(); signals()
    for how in 'fork', 'spawn', 'forkserver':
        with multiprocessing.get_context(how).Pool(3) as pool:
            print(how, pool.map(work, range(0, 100, 7)))
"""


def case_python(runner):
    same(runner, [PYTHON, "mix.py"], prepare=lambda folder: write(folder, "mix.py", PYTHON_MIX))
    seen(runner, [PYTHON, "-c", "print(1)"], ["python3"])


def regression(runner, *modules, ignore=()):
    """Modules of Python's own regression test, test by test the same result as unpatched."""
    # A test that hangs is named by its traceback.
    command = [PYTHON, "-m", "test", "-v", "--timeout", "300", *modules]
    for pattern in ignore:
        command += ["--ignore", pattern]
    results = []
    for run in (False, True):
        folder = runner.folder()
        outcome = runner.execute(under_run(command) if run else command, folder, timeout=900)
        text = outcome.stdout + outcome.stderr
        # "test_x (test.test_os.C.test_x) ... ok", where a test may print in between.
        lines = re.findall(r"^(test\w* \(\S+\))(?:.*\n)??.*?(?:\.\.\. |^)(ok|FAIL|ERROR|skipped)\b",
                           text, re.MULTILINE)
        check(len(lines) > 5, f"{modules}: hardly any test ran\n{text[-3000:]}")
        results.append((outcome.status, set(lines), text))
    native, ours = results
    failed = sorted({name for name, what in ours[1] if what in ("FAIL", "ERROR")} -
                    {name for name, what in native[1] if what in ("FAIL", "ERROR")})
    tail = "\n".join(re.findall(r"^(?:FAIL|ERROR): .*(?:\n.+)*", ours[2], re.MULTILINE))
    check(native[0] == ours[0] and not failed,
          f"{modules}: {native[0]} natively, {ours[0]} under run; {failed}\n{tail[:12000]}\n"
          f"{ours[2][-1500:]}")


def case_python_test_os(runner):
    regression(runner, "test_os")


def case_python_test_io(runner):
    regression(runner, "test_io" if FULL else "test_fileio")


def case_python_test_signal(runner):
    # These wait for seconds, many times over.
    slow = () if FULL else ("*Siginterrupt*", "*StressTest*")
    regression(runner, "test_signal", ignore=slow)


def case_python_test_subprocess(runner):
    regression(runner, "test_subprocess")


def case_python_test_threads(runner):
    regression(runner, "test_threading", "test_thread", "test_threadsignals")


def case_python_test_sockets(runner):
    # A guest's VSOCK tests wait for a host that does not answer, natively too.
    regression(runner, "test_select", "test_poll", "test_epoll", "test_selectors",
               *(["test_socket", "test_asyncio"] if FULL else []), ignore=["*VSOCK*"])


def case_python_test_fork_and_mmap(runner):
    # test_multiprocessing_fork is none of them: it forks with threads, and hangs natively.
    regression(runner, "test_mmap", "test_fork1", "test_wait3", "test_wait4", "test_popen",
               "test_posix", "test_pty",
               *(["test_multiprocessing_main_handling"] if FULL else []))


def case_perl(runner):
    script = r"""
    use strict; use POSIX; use IO::Socket::INET; use Socket; use Time::HiRes;
    my $pid = fork(); if (!$pid) { exit 5 } waitpid($pid, 0); print $? >> 8, "\n";
    print `echo backticks`; system('sh', '-c', 'exit 4'); print $? >> 8, "\n";
    open(my $p, '-|', 'seq 3') or die; print while <$p>; close $p;
    local $SIG{ALRM} = sub { die "alarm\n" }; eval { Time::HiRes::alarm(0.05); select undef,undef,undef,9 };
    print $@; socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC); syswrite $a, "x"; sysread $b, my $c, 1;
    print "$c\n"; print POSIX::getpid() == $$ ? "same\n" : "other\n"; kill 9, $$;
    """
    same(runner, ["perl", "-e", "$| = 1;" + script], status=137)


NODE = r"""
const { Worker, isMainThread, parentPort } = require('worker_threads');
const cp = require('child_process'), fs = require('fs'), net = require('net');
if (!isMainThread) { parentPort.postMessage(cp.execFileSync('echo', ['worker']).toString()); return; }
let left = 4;
const done = () => { if (--left === 0) second(); };
for (let i = 0; i < 4; i++) {
  const w = new Worker(__filename); w.on('message', (m) => { console.log(m.trim()); }); w.on('exit', done);
}
function second() {
  fs.writeFileSync('f', 'x'.repeat(100000)); console.log(fs.statSync('f').size);
  const s = net.createServer((c) => c.pipe(c)).listen(0, '127.0.0.1', () => {
    const c = net.connect(s.address().port, '127.0.0.1', () => c.end('hello'));
    let all = ''; c.on('data', (d) => all += d); c.on('end', () => { console.log(all); s.close(third); });
  });
}
// One after the other: what a socket and a child's pipe bring at the same time comes in any order.
function third() {
  const child = cp.spawn('sh', ['-c', 'cat; kill -TERM $$']); child.stdin.end('to child\n');
  child.stdout.on('data', (d) => process.stdout.write(d));
  child.on('close', (code, sig) => {
    console.log(code, sig);
    const f = cp.fork('-e', [], { execArgv: [], execPath: process.execPath, stdio: 'ignore' });
    f.on('exit', () => console.log(require('crypto').pbkdf2Sync('a', 'b', 1000, 16, 'sha256').toString('hex')));
  });
}
"""


def case_node(runner):
    same(runner, ["node", "m.js"], prepare=lambda folder: write(folder, "m.js", NODE))
    seen(runner, ["node", "-e", "1"], ["node"])


# Multiplications on the curve P-256 read tables of constants that stand between functions, and among those
# are bytes 0f 05. Few keys need the constant that has them.
KEYS = r"""
const { createECDH, createHash } = require('crypto');
const all = createHash('sha256');
for (let i = 0; i < 2000; i++) {
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(createHash('sha256').update('key ' + i).digest());
  all.update(pair.getPublicKey());
}
console.log(all.digest('hex'));
"""


def case_node_keys(runner):
    same(runner, ["node", "keys.js"], prepare=lambda folder: write(folder, "keys.js", KEYS))


JAVA = r"""
import java.util.*; import java.util.concurrent.*; import java.nio.file.*;
public class T {
  public static void main(String[] a) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(8);
    List<Future<Long>> all = new ArrayList<>();
    for (int i = 0; i < 64; i++) { final int n = i; all.add(pool.submit(() -> {
      long s = 0; byte[][] keep = new byte[100][];
      for (int j = 0; j < 20000; j++) { keep[j % 100] = new byte[1000]; s += j ^ n; } return s; })); }
    long sum = 0; for (Future<Long> f : all) sum += f.get();
    pool.shutdown(); System.out.println(sum);
    System.gc();
    Process p = new ProcessBuilder("sh", "-c", "echo child; exit 3").start();
    System.out.print(new String(p.getInputStream().readAllBytes())); System.out.println(p.waitFor());
    String none = a.length > 5 ? "x" : null;
    try { none.length(); } catch (NullPointerException e) { System.out.println("null caught"); }
    System.out.println(deep(0) > 1000);
    Files.write(Path.of("f"), "text".getBytes()); System.out.println(Files.size(Path.of("f")));
    System.exit(9);
  }
  static int most;
  static int deep(int n) { most = n; try { deep(n + 1); } catch (StackOverflowError e) {} return most; }
}
"""


def case_java(runner):
    same(runner, ["java", "-version"])

    def prepare(folder):
        write(folder, "T.java", JAVA)
        subprocess.run([tool("javac"), "-d", folder, folder + "/T.java"], check=True)

    same(runner, ["java", "-Xmx128m", "T"], prepare=prepare, status=9)


MUSL = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void* run(void* p) { usleep(1000); return (char*)p + 1; }
int main(int argc, char** argv) {
  pthread_t t[8];
  for (long i = 0; i < 8; i++) pthread_create(&t[i], 0, run, (void*)i);
  long sum = 0;
  for (int i = 0; i < 8; i++) { void* r; pthread_join(t[i], &r); sum += (long)r; }
  printf("%d %ld %d\n", argc, sum, system("exit 6") >> 8);
  fflush(stdout);
  if (fork() == 0) { execl(argv[0], argv[0], "a", "b", (char*)0); _exit(9); }
  int s; wait(&s);
  return argc > 1 ? 0 : WEXITSTATUS(s) + 1;
}
"""
MUSL = MUSL.replace("if (fork()", "if (argc == 1 && fork()")


def case_musl(runner):
    same(runner, ["./m"], prepare=lambda f: build(f, "m", MUSL, compiler="musl-gcc"), status=1)
    seen(runner, ["./m"], ["m"], prepare=lambda f: build(f, "m", MUSL, compiler="musl-gcc"))


def case_static(runner):
    for flags in (["-static"], ["-static-pie"], ["-static", "-no-pie"]):
        def prepare(folder, flags=flags):
            build(folder, "m", MUSL, "-pthread", *flags)

        same(runner, ["./m"], prepare=prepare, status=1)
    same(runner, ["./m"], prepare=lambda f: build(f, "m", MUSL, "-static", compiler="musl-gcc"),
         status=1)
    seen(runner, ["./m"], ["m"], prepare=lambda f: build(f, "m", MUSL, "-static", "-pthread"))


GO = r"""
package main
import ("fmt"; "net"; "os"; "os/exec"; "os/signal"; "sync"; "syscall"; "time"; "io")
func main() {
  var wg sync.WaitGroup
  var mu sync.Mutex
  sum := 0
  for i := 0; i < 200; i++ { wg.Add(1); go func(n int) { defer wg.Done()
    for j := 0; j < 1000; j++ { _ = make([]byte, 1000) }
    time.Sleep(time.Millisecond); mu.Lock(); sum += n; mu.Unlock() }(i) }
  wg.Wait(); fmt.Println(sum)
  out, err := exec.Command("sh", "-c", "echo child; exit 3").Output(); fmt.Printf("%s%v\n", out, err)
  l, _ := net.Listen("tcp", "127.0.0.1:0")
  go func() { c, _ := l.Accept(); io.Copy(c, c); c.Close() }()
  c, _ := net.Dial("tcp", l.Addr().String()); c.Write([]byte("hello")); c.(*net.TCPConn).CloseWrite()
  b, _ := io.ReadAll(c); fmt.Println(string(b))
  s := make(chan os.Signal, 1); signal.Notify(s, syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR1)
  fmt.Println(<-s)
  e, _ := os.Executable(); fmt.Println(e)
  func() { defer func() { fmt.Println(recover()) }(); var p *int; fmt.Println(*p) }()
  os.Exit(4)
}
"""


def case_go(runner):
    def prepare(folder):
        write(folder, "m.go", GO)
        env = environment(folder, {"GOCACHE": GO_CACHE, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"})
        subprocess.run([tool("go"), "build", "-o", "m", "m.go"], cwd=folder, env=env, check=True)

    GO_CACHE = runner.folder()
    same(runner, ["./m"], prepare=prepare, status=4)
    seen(runner, ["./m"], ["m"], prepare=prepare)
