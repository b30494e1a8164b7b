// Unwinding from a handler that has interrupted a call.
//
//   unwind throw       the handler throws, and main catches, out of each blocking call
//   unwind frames      the handler prints each frame: object, address in it, start of its function
//   unwind profile     a profiler's signals at any instruction of a loop of calls: each sees main
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>

namespace {

int pipe_of[2], handled[2];
enum Way { kThrow, kFrames, kProfile } way;
volatile int seen, lost;

// --- Frames
struct Place {
  uintptr_t address, base;
  const char* object;
};

int look(dl_phdr_info* info, size_t, void* argument) {
  auto& place = *static_cast<Place*>(argument);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD ||
        place.address - info->dlpi_addr - header.p_vaddr >= header.p_memsz)
      continue;
    const char* const slash = std::strrchr(info->dlpi_name, '/');
    place.base = info->dlpi_addr;
    place.object = slash != nullptr ? slash + 1 : info->dlpi_name;
    return 1;
  }
  return 0;
}

_Unwind_Reason_Code print(_Unwind_Context* context, void* count) {
  int before = 0;
  Place place{_Unwind_GetIPInfo(context, &before), 0, "nowhere"};
  dl_iterate_phdr(look, &place);
  // The end of the stack has no object, and a start of the frame before.
  const uintptr_t start =
      place.base != 0 || place.address != 0 ? _Unwind_GetRegionStart(context) : 0;
  // Above main the C library is another one when it is linked otherwise, but the same in each way
  // of one program.
  std::printf("  %s %#zx in %#zx%s, stack %d\n", place.object, place.address - place.base,
              start ? start - place.base : 0, before ? " (interrupted)" : "",
              _Unwind_GetCFA(context) != 0);
  return ++*static_cast<int*>(count) < 64 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

[[gnu::noinline]] int at_main_or_beyond(void** found, int count);

void on_alarm(int) {
  seen = seen + 1;
  if (way == kThrow) throw std::runtime_error("thrown by a handler");
  if (way == kFrames) {
    int count = 0;
    _Unwind_Backtrace(print, &count);
    void* found[64];
    std::printf("  %d frames, backtrace() has %d\n", count, backtrace(found, 64));
    if (write(handled[1], "x", 1) != 1) _exit(3);
    return;
  }
  void* found[64];
  if (!at_main_or_beyond(found, backtrace(found, 64))) lost = lost + 1;
}

void handle(int flags) {
  struct sigaction action = {};
  action.sa_handler = on_alarm;
  action.sa_flags = flags;
  sigaction(SIGALRM, &action, nullptr);
  sigaction(SIGPROF, &action, nullptr);
}

void soon() {
  const itimerval once = {{0, 0}, {0, 5000}};
  setitimer(ITIMER_REAL, &once, nullptr);
}

// --- Calls that block
[[gnu::noinline]] long raw(long number, long first, long second, long third, long fourth) {
  long result;
  register long r10 asm("r10") = fourth;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}

// A pipe that gets a byte by a child is what ends those calls that are made again: not before the
// handler has run, or the call it was to interrupt might be over.
void a_byte_later() {
  char any;
  while (read(handled[0], &any, 1) == 1) continue;
  if (fork() != 0) return;
  pollfd waits = {handled[0], POLLIN, 0};
  poll(&waits, 1, -1);
  _exit(write(pipe_of[1], "x", 1) == 1 ? 0 : 1);
}

struct Call {
  const char* name;
  void (*make)();
};

char byte;
sem_t semaphore;

const Call kCalls[] = {
    {"read", [] { read(pipe_of[0], &byte, 1); }},
    {"nanosleep",
     [] {
       const timespec day = {0, 40'000'000};
       nanosleep(&day, nullptr);
     }},
    {"clock_nanosleep",
     [] {
       const timespec day = {0, 40'000'000};
       clock_nanosleep(CLOCK_MONOTONIC, 0, &day, nullptr);
     }},
    {"poll",
     [] {
       pollfd waits = {pipe_of[0], POLLIN, 0};
       poll(&waits, 1, 40);
     }},
    {"select",
     [] {
       timeval moment = {0, 40'000};
       select(0, nullptr, nullptr, nullptr, &moment);
     }},
    {"pause", [] { pause(); }},
    {"raw read", [] { raw(SYS_read, pipe_of[0], reinterpret_cast<long>(&byte), 1, 0); }},
    {"raw pause", [] { raw(SYS_pause, 0, 0, 0, 0); }},
    {"epoll_wait",
     [] {
       const int set = epoll_create1(0);
       epoll_event event;
       // No destructor closes it where the handler throws: this program's pipes have numbers below.
       epoll_wait(set, &event, 1, 40);
     }},
    {"sem_wait", [] { sem_wait(&semaphore); }},
};

struct Object {
  int* destroyed;
  ~Object() { ++*destroyed; }
};

// Frames between the call and main, one with a local object.
[[gnu::noinline]] void inner(const Call& call, int* destroyed) {
  Object object{destroyed};
  call.make();
}

[[gnu::noinline]] void outer(const Call& call, int* destroyed) {
  Object object{destroyed};
  inner(call, destroyed);
}

void throw_out_of_each() {
  for (const int flags : {0, SA_RESTART, SA_NODEFER}) {
    handle(flags | SA_NODEFER);
    for (const Call& call : kCalls) {
      int destroyed = 0;
      try {
        soon();
        outer(call, &destroyed);
        std::printf("%s: nothing was thrown\n", call.name);
      } catch (const std::runtime_error& error) {
        std::printf("%s, flags %#x: %s, %d objects destroyed\n", call.name, flags, error.what(),
                    destroyed);
      }
    }
  }
}

void show_frames() {
  void* found[1];
  backtrace(found, 1);  // loads libgcc_s
  for (const int flags : {0, SA_RESTART}) {
    handle(flags);
    for (const Call& call : kCalls) {
      const std::string name = call.name;
      // Nothing ends it but the signal that it is restarted for.
      if (flags != 0 && name == "sem_wait") continue;
      std::printf("%s, flags %#x\n", call.name, flags);
      std::fflush(stdout);
      int destroyed = 0;
      const bool reads = flags != 0 && name.find("read") != std::string::npos;
      if (reads) a_byte_later();
      soon();
      outer(call, &destroyed);
      if (reads) wait(nullptr);
    }
  }
}

[[gnu::noinline]] void spin(int signals) {
  Object object{new int};
  while (seen < signals) {
    getppid();
    raw(SYS_getppid, 0, 0, 0, 0);
    raw(SYS_read, -1, 0, 0, 0);
  }
}

uintptr_t main_start;

int at_main_or_beyond(void** found, int count) {
  for (int i = 0; i < count; ++i)
    if (_Unwind_FindEnclosingFunction(found[i]) == reinterpret_cast<void*>(main_start)) return 1;
  return 0;
}

void profile(int signals) {
  void* found[1];
  backtrace(found, 1);
  handle(SA_RESTART);
  timer_t timer;
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGPROF;
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  const itimerspec often = {{0, 100'000}, {0, 100'000}};
  timer_settime(timer, 0, &often, nullptr);
  spin(signals);
  timer_delete(timer);
  std::printf("%d signals did not see main\n", lost);
}

}  // namespace

int main(int argc, char** argv) {
  main_start = reinterpret_cast<uintptr_t>(&main);
  const std::string word = argc > 1 ? argv[1] : "";
  way = word == "throw" ? kThrow : word == "frames" ? kFrames : kProfile;
  if (pipe(pipe_of) != 0 || pipe2(handled, O_NONBLOCK) != 0 || sem_init(&semaphore, 0, 0) != 0)
    return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 4096);
  if (way == kThrow) throw_out_of_each();
  if (way == kFrames) show_frames();
  if (way == kProfile) profile(argc > 2 ? std::atoi(argv[2]) : 1000);
}
