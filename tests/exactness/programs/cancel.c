/* pthread_cancel of threads that wait in the kernel.
 *
 *   cancel COUNT     cancels COUNT threads, in turn blocked in read, accept, nanosleep, a condition, a semaphore,
 *                    poll, and one that runs without a call until it comes to one
 *
 * Checked for each: it ends as cancelled, its cleanup handler has run, with the locks it is promised; and in time,
 * since a thread that is not woken hangs this program. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int pipe_of[2], listening;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static volatile int started, cleaned, run_on;

static void cleanup(void *argument) {
  (void)argument;
  ++cleaned;
}

static void cleanup_mutex(void *argument) {
  /* A condition's wait is left with the lock held. */
  if (pthread_mutex_unlock(argument) != 0) _exit(3);
  ++cleaned;
}

static void *in_read(void *unused) {
  char byte;
  pthread_cleanup_push(cleanup, NULL);
  started = 1;
  if (read(pipe_of[0], &byte, 1) >= 0) _exit(4);
  pthread_cleanup_pop(0);
  return unused;
}

static void *in_accept(void *unused) {
  pthread_cleanup_push(cleanup, NULL);
  started = 1;
  if (accept(listening, NULL, NULL) >= 0) _exit(4);
  pthread_cleanup_pop(0);
  return unused;
}

static void *in_nanosleep(void *unused) {
  const struct timespec day = {86400, 0};
  pthread_cleanup_push(cleanup, NULL);
  started = 1;
  nanosleep(&day, NULL);
  pthread_cleanup_pop(0);
  return unused;
}

static void *in_condition(void *unused) {
  pthread_mutex_lock(&mutex);
  pthread_cleanup_push(cleanup_mutex, &mutex);
  started = 1;
  for (;;) pthread_cond_wait(&condition, &mutex);
  pthread_cleanup_pop(0);
  return unused;
}

static void *in_semaphore(void *unused) {
  pthread_cleanup_push(cleanup, NULL);
  started = 1;
  while (sem_wait(&semaphore) != 0) continue;
  pthread_cleanup_pop(0);
  return unused;
}

static void *in_poll(void *unused) {
  struct pollfd waits = {pipe_of[0], POLLIN, 0};
  pthread_cleanup_push(cleanup, NULL);
  started = 1;
  poll(&waits, 1, -1);
  pthread_cleanup_pop(0);
  return unused;
}

/* Cancelled while it runs, seen at its next call. */
static void *in_program(void *unused) {
  char byte;
  pthread_cleanup_push(cleanup, NULL);
  started = 1;
  while (!run_on) continue;
  if (read(pipe_of[0], &byte, 1) >= 0) _exit(4);
  pthread_cleanup_pop(0);
  return unused;
}

int main(int argc, char **argv) {
  static void *(*const ways[])(void *) = {in_read,      in_accept, in_nanosleep, in_condition,
                                          in_semaphore, in_poll,   in_program};
  const int count = argc > 1 ? atoi(argv[1]) : 100;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  listening = socket(AF_INET, SOCK_STREAM, 0);
  if (pipe(pipe_of) != 0 || bind(listening, (void *)&address, sizeof address) != 0 || listen(listening, 1) != 0 ||
      sem_init(&semaphore, 0, 0) != 0)
    return 2;
  for (int i = 0; i < count; i++) {
    void *(*const way)(void *) = ways[(unsigned)i % (sizeof ways / sizeof *ways)];
    pthread_t thread;
    void *result = NULL;
    started = cleaned = run_on = 0;
    if (pthread_create(&thread, NULL, way, NULL) != 0) return 2;
    while (!started) sched_yield();
    /* Some before they wait, some while. */
    if (i % 3 == 0) {
      const struct timespec moment = {0, 50000};
      nanosleep(&moment, NULL);
    }
    pthread_cancel(thread);
    run_on = 1;
    pthread_join(thread, &result);
    if (result != PTHREAD_CANCELED || cleaned != 1) {
      printf("thread %d: %s, %d cleanups\n", i, result == PTHREAD_CANCELED ? "cancelled" : "not cancelled", cleaned);
      return 1;
    }
  }
  puts("all cancelled");
  return 0;
}
