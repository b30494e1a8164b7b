// prctl and arch_prctl: which arguments there are follows from the option.

#include <linux/prctl.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

// The arguments behind the option, a letter each; capitals are what the kernel fills in.
//
//     x  hexadecimal             a  what to do with ambient capabilities
//     d  decimal                 b  secure bits
//     u  decimal, unsigned       e  whether memory may be dumped
//     i  decimal, of 32 bits     g  whose cookie: a thread's, a process's, a group's
//     p  address                 h  what to do with a core scheduling cookie
//     n  string                  k  what to do on a memory failure, l  when
//     s  signal                  m  mode of seccomp
//     c  capability              o  whether calls are dispatched to the program
//     f  seccomp's program       q  kind of speculation, r  what it may do
//     S  signal                  t  whether the time stamp counter may be read
//     T  as t                    v  what of a mapping is set
//     P  address                 w  who may trace
//     I  int                     y  which field of the memory's description
//     N  string
//
// An option that is not here has four of hexadecimal.
struct Form {
  uint32_t option;
  char letters[5];
};

constexpr Form kForms[] = {
    {PR_SET_PDEATHSIG, "s"},
    {PR_GET_PDEATHSIG, "S"},
    {PR_GET_DUMPABLE, ""},
    {PR_SET_DUMPABLE, "e"},
    {PR_GET_UNALIGN, "I"},
    {PR_SET_UNALIGN, "x"},
    {PR_GET_KEEPCAPS, ""},
    {PR_SET_KEEPCAPS, "u"},
    {PR_GET_FPEMU, "I"},
    {PR_SET_FPEMU, "u"},
    {PR_GET_FPEXC, "I"},
    {PR_SET_FPEXC, "u"},
    {PR_GET_TIMING, ""},
    {PR_SET_TIMING, "u"},
    {PR_SET_NAME, "n"},
    {PR_GET_NAME, "N"},
    {PR_GET_ENDIAN, "I"},
    {PR_SET_ENDIAN, "u"},
    {PR_GET_SECCOMP, ""},
    {PR_CAPBSET_READ, "c"},
    {PR_CAPBSET_DROP, "c"},
    {PR_GET_TSC, "T"},
    {PR_SET_TSC, "t"},
    {PR_GET_SECUREBITS, ""},
    {PR_SET_SECUREBITS, "b"},
    {PR_SET_TIMERSLACK, "d"},
    {PR_GET_TIMERSLACK, ""},
    {PR_TASK_PERF_EVENTS_DISABLE, ""},
    {PR_TASK_PERF_EVENTS_ENABLE, ""},
    {PR_SET_MM, "yxxx"},
    {PR_SET_CHILD_SUBREAPER, "u"},
    {PR_GET_CHILD_SUBREAPER, "I"},
    {PR_SET_NO_NEW_PRIVS, "uxxx"},
    {PR_GET_TID_ADDRESS, "P"},
    {PR_SET_THP_DISABLE, "uxxx"},
    {PR_SET_FP_MODE, "x"},
    {PR_GET_FP_MODE, ""},
    {PR_SVE_SET_VL, "x"},
    {PR_SVE_GET_VL, ""},
    {PR_GET_SPECULATION_CTRL, "q"},
    {PR_SET_IO_FLUSHER, "uxxx"},
    {PR_SET_SYSCALL_USER_DISPATCH, "oxxp"},
    {PR_SCHED_CORE, "higp"},
    {63, "x"},  // PR_SME_SET_VL
    {64, ""},   // PR_SME_GET_VL
    {PR_SET_PTRACER, "w"},
};
// Those whose first argument says what the others are.
constexpr Form kStrictMode{PR_SET_SECCOMP, "m"}, kFilterMode{PR_SET_SECCOMP, "mf"},
    kOtherMode{PR_SET_SECCOMP, "mxxx"};
