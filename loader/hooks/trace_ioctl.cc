// ioctl: the commands of terminals and files that everybody meets. Another is printed as the parts
// that its number is made of, and its argument as a number.

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint32_t kGetAttributes = 0x5401, kSetAttributesFlush = 0x5404;
constexpr uint32_t kGetGroup = 0x540f, kSetGroup = 0x5410, kQueued = 0x5411, kGetSession = 0x5429;
constexpr uint32_t kGetWindow = 0x5413, kSetWindow = 0x5414, kReadable = 0x541b,
                   kNonBlocking = 0x5421;
constexpr uint32_t kAsynchronous = 0x5452, kGetTerminal = 0x80045430, kLockTerminal = 0x40045431;
constexpr uint32_t kNoArgument[] = {0x540c, 0x540d, 0x5422, 0x5450,
                                    0x5451};  // TIOCEXCL, ..., FIOCLEX

void print_command(Line& line, uint32_t command) {
  const Names names(kNamesOfIoctlCommands);
  if (names.has(command)) return names.value(line, command);
  static constexpr char kDirections[4][22] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ",
                                              "_IOC_READ|_IOC_WRITE"};
  line.text("_IOC(").text(kDirections[command >> 30]).text(", ").hex((command >> 8) & 0xff);
  line.text(", ").hex(command & 0xff).text(", ").hex((command >> 16) & 0x3fff).character(')');
}

// Field by field: speed and character size are numbers of several bits, the delays of output too.
void print_output_flags(Line& line, uint32_t flags) {
  static constexpr char kDelays[] = "NL\0CR\0TAB\0BS\0VT\0FF\0";
  struct Field {
    uint8_t shift, mask;
  };
  static constexpr Field kFields[] = {{8, 1}, {9, 3}, {11, 3}, {13, 1}, {14, 1}, {15, 1}};
  const char* name = kDelays;
  bool first = true;
  for (const Field& delay : kFields) {
    if (!first) line.character('|');
    first = false;
    line.text(name).unsigned_decimal((flags >> delay.shift) & delay.mask);
    while (*name++ != 0) {
    }
  }
  const uint64_t rest = Names(kNamesOfTerminalOutput).known_flags(line, flags & 0xffU, first);
  if (rest != 0) line.character('|').hex(rest);
}

void print_control_flags(Line& line, uint32_t flags) {
  constexpr uint32_t kSpeed = 0x100f, kSize = 0x30;
  Names(kNamesOfTerminalSpeeds).value(line, flags & kSpeed);
  line.text("|CS").unsigned_decimal(5 + ((flags & kSize) >> 4));
  bool first = false;
  const uint64_t rest =
      Names(kNamesOfTerminalControl).known_flags(line, flags & ~(kSpeed | kSize), first);
  if (rest != 0) line.character('|').hex(rest);
}

void print_attributes(const Printer& p) {
  uint32_t flags[4]{};  // input, output, control, local
  if (!p.fetch(p.argument(), flags)) return;
  field(p.line, "c_iflag", true);
  Names(kNamesOfTerminalInput).flags(p.line, flags[0]);
  field(p.line, "c_oflag");
  print_output_flags(p.line, flags[1]);
  field(p.line, "c_cflag");
  print_control_flags(p.line, flags[2]);
  field(p.line, "c_lflag");
  Names(kNamesOfTerminalLocal).flags(p.line, flags[3]);
  p.line.text(", ...}");
}

void print_window(const Printer& p) {
  uint16_t size[4]{};
  if (!p.fetch(p.argument(), size)) return;
  field(p.line, "ws_row", true).unsigned_decimal(size[0]);
  field(p.line, "ws_col").unsigned_decimal(size[1]);
  field(p.line, "ws_xpixel").unsigned_decimal(size[2]);
  field(p.line, "ws_ypixel").unsigned_decimal(size[3]).character('}');
}

void print_number(const Printer& p) {
  int32_t number = 0;
  if (p.fetch(p.argument(), number)) p.line.character('[').decimal(number).character(']');
}

// What the kernel writes is there only when the call succeeded.
void print_argument_of(const Printer& p, uint32_t command) {
  const bool is_answer = command == kGetAttributes || command == kGetGroup || command == kQueued ||
                         command == kGetSession || command == kGetWindow || command == kReadable ||
                         command == kGetTerminal;
  if (is_answer && p.failed()) {
    p.line.address(p.argument());
    return;
  }
  if (command >= kGetAttributes && command <= kSetAttributesFlush) return print_attributes(p);
  switch (command) {
    case kGetWindow:
    case kSetWindow:
      return print_window(p);
    case kGetGroup:
    case kSetGroup:
    case kQueued:
    case kGetSession:
    case kReadable:
    case kNonBlocking:
    case kAsynchronous:
    case kGetTerminal:
    case kLockTerminal:
      return print_number(p);
    default:
      p.line.hex(p.argument());
  }
}

}  // namespace

// Whether the command has an argument at all.
bool ioctl_has_argument(uint32_t command) {
  for (const uint32_t none : kNoArgument)
    if (command == none) return false;
  return true;
}

void print_ioctl(Printer& p, Kind kind) {
  if (kind == Kind::IoctlCommand) return print_command(p.line, static_cast<uint32_t>(p.argument()));
  print_argument_of(p, static_cast<uint32_t>(p.call.argument[1]));
}

}  // namespace sysrewrite::trace
