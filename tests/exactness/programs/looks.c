/* A signal that all threads have blocked, as those see it that look for it: through signalfd, by each call that
 * waits for descriptors, with a mask that opens it for the time of a call, or by sigpending. Another thread turns
 * around meanwhile: where SIGTRAP or SIGSYS must not be blocked in the kernel, it is that one to which the kernel
 * gives the signal.
 *
 *   looks N        N signals for each way, signal, and thread that looks
 *   looks N aimed  the same, where the other thread sends them, to the one that looks
 *   looks N shown  N of them that a thread sends to one that asks for what is pending, without a pause
 *   looks N taken  N that are for a thread's handler, which makes calls; and N that are sent to that thread
 *   looks N herd   N for each of some ways and signal, for which three threads look at once
 *   looks N crowd  N that epoll_pwait opens, that sigpending shows, and that a thread sends to its process while
 *                  another turns or makes calls, in each of four processes at once: there the kernel often wakes
 *                  one thread for a signal, or shows it to one, and gives it to another
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum Way { kRead, kReadv, kPoll, kSelect, kEpoll, kEdge, kAgain, kSuspend, kPpoll, kPselect, kEpollPwait, kPending, kSending, kBeside, kWays };
static const char *const kNames[kWays] = {"read", "readv", "poll", "select", "epoll", "epoll, edges", "read, not blocking", "sigsuspend", "ppoll",
                                          "pselect", "epoll_pwait", "sigpending", "itself", "itself, beside calls"};

struct Look {
  int signal;
  enum Way way;
  int number; /* of signals */
  int file, polled, ask[2];
  volatile int asked;
  pid_t sender;
  int is_aimed; /* the other thread sends, to this one */
  volatile pid_t looker;
  int taken, wrong;
  volatile int is_over;
};

static volatile int handled, code_handled, value_handled;
static volatile pid_t pid_handled;

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  handled++, code_handled = info->si_code, pid_handled = info->si_pid, value_handled = info->si_value.sival_int;
}

static void must(int is_good, const char *what) {
  if (is_good) return;
  perror(what);
  exit(2);
}

/* Blocks the signal, and returns the set that has it alone. */
static sigset_t block_and_handle(int signal, void (*handler)(int, siginfo_t *, void *), struct sigaction *old) {
  struct sigaction action = {.sa_flags = SA_SIGINFO};
  action.sa_sigaction = handler;
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, NULL);
  sigaction(signal, &action, old);
  return set;
}

/* The sender is a process of its own: what it says of itself is to arrive. */
static void send_when_asked(const struct Look *look) {
  const pid_t whom = getppid();
  unsigned char number = 0;
  while (read(look->ask[0], &number, 1) == 1) {
    if (number % 8 < 4) usleep(300);
    if (number % 2 == 0)
      kill(whom, look->signal);
    else
      sigqueue(whom, look->signal, (union sigval){.sival_int = 100 + number});
  }
  _exit(0);
}

static void ask(struct Look *look) {
  const unsigned char number = (unsigned char)look->asked++;
  if (look->is_aimed) return;
  must(write(look->ask[1], &number, 1) == 1, "write");
}

static void check_taken(struct Look *look, int signal, int code, pid_t sender, int value) {
  const int number = (unsigned char)(look->asked - 1);
  const int is_queued = number % 2 != 0;
  look->taken++;
  if (signal != look->signal || sender != look->sender) look->wrong |= 1;
  if (code != (is_queued ? SI_QUEUE : look->is_aimed ? SI_TKILL : SI_USER)) look->wrong |= 2;
  if (is_queued && value != 100 + number) look->wrong |= 4;
}

static void check_read(struct Look *look, ssize_t size, const struct signalfd_siginfo *info) {
  if (size != sizeof *info) {
    look->wrong |= 8;
    return;
  }
  check_taken(look, (int)info->ssi_signo, info->ssi_code, (pid_t)info->ssi_pid, info->ssi_int);
}

static ssize_t read_pieces(int file, struct signalfd_siginfo *info) {
  char *const bytes = (char *)info;
  const struct iovec pieces[] = {{bytes, 3}, {bytes + 3, 90}, {bytes + 93, sizeof *info - 93}};
  return readv(file, pieces, 3);
}

