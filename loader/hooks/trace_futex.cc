// Calls whose arguments follow from an operation: futex, prctl, arch_prctl, seccomp.

#include <linux/futex.h>
#include <linux/prctl.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint32_t kFutexCommand = 127;

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

// --- prctl ---------------------------------------------------------------------------------------

// By option: how many arguments there are; d a decimal one, D a decimal one and three more, s a
// signal, n a name, p a pointer, u what may be dumped, c a capability.
constexpr char kPrctl[] = "4sp0up10dpdpd0dn144pd01ccp101d000444dpD4pD444104441012444D4444410";

char prctl_form(uint64_t option) {
  constexpr uint64_t kLast = 64;
  static_assert(sizeof(kPrctl) == kLast + 2);
  return option <= kLast ? kPrctl[option] : '4';
}

void print_hexadecimal(const Printer& p, unsigned from, unsigned count) {
  for (unsigned i = from; i < from + count; ++i) {
    if (i > 1) p.line.text(", ");
    p.line.hex(p.call.argument[i]);
  }
}

// PR_SET_VMA: names a mapping.
void print_mapping_name(const Printer& p) {
  if (p.argument() == 0) {
    p.line.text("PR_SET_VMA_ANON_NAME, ")
        .hex(p.behind(1))
        .text(", ")
        .unsigned_decimal(p.behind(2))
        .text(", ");
    print_string(p, p.behind(3));
  } else {
    p.line.hex(p.argument()).text(" /* PR_SET_VMA_??? */, ");
    p.line.hex(p.behind(1)).text(", ").hex(p.behind(2)).text(", ").hex(p.behind(3));
  }
}

void print_prctl(const Printer& p) {
  constexpr uint32_t kSetMappingName = 0x53564d41;  // PR_SET_VMA
  const uint64_t value = p.argument();
  const auto option = static_cast<uint32_t>(p.call.argument[0]);
  if (option == kSetMappingName) return print_mapping_name(p);
  if (option == PR_GET_NAME && !p.failed()) return print_string(p, value);
  if (option == PR_GET_CHILD_SUBREAPER) {
    int32_t answer = 0;
    if (p.fetch_result(value, answer)) p.line.character('[').decimal(answer).character(']');
    return;
  }
  static constexpr char kDump[3][18] = {"SUID_DUMP_DISABLE", "SUID_DUMP_USER", "SUID_DUMP_ROOT"};
  const char form = prctl_form(option);
  switch (form) {
    case 'p':
      p.line.address(value);
      return;
    case 's':
      return print_argument(const_cast<Printer&>(p), Kind::Signals);
    case 'n':
      return print_string(p, value);
    case 'c':
      return Names(kNamesOfCapabilities).value(p.line, value);
    case 'u':
      if (value < 3) {
        p.line.text(kDump[value]);
      } else {
        p.line.hex(value).text(" /* SUID_DUMP_??? */");
      }
      return;
    case 'd':
      p.line.decimal(static_cast<int64_t>(value));
      return;
    case 'D':
      p.line.decimal(static_cast<int64_t>(value));
      return print_hexadecimal(p, 2, 3);
    default:
      print_hexadecimal(p, 1, static_cast<unsigned>(form - '0'));
  }
}

// Of arch_prctl: what it does with its second argument. The option is an int.
enum class ArchForm : uint8_t { kNumber, kBase, kAddress, kNothing };

ArchForm arch_form(const sysload_call& call) {
  switch (static_cast<uint32_t>(call.argument[0])) {
    case 0x1003:  // ARCH_GET_FS
    case 0x1004:  // ARCH_GET_GS
      return ArchForm::kBase;
    case 0x1011:  // ARCH_GET_CPUID
      return ArchForm::kNothing;
    case 0x1021:  // ARCH_GET_XCOMP_SUPP
    case 0x1022:  // ARCH_GET_XCOMP_PERM
    case 0x1024:  // ARCH_GET_XCOMP_GUEST_PERM
      return ArchForm::kAddress;
    default:
      return ArchForm::kNumber;
  }
}

void print_arch(const Printer& p) {
  const ArchForm form = arch_form(p.call);
  uint64_t base = 0;
  if (form == ArchForm::kBase && !p.failed() && p.peek(p.argument(), base)) {
    p.line.character('[').hex(base).character(']');
  } else if (form == ArchForm::kNumber) {
    p.line.hex(p.argument());
  } else {
    p.line.address(p.argument());
  }
}

void print_filter_program(const Printer& p) {
  constexpr uint32_t kSetFilter = 1;
  struct {
    uint16_t length, padding[3];
    uint64_t filter;
  } program{};
  if (static_cast<uint32_t>(p.call.argument[0]) != kSetFilter) {
    p.line.address(p.argument());
  } else if (p.fetch(p.argument(), program)) {
    field(p.line, "len", true).unsigned_decimal(program.length);
    field(p.line, "filter").address(program.filter).character('}');
  }
}

void print_resumed(const Printer& p) {
  const char* name = p.resumed != 0 ? p.api.call_name(p.resumed) : nullptr;
  p.line.text("<... resuming interrupted ")
      .text(name != nullptr ? name : "system call")
      .text(" ...>");
}

}  // namespace

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
    case Kind::PtraceProcess:
    case Kind::PtraceAddress:
      return call.argument[0] != 0;  // PTRACE_TRACEME
    case Kind::PrctlArguments:
      return prctl_form(static_cast<uint32_t>(call.argument[0])) != '0';
    case Kind::ArchArgument:
      return arch_form(call) != ArchForm::kNothing;
    default:
      return true;
  }
}

// Whether the kernel writes to what the argument points to.
bool operation_answers(const sysload_call& call, Kind kind) {
  const auto option = static_cast<uint32_t>(call.argument[0]);
  if (kind == Kind::PrctlArguments)
    return option == PR_GET_NAME || option == PR_GET_CHILD_SUBREAPER;
  return kind == Kind::ArchArgument && arch_form(call) == ArchForm::kBase;
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
      return print_prctl(p);
    case Kind::ArchArgument:
      return print_arch(p);
    case Kind::PtraceProcess:
      p.line.decimal(static_cast<int32_t>(p.argument()));
      return;
    case Kind::FilterProgram:
      return print_filter_program(p);
    case Kind::Resumed:
      return print_resumed(p);
    default:
      p.line.address(p.argument());
  }
}

}  // namespace sysrewrite::trace