constexpr Form kOnFailure{PR_MCE_KILL, "klxx"}, kOnFailureDefault{PR_MCE_KILL, "kxxx"};
constexpr Form kAmbientOne{PR_CAP_AMBIENT, "acxx"}, kAmbientAll{PR_CAP_AMBIENT, "axxx"};
constexpr Form kSpeculation{PR_SET_SPECULATION_CTRL, "qr"},
    kNoSpeculation{PR_SET_SPECULATION_CTRL, "qx"};
constexpr Form kMappingName{PR_SET_VMA, "vpun"}, kMappingOther{PR_SET_VMA, "vxxx"};
constexpr Form kUnknown{0, "xxxx"};

const Form& form_of(const sysload_call& call) {
  const auto option = static_cast<uint32_t>(call.argument[0]);
  const uint64_t first = call.argument[1];
  switch (option) {
    case PR_SET_SECCOMP:
      return first == 1 ? kStrictMode : first == 2 ? kFilterMode : kOtherMode;
    case PR_MCE_KILL:
      return first == PR_MCE_KILL_SET ? kOnFailure : kOnFailureDefault;
    case PR_CAP_AMBIENT:
      return first >= PR_CAP_AMBIENT_IS_SET && first <= PR_CAP_AMBIENT_LOWER ? kAmbientOne
                                                                             : kAmbientAll;
    case PR_SET_SPECULATION_CTRL:
      return first <= PR_SPEC_L1D_FLUSH ? kSpeculation : kNoSpeculation;
    case PR_SET_VMA:
      return first == PR_SET_VMA_ANON_NAME ? kMappingName : kMappingOther;
    default:
      break;
  }
  for (const Form& form : kForms)
    if (form.option == option) return form;
  return kUnknown;
}

// The set of names of a letter; None where it is no set.
Kind names_of(char letter) {
  switch (letter) {
    case 'a':
      return Kind::AmbientOperations;
    case 'b':
      return Kind::SecureBits;
    case 'c':
      return Kind::Capabilities;
    case 'e':
      return Kind::DumpModes;
    case 'h':
      return Kind::CookieOperations;
    case 'k':
      return Kind::FailureOperations;
    case 'l':
      return Kind::FailurePolicies;
    case 'm':
      return Kind::SeccompModes;
    case 'o':
      return Kind::DispatchModes;
    case 'q':
      return Kind::Speculations;
    case 'r':
      return Kind::SpeculationStates;
    case 't':
    case 'T':
      return Kind::CounterModes;
    case 'v':
      return Kind::MappingFields;
    case 'y':
      return Kind::MemoryFields;
    default:
      return Kind::None;
  }
}

void print_signal_or_number(Line& line, uint64_t value) {
  const Names names(kNamesOfSignals);
  if (names.has(value)) {
    names.value(line, value);
  } else {
    line.unsigned_decimal(value);
  }
}

void print_tracer(Line& line, uint64_t value) {
  if (value == ~uint64_t{0}) {
    line.text("PR_SET_PTRACER_ANY");
  } else {
    line.decimal(static_cast<int32_t>(value));
  }
}

void print_scope(Line& line, uint64_t value) {
  static constexpr char kScopes[4][5] = {"PID", "TGID", "PGID", "SID"};
  const auto scope = static_cast<uint32_t>(value);
  line.hex(scope).text(" /* PIDTYPE_").text(scope < 4 ? kScopes[scope] : "???").text(" */");
}

void print_given(const Printer& p, char letter, uint64_t value) {
  switch (letter) {
    case 'd':
      p.line.decimal(static_cast<int64_t>(value));
      return;
    case 'u':
      p.line.unsigned_decimal(value);
      return;
    case 'i':
      p.line.decimal(static_cast<int32_t>(value));
      return;
    case 'p':
      p.line.address(value);
      return;
    case 'n':
      return print_string(p, value);
    case 's':
      return print_signal_or_number(p.line, value);
    case 'f':
      return print_filter_program(p, value);
    case 'g':
      return print_scope(p.line, value);
    case 'w':
      return print_tracer(p.line, value);
    default:
      break;
  }
  const Kind names = names_of(letter);
  if (names != Kind::None) {
    print_named(p.line, names, value);
  } else {
    p.line.hex(value);
  }
}

