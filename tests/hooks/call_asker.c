/* Makes the calls that a file lists, each answered by a filter before the kernel does anything, with
 * an error or, as if it had succeeded, with 0: under strace, to see what it says of them.
 *
 *   usage: call_asker FILE ERRNO
 *
 * A line of FILE is NUMBER and six arguments, and then OFFSET:VALUE... for what a page at 0x10000000
 * is to hold, in words of 64 bits; the rest of the page is 0. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE ((char*)0x10000000)
#define PAGE_SIZE 4096
#define MOST_WORDS 32
#define END 0x7777 /* the last argument of the one call that is let through */

struct asked {
  unsigned long number, argument[6];
  int words;
  unsigned long offset[MOST_WORDS], value[MOST_WORDS];
};

static struct asked parse(char* line) {
  struct asked asked = {0};
  asked.number = strtoul(line, &line, 0);
  for (int i = 0; i < 6; ++i) asked.argument[i] = strtoul(line, &line, 0);
  while (asked.words < MOST_WORDS) {
    char* end;
    const unsigned long offset = strtoul(line, &end, 0);
    if (end == line || *end != ':' || offset > PAGE_SIZE - 8) break;
    asked.offset[asked.words] = offset;
    asked.value[asked.words++] = strtoul(end + 1, &line, 0);
  }
  return asked;
}

static int answer_all(unsigned error) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, END, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
  };
  struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int main(int count, char** arguments) {
  static struct asked all[100000];
  size_t known = 0;
  char line[1000];
  if (count != 3) return 2;
  FILE* file = fopen(arguments[1], "r");
  if (file == NULL) return 2;
  while (known < sizeof(all) / sizeof(all[0]) && fgets(line, sizeof(line), file) != NULL)
    all[known++] = parse(line);
  if (!feof(file) && fgetc(file) != EOF) return 3;
  if (mmap(PAGE, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
           0) != PAGE)
    return 2;
  if (answer_all((unsigned)atoi(arguments[2])) != 0) return 2;
  for (size_t i = 0; i < known; ++i) {
    const unsigned long* a = all[i].argument;
    memset(PAGE, 0, PAGE_SIZE);
    for (int k = 0; k < all[i].words; ++k) memcpy(PAGE + all[i].offset[k], &all[i].value[k], 8);
    syscall((long)all[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  return (int)syscall(SYS_exit_group, 0, 0, 0, 0, 0, END);
}
