/* Many threads, each of which opens terminals, forks, and executes a child on each, while signals fly.
 *
 *   terminals THREADS TIMES     each thread has TIMES terminals, one after the other
 *   terminals -child            what is executed: says what it is asked through the terminal
 *
 * A child sets the terminal's echo off, tells "ready", is resized (SIGWINCH), reads a line, answers with its number, the
 * size and the line, which the thread compares, and ends when it is told to. A timer strikes all the while, SIGCHLD is
 * handled, and threads signal each other. Whatever differs is said, and ends the program with 1; a hang is for the
 * caller to see. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { kMostThreads = 64 };

static const char *program;
static int threads, times;
static pthread_t all[kMostThreads];
static pthread_barrier_t begin, end;
static volatile int handled, resized;

static void fail(const char *what, int thread, int time) {
  fprintf(stderr, "thread %d, terminal %d: %s: %s\n", thread, time, what, strerror(errno));
  _exit(1);
}

static void count(int number) {
  const int kept = errno;
  __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
  /* A call in the handler that fails, so that errno is worth keeping. */
  if (number != SIGCHLD) close(-1);
  errno = kept;
}

static void on_resize(int number) {
  (void)number;
  resized = 1;
}

static void handle(int number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  if (sigaction(number, &action, NULL) != 0) fail("sigaction", -1, -1);
}

static int child(void) {
  char line[100];
  struct winsize size;
  struct termios mode;
  sigset_t mask, resize;
  handle(SIGWINCH, on_resize);
  sigemptyset(&resize);
  sigaddset(&resize, SIGWINCH);
  sigprocmask(SIG_BLOCK, &resize, &mask);
  if (tcgetattr(0, &mode) != 0) return 11;
  mode.c_lflag &= ~(tcflag_t)ECHO;
  if (tcsetattr(0, TCSANOW, &mode) != 0) return 12;
  if (write(1, "ready\n", 6) != 6) return 13;
  while (!resized) sigsuspend(&mask);
  const ssize_t got = read(0, line, sizeof line - 1);
  if (got <= 0) return 14;
  line[got] = 0;
  if (ioctl(0, TIOCGWINSZ, &size) != 0) return 15;
  if (tcgetsid(0) != getpid() || tcgetpgrp(0) != getpid()) return 16;
  char answer[200];
  const int length = snprintf(answer, sizeof answer, "%d %d %d %s", (int)getpid(), size.ws_row, size.ws_col, line);
  if (write(1, answer, (size_t)length) != length) return 17;
  /* Until it has been read: the end of a terminal's session may throw away what has not, now and then. */
  return read(0, line, sizeof line) == 4 ? 7 : 18;
}

static void fail_with(pid_t pid, const char *what, int thread, int time) {
  const int kept = errno;
  int status = 0;
  /* A child that ends is what closes a terminal. */
  usleep(100000);
  if (waitpid(pid, &status, WNOHANG) == pid) fprintf(stderr, "the child has ended with status %#x\n", status);
  errno = kept;
  fail(what, thread, time);
}

/* A line of the terminal, whose end it has turned into two characters. */
static void read_line(int terminal, char *line, size_t room, pid_t pid, int thread, int time) {
  size_t length = 0;
  while (length == 0 || line[length - 1] != '\n') {
    const ssize_t got = read(terminal, line + length, 1);
    if (got != 1 || ++length == room - 1) {
      fprintf(stderr, "after %zu characters: ", length);
      fail_with(pid, "read from the terminal", thread, time);
    }
  }
  line[length] = 0;
}

static pid_t start(const char *name) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  /* Of a process of many threads: nothing but system calls. */
  if (setsid() < 0) _exit(21);
  const int terminal = open(name, O_RDWR);
  if (terminal < 0 || ioctl(terminal, TIOCSCTTY, 0) != 0) _exit(22);
  if (dup2(terminal, 0) != 0 || dup2(terminal, 1) != 1) _exit(23);
  execl(program, program, "-child", (char *)NULL);
  _exit(24);
}

static void one_terminal(int thread, int time) {
  char name[100], line[300], expected[300];
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) fail("a new terminal", thread, time);
  if (ptsname_r(terminal, name, sizeof name) != 0) fail("ptsname_r", thread, time);
  const pid_t pid = start(name);
  if (pid < 0) fail("fork", thread, time);
  pthread_kill(all[(thread + 1) % threads], SIGUSR1);
  read_line(terminal, line, sizeof line, pid, thread, time);
  if (strcmp(line, "ready\r\n") != 0) fail(line, thread, time);
  const struct winsize size = {.ws_row = (unsigned short)(thread + 10), .ws_col = (unsigned short)(time + 20)};
  if (ioctl(terminal, TIOCSWINSZ, &size) != 0) fail("TIOCSWINSZ", thread, time);
  const int length = snprintf(line, sizeof line, "line %d of %d\n", time, thread);
  if (write(terminal, line, (size_t)length) != length) fail("write to the terminal", thread, time);
  snprintf(expected, sizeof expected, "%d %d %d line %d of %d\r\n", (int)pid, thread + 10, time + 20, time, thread);
  read_line(terminal, line, sizeof line, pid, thread, time);
  if (strcmp(line, expected) != 0) fail(line, thread, time);
  if (write(terminal, "end\n", 4) != 4) fail("write to the terminal", thread, time);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) fail("waitpid", thread, time);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) {
    errno = status;
    fail("the child's status is this errno", thread, time);
  }
  close(terminal);
}

static void *run(void *number) {
  const int thread = (int)(long)number;
  pthread_barrier_wait(&begin);
  for (int time = 0; time < times; ++time) one_terminal(thread, time);
  pthread_barrier_wait(&end);
  return number;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "-child") == 0) return child();
  if (argc != 3) return 2;
  program = argv[0];
  threads = atoi(argv[1]);
  times = atoi(argv[2]);
  if (threads < 1 || threads > kMostThreads) return 2;
  handle(SIGALRM, count);
  handle(SIGCHLD, count);
  handle(SIGUSR1, count);
  pthread_barrier_init(&begin, NULL, (unsigned)threads + 1);
  pthread_barrier_init(&end, NULL, (unsigned)threads);
  for (long i = 0; i < threads; ++i)
    if (pthread_create(&all[i], NULL, run, (void *)i) != 0) fail("pthread_create", (int)i, -1);
  pthread_barrier_wait(&begin);
  const struct itimerval often = {{0, 500}, {0, 500}};
  setitimer(ITIMER_REAL, &often, NULL);
  for (int i = 0; i < threads; ++i) pthread_join(all[i], NULL);
  if (handled == 0) fail("no signal was handled", -1, -1);
  printf("%d threads, %d terminals each\n", threads, times);
  return 0;
}