// What the kernel stored at an address: an int, or the address of a variable.
void print_answer(const Printer& p, char letter, uint64_t address) {
  int32_t number = 0;
  uint64_t pointer = 0;
  if (p.failed()) {
    p.line.address(address);
  } else if (letter == 'N') {
    print_string(p, address);
  } else if (letter == 'P') {
    if (p.fetch(address, pointer)) p.line.character('[').address(pointer).character(']');
  } else if (p.fetch(address, number)) {
    p.line.character('[');
    if (letter == 'S') {
      print_signal_or_number(p.line, static_cast<uint32_t>(number));
    } else if (letter == 'T') {
      print_named(p.line, names_of(letter), static_cast<uint32_t>(number));
    } else {
      p.line.decimal(number);
    }
    p.line.character(']');
  }
}

bool is_answer(char letter) {
  return letter >= 'A' && letter <= 'Z';
}

void print_prctl(const Printer& p) {
  const Form& form = form_of(p.call);
  for (unsigned i = 0; form.letters[i] != 0; ++i) {
    if (i > 0) p.line.text(", ");
    const uint64_t value = p.call.argument[i + 1];
    if (is_answer(form.letters[i])) {
      print_answer(p, form.letters[i], value);
    } else {
      print_given(p, form.letters[i], value);
    }
  }
}

// Of arch_prctl: what it does with its second argument. The option is an int.
enum class ArchForm : uint8_t { kNumber, kBase, kFeatures, kNothing };

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
      return ArchForm::kFeatures;
    default:
      return ArchForm::kNumber;
  }
}

void print_arch(const Printer& p) {
  const ArchForm form = arch_form(p.call);
  uint64_t answer = 0;
  if (form == ArchForm::kNumber) {
    p.line.hex(p.argument());
  } else if (p.fetch_result(p.argument(), answer)) {
    p.line.character('[');
    form == ArchForm::kBase ? p.line.address(answer) : p.line.hex(answer);
    p.line.character(']');
  }
}

}  // namespace

bool option_has_arguments(const sysload_call& call, Kind kind) {
  if (kind == Kind::ArchArgument) return arch_form(call) != ArchForm::kNothing;
  return form_of(call).letters[0] != 0;
}

bool option_answers(const sysload_call& call, Kind kind) {
  if (kind == Kind::ArchArgument)
    return arch_form(call) == ArchForm::kBase || arch_form(call) == ArchForm::kFeatures;
  return is_answer(form_of(call).letters[0]);
}

void print_option_arguments(const Printer& p, Kind kind) {
  kind == Kind::ArchArgument ? print_arch(p) : print_prctl(p);
}

void print_prctl_result(const Printer& p) {
  const auto value = static_cast<uint64_t>(p.call.result);
  const auto option = static_cast<uint32_t>(p.call.argument[0]);
  Kind names = Kind::None;
  if (option == PR_GET_DUMPABLE) names = Kind::DumpModes;
  if (option == PR_MCE_KILL_GET) names = Kind::FailurePolicies;
  if (option == PR_GET_SECUREBITS && value != 0) names = Kind::SecureBits;
  if (option == PR_GET_SPECULATION_CTRL) names = Kind::SpeculationFlags;
  if (names == Kind::SecureBits || names == Kind::SpeculationFlags) {
    p.line.hex(value);
  } else {
    p.line.decimal(p.call.result);
  }
  if (names == Kind::None) return;
  p.line.text(" (");
  print_named(p.line, names, value);
  p.line.character(')');
}

}  // namespace sysrewrite::trace