static int wait_readable(struct Look *look) {
  struct pollfd polled = {look->file, POLLIN, 0};
  struct epoll_event event;
  fd_set set;
  FD_ZERO(&set);
  FD_SET(look->file, &set);
  if (look->way == kPoll) return poll(&polled, 1, -1);
  if (look->way == kSelect) return select(look->file + 1, &set, NULL, NULL, NULL);
  return epoll_wait(look->polled, &event, 1, -1);
}

static void by_file(struct Look *look) {
  struct signalfd_siginfo info;
  ssize_t size = -1;
  memset(&info, 0, sizeof info);
  ask(look);
  if (look->way == kRead) size = read(look->file, &info, sizeof info);
  if (look->way == kReadv) size = read_pieces(look->file, &info);
  if (look->way == kAgain)
    while ((size = read(look->file, &info, sizeof info)) < 0 && errno == EAGAIN) continue;
  /* A herd may find another one there first. */
  if (look->way >= kPoll && look->way <= kEdge)
    do {
      if (wait_readable(look) != 1) look->wrong |= 16;
      size = read(look->file, &info, sizeof info);
    } while (size < 0 && errno == EAGAIN);
  check_read(look, size, &info);
}

static int wait_open(struct Look *look, const sigset_t *mask) {
  struct epoll_event event;
  if (look->way == kSuspend) return sigsuspend(mask);
  if (look->way == kPpoll) return ppoll(NULL, 0, NULL, mask);
  if (look->way == kPselect) return pselect(0, NULL, NULL, NULL, NULL, mask);
  return epoll_pwait(look->polled, &event, 1, -1, mask);
}

static void by_opening(struct Look *look) {
  sigset_t none;
  sigemptyset(&none);
  handled = 0;
  ask(look);
  if (wait_open(look, &none) != -1 || errno != EINTR || handled != 1) look->wrong |= 32;
  check_taken(look, look->signal, code_handled, pid_handled, value_handled);
}

static void by_asking(struct Look *look) {
  sigset_t set;
  siginfo_t info;
  const struct timespec none = {0, 0};
  ask(look);
  do
    if (sigpending(&set) != 0) look->wrong |= 64;
  while (sigismember(&set, look->signal) == 0);
  sigemptyset(&set), sigaddset(&set, look->signal);
  /* glibc's own says SI_USER for SI_TKILL. */
  if (syscall(SYS_rt_sigtimedwait, &set, &info, &none, _NSIG / 8) != look->signal) look->wrong |= 128;
  check_taken(look, look->signal, info.si_code, info.si_pid, info.si_value.sival_int);
}

/* What a thread has sent to its process is there when it asks, without waiting. */
static void by_sending(struct Look *look) {
  sigset_t set;
  siginfo_t info;
  const struct timespec none = {0, 0};
  const int number = (unsigned char)look->asked++;
  sigemptyset(&set), sigaddset(&set, look->signal);
  if (number % 2 == 0)
    kill(getpid(), look->signal);
  else
    sigqueue(getpid(), look->signal, (union sigval){.sival_int = 100 + number});
  if (number % 4 >= 2 && (sigpending(&set) != 0 || sigismember(&set, look->signal) == 0)) look->wrong |= 256;
  sigemptyset(&set), sigaddset(&set, look->signal);
  if (sigtimedwait(&set, &info, &none) != look->signal) look->wrong |= 128;
  check_taken(look, look->signal, info.si_code, info.si_pid, info.si_value.sival_int);
}

static void *look_for_all(void *argument) {
  struct Look *look = argument;
  look->looker = (pid_t)syscall(SYS_gettid);
  while (look->asked < look->number && look->wrong == 0) {
    if (look->way < kSuspend)
      by_file(look);
    else if (look->way < kPending)
      by_opening(look);
    else if (look->way == kPending)
      by_asking(look);
    else
      by_sending(look);
  }
  look->is_over = 1;
  return NULL;
}

