// Uses memory: what a group's limit allows, or more than that.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMebibyte = 1 << 20, kThreads = 8, kChildren = 4 };

static char *touch(size_t mebibytes) {
  char *memory = mmap(NULL, mebibytes * kMebibyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  for (size_t at = 0; at < mebibytes * kMebibyte; at += 4096) memory[at] = 1;
  return memory;
}

static void *use_some(void *argument) {
  for (int i = 0; i < 100; i++) getppid();
  return touch(1) == NULL ? NULL : argument;
}

int main(int argc, char **argv) {
  const size_t mebibytes = argc > 1 ? (size_t)atoi(argv[1]) : 1;
  pthread_t threads[kThreads];
  int good = touch(mebibytes) != NULL;
  for (int i = 0; i < kThreads; i++) good &= pthread_create(&threads[i], NULL, use_some, argv) == 0;
  for (int i = 0; i < kThreads; i++) {
    void *result = NULL;
    pthread_join(threads[i], &result);
    good &= result == argv;
  }
  for (int i = 0; i < kChildren; i++) {
    const pid_t child = fork();
    if (child == 0) _exit(touch(1) == NULL);
    int status = -1;
    waitpid(child, &status, 0);
    good &= status == 0;
  }
  printf("%s\n", good ? "all of it" : "not all of it");
  return 0;
}
