// Calls whose arguments follow from an operation: futex, seccomp, ptrace; prctl is in
// trace_prctl.cc.

#include <linux/futex.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint32_t kFutexCommand = 127;
constexpr uint32_t kSetFilter = 1;     // SECCOMP_SET_MODE_FILTER
constexpr uint32_t kOneProcessor = 1;  // MEMBARRIER_CMD_FLAG_CPU

// --- futex ---------------------------------------------------------------------------------------

uint32_t futex_command(const Printer& p) {
  return static_cast<uint32_t>(p.call.argument[1]) & kFutexCommand;
}

void print_futex_operation(Line& line, uint32_t operation) {
  const uint32_t command = operation & ~uint32_t{FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME};
  const bool with_clock = (operation & FUTEX_CLOCK_REALTIME) != 0;
  const bool may_have_clock =
      command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_WAIT_REQUEUE_PI;
  const Names names(kNamesOfFutexOperations);
  if (!names.has(command) || (with_clock && !may_have_clock)) {
    line.hex(operation).text(" /* FUTEX_??? */");
    return;
  }
  names.value(line, command);
  if ((operation & FUTEX_PRIVATE_FLAG) != 0)
    line.text(command == FUTEX_FD ? "|FUTEX_PRIVATE_FLAG" : "_PRIVATE");
  if (with_clock) line.text("|FUTEX_CLOCK_REALTIME");
}

// What FUTEX_WAKE_OP does, and when it wakes.
void print_wake_operation(Line& line, uint32_t value) {
  static constexpr char kOperations[8][6] = {"SET", "ADD", "OR", "ANDN", "XOR", "", "", ""};
  static constexpr char kComparisons[8][3] = {"EQ", "NE", "LT", "LE", "GT", "GE", "", ""};
  const uint32_t operation = value >> 28, comparison = value >> 24 & 15;
  if ((operation & FUTEX_OP_OPARG_SHIFT) != 0) line.text("FUTEX_OP_OPARG_SHIFT<<28|");
  if ((operation & 7) < 5) {
    line.text("FUTEX_OP_").text(kOperations[operation & 7]).text("<<28|");
  } else {
    line.hex(operation & 7).text("<<28 /* FUTEX_OP_??? */|");
  }
  line.hex(value >> 12 & 0xfff).text("<<12|");
  if (comparison < 6) {
    line.text("FUTEX_OP_CMP_").text(kComparisons[comparison]).text("<<24|");
  } else {
    line.hex(comparison).text("<<24 /* FUTEX_OP_CMP_??? */|");
  }
  line.hex(value & 0xfff);
}

void print_futex_timeout(const Printer& p) {
  switch (futex_command(p)) {
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_CMP_REQUEUE_PI:
    case FUTEX_WAKE_OP:
      p.line.unsigned_decimal(static_cast<uint32_t>(p.argument()));
      return;
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      return print_timespec(p, p.argument());
    default:
      p.line.address(p.argument());
  }
}

void print_futex_third(const Printer& p) {
  const auto value = static_cast<uint32_t>(p.argument());
  switch (futex_command(p)) {
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAKE_BITSET:
      if (value == FUTEX_BITSET_MATCH_ANY) {
        p.line.text("FUTEX_BITSET_MATCH_ANY");
      } else {
        p.line.hex(value);
      }
      return;
    case FUTEX_WAKE_OP:
      return print_wake_operation(p.line, value);
    case FUTEX_CMP_REQUEUE:
    case FUTEX_CMP_REQUEUE_PI:
      p.line.unsigned_decimal(value);
      return;
    default:
      p.line.hex(value);
  }
}

// --- The rest ------------------------------------------------------------------------------------

void print_resumed(const Printer& p) {
  const char* name = p.resumed != 0 ? p.api.call_name(p.resumed) : nullptr;
  p.line.text("<... resuming interrupted ")
      .text(name != nullptr ? name : "system call")
      .text(" ...>");
}

}  // namespace

void print_filter_program(const Printer& p, uint64_t address) {
  struct {
    uint16_t length, padding[3];
    uint64_t filter;
  } program{};
  if (!p.fetch(address, program)) return;
  field(p.line, "len", true).unsigned_decimal(program.length);
  field(p.line, "filter").address(program.filter).character('}');
}

// Whether an argument that follows from an operation is there.
bool operation_has(const sysload_call& call, Kind kind) {
  const uint32_t command = static_cast<uint32_t>(call.argument[1]) & kFutexCommand;
  const bool is_lock = command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2;
  const bool has_nothing = command == FUTEX_UNLOCK_PI || command == FUTEX_TRYLOCK_PI;
  const bool only_value = command == FUTEX_WAKE || command == FUTEX_FD;
  switch (kind) {
    case Kind::FutexValue:
      return !is_lock && !has_nothing;
    case Kind::FutexTimeout:
      return !has_nothing && !only_value && command != FUTEX_WAKE_BITSET;
    case Kind::FutexSecond:
      return !has_nothing && !only_value && !is_lock && command != FUTEX_WAIT &&
             command != FUTEX_WAIT_BITSET && command != FUTEX_WAKE_BITSET;
    case Kind::FutexThird:
      return !has_nothing && !only_value && !is_lock && command != FUTEX_WAIT &&
             command != FUTEX_REQUEUE && command != FUTEX_WAIT_REQUEUE_PI;
    case Kind::MembarrierProcessor:
      return (call.argument[1] & kOneProcessor) != 0;
    case Kind::PtraceProcess:
    case Kind::PtraceAddress:
      return call.argument[0] != 0;  // PTRACE_TRACEME
    case Kind::PrctlArguments:
    case Kind::ArchArgument:
      return option_has_arguments(call, kind);
    default:
      return true;
  }
}

// Whether the kernel writes to what the argument points to.
bool operation_answers(const sysload_call& call, Kind kind) {
  return (kind == Kind::PrctlArguments || kind == Kind::ArchArgument) && option_answers(call, kind);
}

void print_operation(Printer& p, Kind kind) {
  switch (kind) {
    case Kind::FutexOperation:
      return print_futex_operation(p.line, static_cast<uint32_t>(p.argument()));
    case Kind::FutexValue:
      p.line.unsigned_decimal(static_cast<uint32_t>(p.argument()));
      return;
    case Kind::FutexTimeout:
      return print_futex_timeout(p);
    case Kind::FutexThird:
      return print_futex_third(p);
    case Kind::PrctlArguments:
    case Kind::ArchArgument:
      return print_option_arguments(p, kind);
    case Kind::PtraceProcess:
    case Kind::MembarrierProcessor:
      p.line.decimal(static_cast<int32_t>(p.argument()));
      return;
    case Kind::FilterProgram:
      if (static_cast<uint32_t>(p.call.argument[0]) == kSetFilter)
        return print_filter_program(p, p.argument());
      p.line.address(p.argument());
      return;
    case Kind::Resumed:
      return print_resumed(p);
    default:
      p.line.address(p.argument());
  }
}

}  // namespace sysrewrite::trace