/* musl has no pthread_sigqueue. */
static void aim(const struct Look *look, int number) {
  siginfo_t info = {.si_code = SI_QUEUE};
  info.si_pid = getpid(), info.si_uid = getuid(), info.si_value.sival_int = 100 + (unsigned char)number;
  if (number % 2 == 0)
    syscall(SYS_tgkill, getpid(), look->looker, look->signal);
  else
    syscall(SYS_rt_tgsigqueueinfo, getpid(), look->looker, look->signal, &info);
}

static void *turn_around(void *argument) {
  struct Look *look = argument;
  int sent = 0;
  while (!look->is_over) {
    if (look->way == kBeside) getppid();
    if (look->is_aimed && sent < look->asked) aim(look, sent++);
  }
  return NULL;
}

static void look_by(enum Way way, int signal, int number, int is_first, int is_aimed) {
  struct Look look = {.signal = signal, .way = way, .number = number, .is_aimed = is_aimed};
  struct sigaction old;
  sigset_t set = block_and_handle(signal, on_signal, &old);
  must(pipe(look.ask) == 0, "pipe");
  look.file = signalfd(-1, &set, way == kRead || way == kReadv ? 0 : SFD_NONBLOCK);
  look.polled = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | (way == kEdge ? EPOLLET : 0u)};
  if (way < kSuspend) must(epoll_ctl(look.polled, EPOLL_CTL_ADD, look.file, &event) == 0, "epoll_ctl");
  look.sender = fork();
  if (look.sender == 0) {
    close(look.ask[1]);
    send_when_asked(&look);
  }
  close(look.ask[0]);
  const pid_t sender = look.sender;
  if (way >= kSending || is_aimed) look.sender = getpid();
  pthread_t other;
  must(pthread_create(&other, NULL, is_first ? turn_around : look_for_all, &look) == 0, "pthread_create");
  if (is_first)
    look_for_all(&look);
  else
    turn_around(&look);
  pthread_join(other, NULL);
  close(look.ask[1]), close(look.file), close(look.polled);
  must(waitpid(sender, NULL, 0) == sender, "waitpid");
  sigpending(&set);
  printf("%d by %s, %s: %d taken, wrong %d, left %d\n", signal, kNames[way], is_first ? "the first thread" : "another", look.taken, look.wrong,
         sigismember(&set, signal));
  sigaction(signal, &old, NULL);
}

/* --- Several that look --------------------------------------------------------------------------------- */

static struct Look *herd;
static __thread volatile int handled_here;

/* By whoever has it, before the next one is sent. */
static void take_in_herd(int signal, int code, pid_t sender, int value) {
  check_taken(herd, signal, code, sender, value);
  if (herd->wrong != 0 || herd->asked == herd->number) {
    printf("%d by three, %s: %d taken, wrong %d\n", herd->signal, kNames[herd->way], herd->taken, herd->wrong);
    _exit(0);
  }
  ask(herd);
}

static void on_herded(int signal, siginfo_t *info, void *context) {
  (void)context;
  handled_here++;
  take_in_herd(signal, info->si_code, info->si_pid, info->si_value.sival_int);
}

static void *graze(void *argument) {
  (void)argument;
  struct signalfd_siginfo info;
  sigset_t none;
  sigemptyset(&none);
  for (;;) {
    if (herd->way == kSuspend) {
      const int before = handled_here;
      if (sigsuspend(&none) != -1 || errno != EINTR || handled_here == before) herd->wrong |= 32;
      continue;
    }
    if (herd->way == kEpoll && wait_readable(herd) != 1) herd->wrong |= 16;
    const ssize_t size = read(herd->file, &info, sizeof info);
    if (size < 0 && herd->way == kEpoll && errno == EAGAIN) continue;
    if (size != sizeof info) herd->wrong |= 8;
    take_in_herd((int)info.ssi_signo, info.ssi_code, (pid_t)info.ssi_pid, info.ssi_int);
  }
  return NULL;
}

