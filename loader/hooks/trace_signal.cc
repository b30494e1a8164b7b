// Signals: sets, actions, and what comes with one.

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr unsigned kSignals = 64;
constexpr unsigned kInverted = 42;  // with so many in it, a set is printed by what it lacks
constexpr unsigned kFirstRealTime = 32;

// Without the "SIG" in front.
void print_short_name(Line& line, unsigned number) {
  if (number == kFirstRealTime) {
    line.text("RTMIN");
  } else if (number > kFirstRealTime) {
    line.text("RT_").unsigned_decimal(number - kFirstRealTime);
  } else {
    char name[24];
    Line full(name, sizeof(name));
    Names(kNamesOfSignals).value(full, number);
    line.chars(name + 3, full.length() - 3);
  }
}

void print_set(Line& line, uint64_t set) {
  unsigned count = 0;
  for (uint64_t rest = set; rest != 0; rest &= rest - 1) ++count;
  if (count >= kInverted) {
    line.character('~');
    set = ~set;
  }
  line.character('[');
  bool first = true;
  for (unsigned number = 1; number <= kSignals; ++number) {
    if ((set >> (number - 1) & 1) == 0) continue;
    if (!first) line.character(' ');
    first = false;
    print_short_name(line, number);
  }
  line.character(']');
}

void print_action(const Printer& p) {
  constexpr uint64_t kRestorer = 0x04000000;  // SA_RESTORER
  struct {
    uint64_t handler, flags, restorer, mask;
  } action{};
  if (!p.fetch(p.argument(), action)) return;
  field(p.line, "sa_handler", true);
  if (action.handler <= 1) {
    p.line.text(action.handler == 0 ? "SIG_DFL" : "SIG_IGN");
  } else if (action.handler == ~uint64_t{0}) {
    p.line.text("SIG_ERR");
  } else {
    p.line.hex(action.handler);
  }
  field(p.line, "sa_mask");
  print_set(p.line, action.mask);
  field(p.line, "sa_flags");
  Names(kNamesOfActionFlags).flags(p.line, action.flags);
  if ((action.flags & kRestorer) != 0) field(p.line, "sa_restorer").address(action.restorer);
  p.line.character('}');
}

void print_stack(const Printer& p) {
  struct {
    uint64_t base;
    uint32_t flags, padding;
    uint64_t size;
  } stack{};
  if (!p.fetch(p.argument(), stack)) return;
  field(p.line, "ss_sp", true).address(stack.base);
  field(p.line, "ss_flags");
  Names(kNamesOfStackFlags).flags(p.line, stack.flags);
  field(p.line, "ss_size").unsigned_decimal(stack.size).character('}');
}

// What a timer does: sigev_value, sigev_signo, sigev_notify, and the thread.
void print_sigevent(const Printer& p) {
  constexpr uint32_t kNone = 1, kThreadId = 4;
  uint32_t word[16]{};
  if (!p.fetch(p.argument(), word)) return;
  uint64_t value = 0;
  __builtin_memcpy(&value, word, sizeof(value));
  p.line.character('{');
  if (value != 0) {
    p.line.text("sigev_value={sival_int=").decimal(static_cast<int32_t>(word[0]));
    p.line.text(", sival_ptr=").hex(value).text("}, ");
  }
  p.line.text("sigev_signo=");
  if (word[3] == kNone) {
    p.line.unsigned_decimal(word[2]);
  } else {
    print_signal_name(p.line, static_cast<int32_t>(word[2]));
  }
  field(p.line, "sigev_notify");
  Names(kNamesOfSigevKinds).value(p.line, word[3]);
  if (word[3] == kThreadId)
    field(p.line, "sigev_notify_thread_id").decimal(static_cast<int32_t>(word[4]));
  p.line.character('}');
}

// The signal frame that rt_sigreturn takes off the stack: its mask, in the ucontext.
void print_frame(const Printer& p) {
  constexpr uint64_t kMaskAt = 296;
  uint64_t mask = 0;
  p.line.text("{mask=");
  if (p.peek(p.call.stack_pointer + kMaskAt, mask)) {
    print_set(p.line, mask);
  } else {
    p.line.hex(p.call.stack_pointer + kMaskAt);
  }
  p.line.character('}');
}

}  // namespace

void print_sigset(const Printer& p, uint64_t address, uint64_t size) {
  uint64_t set = 0;
  if (size != sizeof(set)) {
    p.line.address(address);
  } else if (p.fetch(address, set)) {
    print_set(p.line, set);
  }
}

void print_signal(Printer& p, Kind kind) {
  const uint64_t address = p.argument();
  if (is_out(kind) && p.failed()) {
    p.line.address(address);
    return;
  }
  switch (kind) {
    case Kind::Sigaction:
    case Kind::SigactionOut:
      return print_action(p);
    case Kind::Sigset:
    case Kind::SigsetOut: {
      // Its size is the last argument: of rt_sigtimedwait two places on.
      unsigned last = kArguments - 1;
      const CallRow* row = find_call(static_cast<uint32_t>(p.call.number));
      while (row != nullptr && last > 0 && row->arguments[last] != Kind::Ulong) --last;
      return print_sigset(p, address, p.call.argument[last]);
    }
    case Kind::Sigstack:
    case Kind::SigstackOut:
      return print_stack(p);
    case Kind::Siginfo:
    case Kind::SiginfoOut:
      return print_siginfo(p, address);
    case Kind::SigmaskPair: {
      uint64_t pair[2]{};
      if (!p.fetch(address, pair)) return;
      field(p.line, "sigmask", true);
      print_sigset(p, pair[0], pair[1]);
      field(p.line, "sigsetsize").unsigned_decimal(pair[1]).character('}');
      return;
    }
    case Kind::Sigevent:
      return print_sigevent(p);
    case Kind::SignalFrame:
      return print_frame(p);
    default:
      p.line.address(address);
  }
}

}  // namespace sysrewrite::trace
