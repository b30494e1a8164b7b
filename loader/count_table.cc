#include "loader/count_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "loader/client.h"
#include "loader/report.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// Names stand in the table itself, not behind pointers, which would need relocations.
struct SyscallName {
  uint16_t number;
  char name[26];
};
constexpr SyscallName kNames[] = {
#include "loader/syscall_names.inc"
};

constexpr bool names_ascend() {
  for (size_t i = 1; i < std::size(kNames); ++i)
    if (kNames[i - 1].number >= kNames[i].number) return false;
  return true;
}
static_assert(names_ascend());

const char* name_of(uint32_t number) {
  const SyscallName* found =
      std::lower_bound(std::begin(kNames), std::end(kNames), number,
                       [](const SyscallName& name, uint32_t n) { return name.number < n; });
  return found != std::end(kNames) && found->number == number ? found->name : nullptr;
}

}  // namespace

const char* call_name(uint64_t number) {
  return number <= UINT16_MAX ? name_of(static_cast<uint32_t>(number)) : nullptr;
}

int64_t call_number(const char* name) {
  for (const SyscallName& known : kNames)
    if (strlen(known.name) == strlen(name) && memcmp(known.name, name, strlen(name)) == 0)
      return known.number;
  return -1;
}

namespace {

struct Row {
  uint64_t calls;
  uint32_t number;
};

// Real programs make well under 400 different calls; what is beyond is summed up.
struct Rows {
  std::array<Row, 600> row;
  uint32_t count = 0;
  uint64_t beyond = 0;
  uint64_t total = 0;
};

void collect(Rows& rows) {
  const uint64_t* counters = sysload_state.count.counters;
  for (uint32_t number = 0; number < kCounterCount; ++number) {
    const uint64_t calls = counters[number];
    if (calls == 0) continue;
    rows.total += calls;
    if (rows.count == rows.row.size()) {
      rows.beyond += calls;
    } else {
      rows.row[rows.count++] = {calls, number};
    }
  }
  rows.beyond += sysload_shared_page[0];
  rows.total += sysload_shared_page[0];
  std::sort(rows.row.begin(), rows.row.begin() + rows.count, [](const Row& a, const Row& b) {
    return a.calls != b.calls ? a.calls > b.calls : a.number < b.number;
  });
}

}  // namespace

void write_call_name(Writer& out, uint64_t number) {
  const char* name = call_name(number);
  if (name != nullptr) {
    out.text(name);
  } else {
    out.text("syscall_").number(number);
  }
}

namespace {

constexpr unsigned kColumn = 10;

void print_rows(const Rows& rows, sys::Fd to) {
  Writer out(to);
  out.text("sysload: system calls of ").number(sysload_state.owner_pid);
  out.text(" (").quoted(sysload_state.count.name).text(")\n");
  out.text("     calls  syscall\n---------- ----------------\n");
  for (uint32_t i = 0; i < rows.count; ++i) {
    out.number(rows.row[i].calls, kColumn).text("  ");
    write_call_name(out, rows.row[i].number);
    out.text("\n");
  }
  if (rows.beyond != 0) out.number(rows.beyond, kColumn).text("  (other numbers)\n");
  out.text("---------- ----------------\n");
  out.number(rows.total, kColumn).text("  total\n");
}

}  // namespace

void print_count_table() {
  Rows rows;
  collect(rows);
  const sys::Fd report = open_report();
  print_rows(rows, report >= 0 ? report : kStandardError);
  if (report >= 0) close_report(report);
}

}  // namespace sysrewrite