static void look_by_three(enum Way way, int signal, int number) {
  const pid_t child = fork();
  if (child != 0) {
    must(waitpid(child, NULL, 0) == child, "waitpid");
    return;
  }
  struct Look look = {.signal = signal, .way = way, .number = number};
  const sigset_t set = block_and_handle(signal, on_herded, NULL);
  alarm(300);
  must(pipe(look.ask) == 0, "pipe");
  look.file = signalfd(-1, &set, way == kRead ? 0 : SFD_NONBLOCK);
  look.polled = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  must(epoll_ctl(look.polled, EPOLL_CTL_ADD, look.file, &event) == 0, "epoll_ctl");
  herd = &look;
  look.sender = fork();
  if (look.sender == 0) {
    close(look.ask[1]);
    send_when_asked(&look);
  }
  close(look.ask[0]);
  pthread_t others[3];
  for (int i = 0; i < 3; i++) must(pthread_create(&others[i], NULL, graze, NULL) == 0, "pthread_create");
  ask(&look);
  turn_around(&look);
}

static const int kSignals[] = {SIGTRAP, SIGSYS};

/* --- One that takes it, and makes calls meanwhile ------------------------------------------------------ */

static void *take_by_handler(void *argument) {
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, *(const int *)argument);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  const time_t end = time(NULL) + 5;
  while (handled == 0 && time(NULL) < end)
    for (int i = 0; i < 1000 && handled == 0; i++) getppid();
  return handled == 1 ? NULL : argument;
}

static void send_to_taker(int signal, int number, int is_aimed) {
  block_and_handle(signal, on_signal, NULL);
  int late = 0;
  for (int i = 0; i < number; i++) {
    pthread_t taker;
    void *is_late = NULL;
    handled = 0;
    must(pthread_create(&taker, NULL, take_by_handler, &signal) == 0, "pthread_create");
    usleep((unsigned)(i * 37 % 500));
    for (volatile int turn = i * 7919 % 100000; turn > 0; turn--) continue;
    if (is_aimed)
      pthread_kill(taker, signal);
    else
      kill(getpid(), signal);
    pthread_join(taker, &is_late);
    late += is_late != NULL;
  }
  printf("%d %s a thread, taken by a handler: %d late\n", signal, is_aimed ? "sent to" : "left to", late);
}

static int look_by_herds(int number) {
  const enum Way ways[] = {kRead, kEpoll, kSuspend};
  for (int i = 0; i < 2; i++)
    for (int way = 0; way < 3; way++) look_by_three(ways[way], kSignals[i], number);
  return 0;
}

static void crowd_by(enum Way way, int signal, int number, int is_first) {
  for (int i = 0; i < 4; i++)
    if (fork() == 0) {
      alarm(300);
      look_by(way, signal, number, is_first, 0);
      exit(0);
    }
  for (int status; wait(&status) > 0;)
    if (status != 0) printf("a process ended with %x\n", status);
}

static int look_in_crowd(int number) {
  const enum Way ways[] = {kEpollPwait, kPending, kSending, kBeside};
  for (int i = 0; i < 2; i++)
    for (int way = 0; way < 4; way++)
      for (int is_first = 0; is_first < 2; is_first++) crowd_by(ways[way], kSignals[i], number, is_first);
  return 0;
}

static int send_to_takers(int number) {
  for (int i = 0; i < 2; i++)
    for (int is_aimed = 0; is_aimed < 2; is_aimed++) send_to_taker(kSignals[i], number, is_aimed);
  return 0;
}

/* What a thread sends to itself is there without this. */
static int look_by_each(int number, int is_aimed) {
  for (int i = 0; i < 2; i++)
    for (int way = 0; way < (is_aimed ? kSending : kWays); way++)
      for (int is_first = 0; is_first < 2; is_first++) look_by((enum Way)way, kSignals[i], number, is_first, is_aimed);
  return 0;
}

/* What leads a thread to a signal is sent while that is put back for it. */
static int look_by_asking(int number) {
  for (int i = 0; i < 2; i++)
    for (int is_first = 0; is_first < 2; is_first++) look_by(kPending, kSignals[i], number, is_first, 1);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return 64;
  const int number = atoi(argv[1]);
  const char *const how = argc > 2 ? argv[2] : "";
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* whole lines, of several processes */
  alarm(600);
  if (strcmp(how, "taken") == 0) return send_to_takers(number);
  if (strcmp(how, "herd") == 0) return look_by_herds(number);
  if (strcmp(how, "crowd") == 0) return look_in_crowd(number);
  if (strcmp(how, "shown") == 0) return look_by_asking(number);
  return look_by_each(number, strcmp(how, "aimed") == 0);
}
