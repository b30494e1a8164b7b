/* Threads that wait, compute, fork and begin threads, struck by signals for some time.
 *
 *   signals SECONDS [unordered]
 *
 * Queued signals carry a number each, and must arrive one by one in order, on the stack that was asked for; with
 * `unordered` only each of them once. Whatever they strike must go on as if nothing had been: a byte lost, a sleep too
 * short, a sum that differs, a wait that does not end fails the program. The alarm's handlers nest, and one kind of
 * thread leaves handlers by siglongjmp. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kAhead = 8, kAltStack = 64 * 1024 };

struct Worker {
  const char *name;
  void (*once)(struct Worker *);
  pthread_t thread;
  pid_t id;
  unsigned sent, received, rounds;
  /* The first number that has not come, and which of those from it on have. */
  unsigned next, early;
  int there[2], back[2];
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  unsigned turn;
  sigjmp_buf place;
  volatile int leaves;
  char *stack;
};

static __thread struct Worker *self;
static int stop, alarms, unordered;

static void fail(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", self ? self->name : "main", what, strerror(errno));
  _exit(1);
}

static int read_now(const int *value) { return __atomic_load_n(value, __ATOMIC_ACQUIRE); }

/* --- Handlers --------------------------------------------------------------------------------------- */

static void on_queued(int number, siginfo_t *info, void *context) {
  const int kept = errno;
  struct Worker *worker = self;
  char here;
  if (worker == NULL || number < SIGRTMIN) fail("a signal for another thread");
  if (info->si_code != SI_QUEUE || info->si_pid != getpid()) fail("si_code or si_pid");
  const unsigned ahead = (unsigned)info->si_value.sival_int - worker->next;
  if (ahead >= kAhead || (ahead > 0 && !unordered)) fail("out of order");
  if (worker->early >> ahead & 1) fail("a second time");
  worker->early |= 1U << ahead;
  for (; worker->early & 1; worker->early >>= 1) ++worker->next;
  if (worker->stack && !(&here >= worker->stack && &here < worker->stack + kAltStack)) fail("not on its stack");
  const ucontext_t *frame = context;
  if (frame->uc_mcontext.gregs[REG_RSP] == 0) fail("rsp");
  close(-1);
  errno = kept;
  __atomic_store_n(&worker->received, worker->received + 1, __ATOMIC_RELEASE);
}

static void on_alarm(int number) {
  const int kept = errno;
  (void)number;
  __atomic_add_fetch(&alarms, 1, __ATOMIC_RELAXED);
  close(-1);
  errno = kept;
}

static void on_leave(int number) {
  (void)number;
  if (self && self->leaves) siglongjmp(self->place, 1);
}

/* --- What is struck ---------------------------------------------------------------------------------- */

static void talks(struct Worker *worker) {
  uint64_t word = worker->rounds * 0x9e3779b97f4a7c15u, answer = 0;
  if (write(worker->there[1], &word, sizeof word) != sizeof word) fail("write");
  if (read(worker->back[0], &answer, sizeof answer) != sizeof answer) fail("read");
  if (answer != word + 1) fail("another word");
}

static void *answers(void *argument) {
  struct Worker *worker = argument;
  uint64_t word;
  while (read(worker->there[0], &word, sizeof word) == sizeof word) {
    ++word;
    if (write(worker->back[1], &word, sizeof word) != sizeof word) fail("answer");
  }
  return NULL;
}

static void sleeps(struct Worker *worker) {
  (void)worker;
  struct timespec before, after, left = {0, 2000000};
  clock_gettime(CLOCK_MONOTONIC, &before);
  while (nanosleep(&left, &left) != 0)
    if (errno != EINTR) fail("nanosleep");
  clock_gettime(CLOCK_MONOTONIC, &after);
  const long long passed = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
  if (passed < 2000000) fail("slept too short");
}

static void polls(struct Worker *worker) {
  struct pollfd one = {worker->back[0], POLLIN, 0};
  const int ready = poll(&one, 1, 3);
  if (ready != 0 && !(ready == -1 && errno == EINTR)) fail("poll");
}

static void takes_turns(struct Worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  worker->turn = 1;
  pthread_cond_broadcast(&worker->condition);
  while (worker->turn != 0) pthread_cond_wait(&worker->condition, &worker->mutex);
  pthread_mutex_unlock(&worker->mutex);
}

static void *gives_turns(void *argument) {
  struct Worker *worker = argument;
  pthread_mutex_lock(&worker->mutex);
  while (!read_now(&stop) || worker->turn == 1) {
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 1000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_nsec -= 1000000000, ++soon.tv_sec;
    while (worker->turn != 1 && pthread_cond_timedwait(&worker->condition, &worker->mutex, &soon) != ETIMEDOUT) {}
    worker->turn = 0;
    pthread_cond_broadcast(&worker->condition);
  }
  worker->turn = 0;
  pthread_cond_broadcast(&worker->condition);
  pthread_mutex_unlock(&worker->mutex);
  return NULL;
}

static uint64_t sum(void) {
  uint64_t all = 1;
  double part = 1;
  for (int i = 1; i < 20000; ++i) {
    all = all * 6364136223846793005u + (uint64_t)i;
    part += 1.0 / (double)(all >> 40 | 1);
    if (i % 100 == 0) all += (uint64_t)syscall(SYS_getppid) * 0;
  }
  return all + (uint64_t)(part * 1000);
}

static void computes(struct Worker *worker) {
  static uint64_t expected;
  if (worker->rounds == 0) expected = sum();
  if (sum() != expected) fail("another sum");
}

static void *ends(void *argument) {
  close(-1);
  return (char *)argument + 1;
}

