// What a call returned.

#include <asm/unistd.h>

#include <cstring>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

// Name after name, each ended by a NUL: see trace_errors.inc.
constexpr char kErrorTexts[] =
#include "loader/hooks/trace_errors.inc"
    ;

const char* error_text(int64_t error) {
  const char* text = kErrorTexts;
  const char* const end = kErrorTexts + sizeof(kErrorTexts) - 1;
  for (int64_t i = 1; i < error && text < end; ++i) text += strlen(text) + 1;
  return text;
}

void print_descriptor_flags(const Printer& p) {
  constexpr uint32_t kGetFd = 1, kGetFlags = 3, kGetSignal = 11, kGetLease = 1025, kGetSeals = 1034;
  const auto value = static_cast<uint32_t>(p.call.result);
  const auto command = static_cast<uint32_t>(p.call.argument[1]);
  if (command == kGetFd || command == kGetFlags || command == kGetSeals || command == kGetLease) {
    p.line.hex(value);
  } else {
    p.line.decimal(p.call.result);
  }
  if (command == kGetFlags) {
    const sysload_call flags{.number = 0,
                             .argument = {value},
                             .result = 0,
                             .stack_pointer = 0,
                             .origin = 0,
                             .scratch = {}};
    Printer inner{p.api, flags, p.line, p.string_limit, true};
    p.line.text(" (flags ");
    print_flags(inner, Kind::OpenHowFlags);
    p.line.character(')');
  } else if (command == kGetFd && value != 0) {
    p.line.text(" (flags ");
    Names(kNamesOfDescriptorFlagsSet).flags(p.line, value);
    p.line.character(')');
  } else if (command == kGetSeals && value != 0) {
    p.line.text(" (seals ");
    Names(kNamesOfSeals).flags(p.line, value);
    p.line.character(')');
  } else if (command == kGetSignal && value != 0) {
    p.line.text(" (");
    Names(kNamesOfSignals).value(p.line, value);
    p.line.character(')');
  } else if (command == kGetLease) {
    p.line.text(" (");
    Names(kNamesOfLeases).value(p.line, value);
    p.line.character(')');
  }
}

void print_meaning(const Printer& p, const Names& names) {
  p.line.decimal(p.call.result).text(" (");
  names.value(p.line, static_cast<uint64_t>(p.call.result));
  p.line.character(')');
}

// adjtimex: of a clock that is there, as strace has it.
void print_clock_state(const Printer& p) {
  char byte;
  const bool has_clock = static_cast<uint32_t>(p.call.number) == __NR_clock_adjtime;
  if (p.peek(p.call.argument[has_clock ? 1 : 0], byte)) {
    print_meaning(p, Names(kNamesOfClockStates));
  } else {
    p.line.decimal(p.call.result);
  }
}

// membarrier: what its query says that there is.
void print_barriers(const Printer& p) {
  const auto value = static_cast<uint64_t>(p.call.result);
  if (static_cast<uint32_t>(p.call.argument[0]) != 0 || value == 0) {
    p.line.decimal(p.call.result);
    return;
  }
  p.line.hex(value).text(" (");
  Names(kNamesOfMembarrierCommands).flags(p.line, value);
  p.line.character(')');
}

// Of a timeout; there may be none.
void print_left(const Printer& p, uint64_t timeout) {
  if (p.call.result == 0) {
    p.line.text(" (Timeout)");
  } else if (timeout != 0) {
    p.line.text(" (left ");
    print_timespec(p, timeout);
    p.line.character(')');
  }
}

void print_success(const Printer& p, Result result) {
  const auto value = static_cast<uint64_t>(p.call.result);
  switch (result) {
    case Result::HexResult:
      p.line.hex(value);
      return;
    case Result::OctalResult:
      p.line.octal(value);
      return;
    case Result::PollResult:
    case Result::PpollResult:
    case Result::SelectResult:
    case Result::PselectResult:
      p.line.decimal(p.call.result);
      return print_ready(p, result);
    case Result::FcntlResult:
      return print_descriptor_flags(p);
    case Result::MessagesResult:
      p.line.decimal(p.call.result);
      return print_left(p, p.call.argument[4]);
    case Result::ClockResult:
      return print_clock_state(p);
    case Result::MembarrierResult:
      return print_barriers(p);
    case Result::PrctlResult:
      return print_prctl_result(p);
    case Result::SignalResult:
      if (value != 0) return print_meaning(p, Names(kNamesOfSignals));
      p.line.decimal(0);
      return;
    case Result::SchedulerResult:
      return print_meaning(p, Names(kNamesOfSchedulers));
    case Result::PersonalityResult:
      p.line.hex(value).text(" (");
      print_personality(p.line, static_cast<uint32_t>(value));
      p.line.character(')');
      return;
    case Result::TimeResult:
      p.line.decimal(p.call.result);
      if (value == 0) return;
      p.line.text(" (");
      print_date(p.line, p.call.result);
      p.line.text("+0000)");
      return;
    default:
      p.line.decimal(p.call.result);
  }
}

}  // namespace

void print_error(const Printer& p, int64_t error) {
  const char* name = p.api.error_name(error);
  if (name == nullptr) {
    p.line.text("-1 (errno ").decimal(error).character(')');
    return;
  }
  p.line.text("-1 ").text(name).text(" (").text(error_text(error)).character(')');
}

void print_result(const Printer& p, Result result) {
  p.line.text("= ");
  if (p.call.result == SYSLOAD_RESTARTED) {
    p.line.text("? ERESTARTSYS (To be restarted if SA_RESTART is set)");
  } else if (p.failed()) {
    print_error(p, -p.call.result);
  } else {
    print_success(p, result);
  }
}

}  // namespace sysrewrite::trace
