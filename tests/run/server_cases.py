"""Servers over loopback, and their clients; and whether the one behind `run` is seen."""
from comparison import build, same, seen, tool, write

PORT = "$(python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 0)); print(s.getsockname()[1])')"


def case_openssl(runner):
    script = r"""
    port=""" + PORT + r"""
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c \
      -days 2 -subj /CN=localhost 2>/dev/null
    openssl s_server -accept 127.0.0.1:$port -key k -cert c -rev -naccept 1 >server 2>&1 </dev/null &
    for i in $(seq 100); do grep -qs ACCEPT server && break; sleep 0.1; done
    (echo hello; sleep 1) | openssl s_client -quiet -no_ign_eof -verify_quiet -connect 127.0.0.1:$port -CAfile c
    wait
    echo text | openssl enc -aes-256-cbc -pbkdf2 -pass pass:x | openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x
    openssl dgst -sha512 c >/dev/null && openssl verify -CAfile c c
    """
    tool("openssl")
    same(runner, ["bash", "-c", script])


def case_redis(runner):
    script = r"""
    port=""" + PORT + r"""
    redis-server --port $port --bind 127.0.0.1 --save '' --dir . --io-threads 2 > log 2>&1 & server=$!
    for i in $(seq 100); do redis-cli -p $port ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done
    redis-benchmark -p $port -q -n 5000 -c 20 -P 4 -t set,get,incr,lpush >/dev/null; echo "bench $?"
    redis-cli -p $port set a b; redis-cli -p $port get a; redis-cli -p $port eval 'return 1+1' 0
    redis-cli -p $port save; redis-cli -p $port bgsave; sleep 0.5; redis-cli -p $port dbsize
    redis-cli -p $port shutdown nosave; wait $server; echo "server $?"; test -s dump.rdb && echo saved
    """
    tool("redis-server")
    tool("redis-benchmark")
    same(runner, ["bash", "-c", script])
    seen(runner, ["bash", "-c", "redis-server --version"], ["redis-server"])


NGINX = """
worker_processes 2; daemon off; pid nginx.pid; error_log stderr error; user root;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
  uwsgi_temp_path t4; scgi_temp_path t5; sendfile on;
  server { listen 127.0.0.1:@PORT@; root html; }
}
"""


def case_nginx(runner):
    def prepare(folder):
        write(folder, "html/index.html", "<p>hello</p>\n" * 10000)
        write(folder, "conf", NGINX)

    script = r"""
    port=""" + PORT + r"""
    sed -i "s/@PORT@/$port/" conf
    nginx -p $PWD -c conf 2>log & server=$!
    fetch() { python3 -c 'import sys, urllib.request as u; print(len(u.urlopen(sys.argv[1]).read()))' \
      "http://127.0.0.1:$port/$1"; }
    for i in $(seq 100); do test -s nginx.pid && break; sleep 0.1; done; sleep 0.3
    for i in $(seq 10); do fetch index.html; done
    kill -HUP $server; sleep 0.5; fetch ''
    kill -QUIT $server; wait $server; echo "server $?"; grep -c alert log
    """
    tool("nginx")
    same(runner, ["bash", "-c", script], prepare=prepare, status=1)


CHILDREN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void children(const char* when) {
  char name[64], line[256] = "";
  int status = 0;
  long answer = waitpid(-1, &status, WNOHANG | __WALL);
  printf("%s: %ld %s", when, answer, answer < 0 ? strerror(errno) : "");
  answer = waitpid(-1, &status, WNOHANG);
  printf(", %ld %s", answer, answer < 0 ? strerror(errno) : "");
  sprintf(name, "/proc/self/task/%d/children", getpid());
  FILE* file = fopen(name, "r");
  printf(", listed: '%s'\n", fgets(line, sizeof line, file) ? line : "");
  fclose(file);
  fflush(stdout);
}
int main(int argc, char** argv) {
  int status = 0;
  children("at first");
  printf("library %d\n", dlopen("libm.so.6", RTLD_NOW) != 0);
  children("with a library");
  if (argc > 1) return 6;
  if (fork() == 0) execl(argv[0], argv[0], "again", (char*)0);
  printf("its child is %d", wait(&status) > 0);
  printf(" %#x\n", status);
  children("after its own");
  execl(argv[0], argv[0], "again", (char*)0);
  return 1;
}
"""


def case_no_children_but_its_own(runner):
    """Whoever serves a program is none of its children, whatever it waits for."""
    for flags in ([], ["-static"]):
        for hook in ("none", "count:output=/dev/null"):
            same(runner, ["./parent"], prepare=lambda folder: build(folder, "parent", CHILDREN, "-w", "-Wl,--no-warnings", *flags),
                 status=6, options=["--hook", hook])