static void begins_threads(struct Worker *worker) {
  pthread_t thread;
  void *answer;
  if (pthread_create(&thread, NULL, ends, worker) != 0) fail("pthread_create");
  if (pthread_join(thread, &answer) != 0 || answer != (char *)worker + 1) fail("pthread_join");
}

static void forks(struct Worker *worker) {
  const int code = (int)(worker->rounds % 100);
  const pid_t pid = fork();
  if (pid == 0) _exit(code);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) fail("fork");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != code) fail("a child's status");
}

static void masks(struct Worker *worker) {
  sigset_t all, before, pending;
  (void)worker;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) fail("sigmask");
  const unsigned received = worker->received;
  usleep(200);
  sigpending(&pending);
  if (worker->received != received) fail("struck while blocked");
  if (pthread_sigmask(SIG_SETMASK, &before, NULL) != 0) fail("sigmask");
  if (sigismember(&pending, SIGRTMIN + 1) == 1 && worker->received == received) fail("not struck when unblocked");
}

static void leaves(struct Worker *worker) {
  if (sigsetjmp(worker->place, 1) != 0) {
    worker->leaves = 0;
    return;
  }
  worker->leaves = 1;
  syscall(SYS_tgkill, getpid(), worker->id, SIGUSR2);
  for (;;) poll(NULL, 0, 1000);
}

/* --- Threads ------------------------------------------------------------------------------------------ */

static void *run(void *argument) {
  struct Worker *worker = self = argument;
  if (worker->stack) {
    const stack_t stack = {.ss_sp = worker->stack, .ss_size = kAltStack};
    if (sigaltstack(&stack, NULL) != 0) fail("sigaltstack");
  }
  __atomic_store_n(&worker->id, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
  while (!read_now(&stop) || __atomic_load_n(&worker->received, __ATOMIC_ACQUIRE) != worker->sent) {
    worker->once(worker);
    ++worker->rounds;
  }
  return NULL;
}

static struct Worker workers[] = {
    {.name = "talks", .once = talks},   {.name = "sleeps", .once = sleeps},
    {.name = "polls", .once = polls},   {.name = "takes turns", .once = takes_turns},
    {.name = "computes", .once = computes}, {.name = "begins threads", .once = begins_threads},
    {.name = "forks", .once = forks},   {.name = "masks", .once = masks},
    {.name = "leaves", .once = leaves}, {.name = "talks on a stack", .once = talks},
};
enum { kWorkers = sizeof workers / sizeof workers[0] };

static void strike(struct Worker *worker) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = (int)worker->sent;
  if (worker->sent - __atomic_load_n(&worker->next, __ATOMIC_ACQUIRE) >= kAhead) return;
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), worker->id, SIGRTMIN + 1, &info) == 0)
    ++worker->sent;
  else if (errno != EAGAIN)
    fail("rt_tgsigqueueinfo");
}

static void handle(int number, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  if (sigaction(number, &action, NULL) != 0) fail("sigaction");
}

int main(int argc, char **argv) {
  const int seconds = argc >= 2 ? atoi(argv[1]) : 0;
  if (seconds < 1 || argc > 3) return 2;
  unordered = argc == 3;
  struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
  if (sigaction(SIGRTMIN + 1, &queued, NULL) != 0) fail("sigaction");
  handle(SIGALRM, on_alarm, SA_RESTART | SA_NODEFER);
  handle(SIGUSR2, on_leave, SA_RESTART);
  /* Not for the helpers: they are no workers. */
  sigset_t only_workers, before;
  sigemptyset(&only_workers);
  sigaddset(&only_workers, SIGRTMIN + 1);
  pthread_t helpers[kWorkers];
  int helper_count = 0;
  for (int i = 0; i < kWorkers; ++i) {
    struct Worker *worker = &workers[i];
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->condition, NULL);
    if (pipe(worker->there) != 0 || pipe(worker->back) != 0) fail("pipe");
    /* Not for what is left by siglongjmp: the kernel would go on to see its stack in use. */
    if (i % 2 == 1) worker->stack = malloc(kAltStack);
    pthread_sigmask(SIG_BLOCK, &only_workers, &before);
    if (worker->once == talks) pthread_create(&helpers[helper_count++], NULL, answers, worker);
    if (worker->once == takes_turns) pthread_create(&helpers[helper_count++], NULL, gives_turns, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pthread_create(&worker->thread, NULL, run, worker) != 0) fail("pthread_create");
    while (__atomic_load_n(&worker->id, __ATOMIC_ACQUIRE) == 0) usleep(100);
  }
  const struct itimerval often = {{0, 700}, {0, 700}};
  setitimer(ITIMER_REAL, &often, NULL);
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  do {
    for (int i = 0; i < kWorkers; ++i) strike(&workers[i]);
    usleep(100);
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec - start.tv_sec < seconds);
  __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
  for (int i = 0; i < kWorkers; ++i) pthread_join(workers[i].thread, NULL);
  for (int i = 0; i < kWorkers; ++i) close(workers[i].there[1]);
  for (int i = 0; i < helper_count; ++i) pthread_join(helpers[i], NULL);
  if (alarms == 0) fail("no alarm");
  for (int i = 0; i < kWorkers; ++i) {
    fprintf(stderr, "%s: %u rounds, %u signals\n", workers[i].name, workers[i].rounds, workers[i].received);
    if (workers[i].received != workers[i].sent || workers[i].received == 0) fail("signals are missing");
    if (workers[i].rounds == 0) fail(workers[i].name);
  }
  printf("%d kinds of threads, every signal once%s\n", kWorkers, unordered ? "" : ", in order");
  return 0;
}
