// siginfo_t: what comes with a signal. Which fields there are follows from its number and code.
//
//     word   0      1      2     3         4         5          6        7       8
//            signo  errno  code  padding   pid       uid        value            child's times
//                                          timer     overruns   value
//                                          address              bits of the address, or
//                                                                               bounds, or key
//                                          band                 descriptor
//                                          address of the call  number   architecture

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr int32_t kIllegal = 4, kTrap = 5, kBus = 7, kFloat = 8, kSegment = 11, kChild = 17,
                  kPoll = 29, kSystem = 31;
constexpr int32_t kUser = 0, kTimer = -2, kDescriptor = -5, kThread = -6;  // SI_USER and so on

struct Info {
  int32_t word[16];

  int32_t number() const { return word[0]; }
  int32_t code() const { return word[2]; }
  uint64_t wide(unsigned at) const {
    uint64_t value;
    __builtin_memcpy(&value, word + at, sizeof(value));
    return value;
  }
};

// The set of the codes that a signal of its own has.
Kind codes_of(int32_t number) {
  switch (number) {
    case kIllegal:
      return Kind::IllegalCodes;
    case kTrap:
      return Kind::TrapCodes;
    case kBus:
      return Kind::BusCodes;
    case kFloat:
      return Kind::FloatCodes;
    case kSegment:
      return Kind::SegmentCodes;
    case kChild:
      return Kind::ChildCodes;
    case kPoll:
      return Kind::PollCodes;
    case kSystem:
      return Kind::SystemCodes;
    default:
      return Kind::None;
  }
}

void print_code(Line& line, const Info& info) {
  const auto code = static_cast<uint32_t>(info.code());
  const Kind codes = codes_of(info.number());
  if (Names(kNamesOfSignalCodes).has(code)) {
    print_named(line, Kind::SignalCodes, code);
  } else if (codes != Kind::None && is_named(codes, code)) {
    print_named(line, codes, code);
  } else {
    line.hex(code);
  }
}

void print_source(Line& line, const Info& info) {
  field(line, "si_pid").decimal(info.word[4]);
  field(line, "si_uid").user_id(static_cast<uint32_t>(info.word[5]));
}

void print_value(Line& line, const Info& info) {
  field(line, "si_int").decimal(info.word[6]);
  field(line, "si_ptr").address(info.wide(6));
}

void print_band(Line& line, const Info& info) {
  field(line, "si_band").decimal(static_cast<int64_t>(info.wide(4)));
  field(line, "si_fd").decimal(info.word[6]);
}

void print_child(Line& line, const Info& info) {
  constexpr int32_t kExited = 1;
  static constexpr char kFields[2][10] = {"si_utime", "si_stime"};
  print_source(line, info);
  field(line, "si_status");
  if (info.code() == kExited) {
    line.decimal(info.word[6]);
  } else {
    print_signal_name(line, info.word[6]);
  }
  for (unsigned i = 0; i < 2; ++i) {
    const uint64_t time = info.wide(8 + 2 * i);
    field(line, kFields[i]).unsigned_decimal(time);
    if (time == 0) continue;
    line.text(" /* ")
        .unsigned_decimal(time / 100)
        .character('.')
        .padded(time % 100, 2)
        .text(" s */");
  }
}

void print_place(Line& line, const Info& info) {
  constexpr int32_t kActionRequired = 4, kActionOptional = 5, kBounds = 3, kKey = 4;
  field(line, "si_addr").address(info.wide(4));
  if (info.number() == kBus && (info.code() == kActionRequired || info.code() == kActionOptional)) {
    field(line, "si_addr_lsb").hex(static_cast<uint16_t>(info.word[6]));
  } else if (info.number() == kSegment && info.code() == kBounds) {
    field(line, "si_lower").address(info.wide(8));
    field(line, "si_upper").address(info.wide(10));
  } else if (info.number() == kSegment && info.code() == kKey) {
    field(line, "si_pkey").unsigned_decimal(static_cast<uint32_t>(info.word[8]));
  }
}

void print_call(const Printer& p, const Info& info) {
  constexpr uint32_t kOwn = 0xc000003e;  // AUDIT_ARCH_X86_64
  const bool is_own = static_cast<uint32_t>(info.word[7]) == kOwn && info.word[6] >= 0;
  const char* name = is_own ? p.api.call_name(static_cast<uint64_t>(info.word[6])) : nullptr;
  field(p.line, "si_call_addr").address(info.wide(4));
  field(p.line, "si_syscall");
  if (name != nullptr) {
    p.line.text("__NR_").text(name);
  } else {
    p.line.unsigned_decimal(static_cast<uint32_t>(info.word[6]));
  }
  field(p.line, "si_arch");
  print_named(p.line, Kind::Architectures, static_cast<uint32_t>(info.word[7]));
}

// From a process: what it says of itself, and what it gave with the signal.
void print_sent(Line& line, const Info& info) {
  switch (info.code()) {
    case kUser:
    case kThread:
      return print_source(line, info);
    case kTimer:
      field(line, "si_timerid").hex(static_cast<uint32_t>(info.word[4]));
      field(line, "si_overrun").decimal(info.word[5]);
      return print_value(line, info);
    case kDescriptor:
      return print_band(line, info);
    default:
      print_source(line, info);
      if (info.wide(6) != 0) print_value(line, info);
  }
}

// From the kernel.
void print_raised(const Printer& p, const Info& info) {
  switch (info.number()) {
    case kChild:
      return print_child(p.line, info);
    case kIllegal:
    case kTrap:
    case kBus:
    case kFloat:
    case kSegment:
      return print_place(p.line, info);
    case kPoll:
      if (is_named(Kind::PollCodes, static_cast<uint32_t>(info.code()))) print_band(p.line, info);
      return;
    case kSystem:
      return print_call(p, info);
    default:
      if (info.wide(4) != 0) print_source(p.line, info);
      if (info.wide(6) != 0) print_value(p.line, info);
  }
}

}  // namespace

void print_signal_name(Line& line, int32_t number) {
  const Names names(kNamesOfSignals);
  if (number >= 0 && names.has(static_cast<uint32_t>(number))) {
    names.value(line, static_cast<uint32_t>(number));
  } else {
    line.decimal(number);
  }
}

void print_siginfo(const Printer& p, uint64_t address) {
  Info info{};
  if (!p.fetch(address, info.word)) return;
  if (info.number() == 0) {
    p.line.text("{}");
    return;
  }
  field(p.line, "si_signo", true);
  print_signal_name(p.line, info.number());
  field(p.line, "si_code");
  print_code(p.line, info);
  if (info.word[1] != 0) {
    const char* name = info.word[1] < 0 ? nullptr : p.api.error_name(info.word[1]);
    field(p.line, "si_errno");
    if (name != nullptr) {
      p.line.text(name);
    } else {
      p.line.unsigned_decimal(static_cast<uint32_t>(info.word[1]));
    }
  }
  if (info.code() <= 0) {
    print_sent(p.line, info);
  } else {
    print_raised(p, info);
  }
  p.line.character('}');
}

}  // namespace sysrewrite::trace
