// What the hook count gathers: memory that every process of a tree maps and writes, and that
// whoever is left at the end shows. The hook (loader) and the process behind `sysrewrite run` (cli)
// share it.
//
//   +0      +---------------------------+
//           | CountHeader               |
//           +---------------------------+
//           | CountProcess[most]        |  one for each process and program, in order of their
//           start
//           +---------------------------+
//
// It is written without locks by processes that may be killed at any time, so nothing in it is
// trusted but for showing it.
#ifndef SYSREWRITE_TRAMPOLINE_COUNTS_H_
#define SYSREWRITE_TRAMPOLINE_COUNTS_H_

#include <cstddef>
#include <cstdint>

namespace sysrewrite {

inline constexpr uint32_t kCountedNumbers = 512;  // the last stands for all numbers from there on

struct CountCell {
  uint64_t calls, errors;
  uint64_t ticks;  // of the time-stamp counter, between entry and exit, waiting included
};

struct CountProcess {
  uint32_t pid;
  uint32_t reserved;
  char name[56];  // last part of the program's path; NUL-ended, cut
  CountCell cells[kCountedNumbers];
};

struct CountHeader {
  uint32_t most;  // processes that there is room for; the last one stands for all further ones
  uint32_t used;  // may be beyond `most`
  // Both clocks when counting began, to tell how long a tick is.
  uint64_t start_ticks, start_nanoseconds;
};

inline constexpr uint64_t count_size(uint32_t most) {
  return sizeof(CountHeader) + uint64_t{most} * sizeof(CountProcess);
}

enum class CountOrder : uint8_t { kTime, kCalls, kErrors, kName };

struct CountView {
  const CountHeader* header;
  const CountProcess* processes;
  uint32_t most;  // that the memory has room for, whatever the header says
  CountOrder order;
  bool each;  // a table for each process in front of the total
  uint64_t now_ticks, now_nanoseconds;
};

// Takes pieces of text.
struct CountSink {
  void (*write)(void* context, const char* text, size_t size);
  void* context;
};

void write_counts(const CountView& view, const CountSink& sink);

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_COUNTS_H_
