#include <asm/unistd.h>
#include <linux/fcntl.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

void print_number(const Printer& p, Kind kind) {
  const uint64_t value = p.argument();
  Line& line = p.line;
  switch (kind) {
    case Kind::Int:
    case Kind::Fd:
      line.decimal(static_cast<int32_t>(value));
      break;
    case Kind::Uint:
      line.unsigned_decimal(static_cast<uint32_t>(value));
      break;
    case Kind::Long:
      line.decimal(static_cast<int64_t>(value));
      break;
    case Kind::Ulong:
      line.unsigned_decimal(value);
      break;
    case Kind::Hex32:
      line.hex(static_cast<uint32_t>(value));
      break;
    case Kind::Pointer:
      line.address(value);
      break;
    case Kind::Mode:
      line.octal(static_cast<uint16_t>(value));
      break;
    case Kind::Dirfd:
      if (static_cast<int32_t>(value) == AT_FDCWD) {
        line.text("AT_FDCWD");
      } else {
        line.decimal(static_cast<int32_t>(value));
      }
      break;
    case Kind::UserId:
      line.user_id(static_cast<uint32_t>(value));
      break;
    case Kind::Device:
      print_device(line, static_cast<uint32_t>(value));
      break;
    case Kind::IpcKey:
      if (static_cast<int32_t>(value) == 0) {
        line.text("IPC_PRIVATE");
      } else {
        line.hex(static_cast<uint32_t>(value));
      }
      break;
    default:
      line.hex(value);
  }
}

// Signals that have no name are plain numbers, not values with a comment.
void print_signal_number(const Printer& p) {
  const auto number = static_cast<uint32_t>(p.argument());
  const Names names(kNamesOfSignals);
  if (names.has(number)) {
    names.value(p.line, number);
  } else {
    p.line.decimal(static_cast<int32_t>(number));
  }
}

// epoll_pwait that failed: what stands behind the events is printed when the kernel might have
// changed it, as strace says.
bool is_address_only(const Printer& p, Kind kind) {
  const auto number = static_cast<uint32_t>(p.call.number);
  return p.leaving && p.failed() && (number == __NR_epoll_pwait || number == __NR_epoll_pwait2) &&
         (kind == Kind::Sigset || kind == Kind::Timespec);
}

// Kinds stand in the order of the files that print them.
void print_given(Printer& p, Kind kind) {
  if (kind <= Kind::Hidden) return print_number(p, kind);
  if (kind <= Kind::Envp) return print_strings(p, kind);
  if (kind <= Kind::OpenHow) return print_flags(p, kind);
  if (kind <= Kind::Timezone) return print_time(p, kind);
  if (kind <= Kind::SignalFrame) return print_signal(p, kind);
  if (kind <= Kind::Groups) return print_process(p, kind);
  if (kind <= Kind::Resumed) return print_operation(p, kind);
  if (kind <= Kind::EpollEvent) return print_event(p, kind);
  if (kind == Kind::IoctlCommand) return print_ioctl(p, kind);
  if (kind < Kind::SocketType) return print_file(p, kind);
  if (kind <= Kind::Message) return print_socket(p, kind);
  print_ipc(p, kind);
}

void print_answer(Printer& p, Kind kind) {
  if (kind <= Kind::OutIovecs) return print_strings(p, kind);
  if (kind <= Kind::GroupsOut) return print_file(p, kind);
  if (kind <= Kind::Tms) return print_time(p, kind);
  if (kind <= Kind::SiginfoOut) return print_signal(p, kind);
  if (kind <= Kind::Sysinfo) return print_process(p, kind);
  if (kind == Kind::EpollEventsOut) return print_event(p, kind);
  if (kind <= Kind::OutMessages) return print_socket(p, kind);
  if (kind <= Kind::TypedMessageOut) return print_ipc(p, kind);
  if (kind == Kind::Clone || kind == Kind::CloneArguments) return print_process(p, kind);
  if (kind == Kind::IoctlArgument) return print_ioctl(p, kind);
  if (kind == Kind::OffsetInOut) return print_file(p, kind);
  print_socket(p, kind);
}

}  // namespace

void print_argument(Printer& p, Kind kind) {
  if (is_address_only(p, kind)) {
    p.line.address(p.argument());
  } else if (kind < Kind::FirstOut) {
    print_given(p, kind);
  } else if (kind < Kind::FirstNames) {
    print_answer(p, kind);
  } else if (kind == Kind::Signals) {
    print_signal_number(p);
  } else {
    print_named(p.line, kind, p.argument());
  }
}

}  // namespace sysrewrite::trace
