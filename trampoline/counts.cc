#include "trampoline/counts.h"

#include <cstring>

#include "trampoline/call_names.h"
#include "trampoline/decimal.h"

// Without libc, floating point or allocation: a freestanding loader shows these tables too.

namespace sysrewrite {

namespace {

struct Row {
  uint32_t number;
  CountCell cell;
  uint64_t nanoseconds;
};

// A line that is filled from the left.
class Line {
 public:
  Line& text(const char* words) {
    for (; *words != 0; ++words) put(*words);
    return *this;
  }
  // Somebody else's words: nothing in them ends the line or reaches the terminal.
  Line& name(const char* words, size_t most) {
    for (size_t i = 0; i < most && words[i] != 0; ++i)
      put(words[i] >= ' ' && words[i] != 0x7f ? words[i] : '?');
    return *this;
  }
  Line& number(uint64_t value, unsigned width = 0, char fill = ' ') {
    const Decimal digits(value);
    for (; width > digits.size(); --width) put(fill);
    for (const char digit : digits) put(digit);
    return *this;
  }
  Line& spaces(unsigned count) {
    for (; count != 0; --count) put(' ');
    return *this;
  }
  void write(const CountSink& sink) {
    put('\n');
    sink.write(sink.context, bytes_, used_);
    used_ = 0;
  }

 private:
  void put(char c) {
    if (used_ < sizeof(bytes_)) bytes_[used_++] = c;
  }

  char bytes_[256];
  size_t used_ = 0;
};

// Ticks as nanoseconds. 128 bits, since both clocks count fast.
uint64_t nanoseconds_of(uint64_t ticks, const CountView& view) {
  const uint64_t elapsed = view.now_ticks - view.header->start_ticks;
  const uint64_t span = view.now_nanoseconds - view.header->start_nanoseconds;
  if (elapsed == 0) return 0;
  __extension__ using Wide = unsigned __int128;
  // A process that lies about its ticks shows odd times, and nothing else.
  const Wide product = Wide{ticks} * span;
  const auto high = static_cast<uint64_t>(product >> 64), low = static_cast<uint64_t>(product);
  if (high >= elapsed) return UINT64_MAX;
  uint64_t quotient = 0, rest = 0;
  asm("divq %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(high), "r"(elapsed) : "cc");
  return quotient;
}

bool stands_before(const Row& a, const Row& b, CountOrder order) {
  if (order == CountOrder::kTime && a.nanoseconds != b.nanoseconds)
    return a.nanoseconds > b.nanoseconds;
  if (order == CountOrder::kErrors && a.cell.errors != b.cell.errors)
    return a.cell.errors > b.cell.errors;
  if (order == CountOrder::kName) {
    const char* left = call_name(a.number);
    const char* right = call_name(b.number);
    if (left != nullptr && right != nullptr) {
      while (*left != 0 && *left == *right) ++left, ++right;
      return *left < *right;
    }
  }
  if (a.cell.calls != b.cell.calls) return a.cell.calls > b.cell.calls;
  return a.number < b.number;
}

void add(CountCell& sum, const CountCell& cell) {
  sum.calls += cell.calls;
  sum.errors += cell.errors;
  sum.ticks += cell.ticks;
}

void write_row(const CountSink& sink, uint64_t share, const CountCell& cell, uint64_t nanoseconds,
               const char* name, uint32_t number) {
  constexpr uint64_t kMicro = 1000, kSecond = 1000000000;
  Line line;
  line.number(share / 100, 3).text(".").number(share % 100, 2, '0');
  line.number(nanoseconds / kSecond, 5).text(".");
  line.number(nanoseconds % kSecond / kMicro, 6, '0');
  line.number(cell.calls == 0 ? 0 : nanoseconds / kMicro / cell.calls, 12);
  line.number(cell.calls, 10);
  if (cell.errors == 0) {
    line.spaces(10);
  } else {
    line.number(cell.errors, 10);
  }
  line.text(" ");
  if (name != nullptr) {
    line.text(name);
  } else {
    line.text("syscall_").number(number);
  }
  line.write(sink);
}

constexpr char kHead[] = "% time     seconds  usecs/call     calls    errors syscall";
constexpr char kRule[] = "------ ----------- ----------- --------- --------- ----------------";

void write_table(const CountView& view, const CountSink& sink, const CountCell* cells) {
  Row rows[kCountedNumbers];
  uint32_t count = 0;
  CountCell total{};
  uint64_t total_time = 0;
  for (uint32_t number = 0; number < kCountedNumbers; ++number) {
    if (cells[number].calls == 0) continue;
    const Row row{number, cells[number], nanoseconds_of(cells[number].ticks, view)};
    add(total, row.cell);
    total_time += row.nanoseconds;
    uint32_t at = count++;
    for (; at > 0 && stands_before(row, rows[at - 1], view.order); --at) rows[at] = rows[at - 1];
    rows[at] = row;
  }
  Line().text(kHead).write(sink);
  Line().text(kRule).write(sink);
  constexpr uint64_t kAll = 10000;  // hundredths of a percent
  for (uint32_t i = 0; i < count; ++i) {
    const Row& row = rows[i];
    const bool is_small = row.nanoseconds < UINT64_MAX / kAll && total_time != 0;
    const uint64_t share = is_small ? row.nanoseconds * kAll / total_time : 0;
    const bool is_last = row.number == kCountedNumbers - 1;
    write_row(sink, share, row.cell, row.nanoseconds,
              is_last ? "(other numbers)" : call_name(row.number), row.number);
  }
  Line().text(kRule).write(sink);
  write_row(sink, kAll, total, total_time, "total", 0);
}

void write_title(const CountSink& sink, const CountProcess& process, uint32_t more) {
  Line line;
  line.text("sysload: system calls of ").number(process.pid).text(" (");
  line.name(process.name, sizeof(process.name)).text(")");
  if (more != 0)
    line.text(" and ").number(more).text(more == 1 ? " more process" : " more processes");
  line.write(sink);
}

}  // namespace

void write_counts(const CountView& view, const CountSink& sink) {
  // Others may still be adding to it.
  const uint32_t now = __atomic_load_n(&view.header->used, __ATOMIC_RELAXED);
  const uint32_t used = now < view.most ? now : view.most;
  if (used == 0) return;
  if (used == 1 || view.each) {
    for (uint32_t i = 0; i < used; ++i) {
      write_title(sink, view.processes[i], 0);
      write_table(view, sink, view.processes[i].cells);
    }
  }
  if (used == 1) return;
  CountCell sums[kCountedNumbers] = {};
  for (uint32_t i = 0; i < used; ++i)
    for (uint32_t number = 0; number < kCountedNumbers; ++number)
      add(sums[number], view.processes[i].cells[number]);
  write_title(sink, view.processes[0], view.header->used - 1);
  write_table(view, sink, sums);
}

}  // namespace sysrewrite
