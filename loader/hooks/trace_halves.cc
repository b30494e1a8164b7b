#include "loader/hooks/trace_halves.h"

#include <linux/fcntl.h>

#include "loader/hooks/address.h"

namespace sysrewrite::trace {

namespace {

// Of mknod: a character or block special file.
bool is_device(uint64_t mode) {
  constexpr uint64_t kType = 0170000, kCharacter = 0020000, kBlock = 0060000;
  return (mode & kType) == kCharacter || (mode & kType) == kBlock;
}

// Whether the argument is there at all: some are only with a flag or an operation.
bool is_shown(const sysload_call& call, unsigned index, Kind kind) {
  constexpr uint64_t kTemporary = 020000000;  // __O_TMPFILE
  switch (kind) {
    case Kind::Hidden:
      return false;
    case Kind::CreateMode:
      return (call.argument[index - 1] & (O_CREAT | kTemporary)) != 0;
    case Kind::QueueMode:
      return (call.argument[index - 1] & O_CREAT) != 0;
    case Kind::QueueHow:
      return (call.argument[index - 2] & O_CREAT) != 0;
    case Kind::RemapAddress:
      return (call.argument[index - 1] & 3) == 3;  // MREMAP_MAYMOVE, MREMAP_FIXED
    case Kind::NodeDevice:
      return is_device(call.argument[index - 1]);
    case Kind::FcntlArgument:
      switch (static_cast<uint32_t>(call.argument[1])) {
        case F_GETFD:
        case F_GETFL:
        case F_GETOWN:
        case F_GETSIG:
        case 1025:  // F_GETLEASE
        case 1032:  // F_GETPIPE_SZ
        case 1034:  // F_GET_SEALS
          return false;
        default:
          return true;
      }
    case Kind::IoctlArgument:
      return ioctl_has_argument(static_cast<uint32_t>(call.argument[1]));
    default:
      return operation_has(call, kind);
  }
}

// Whether it is printed behind the call.
bool is_answer(const sysload_call& call, Kind kind) {
  constexpr uint32_t kOpenGetLock = 36;  // F_OFD_GETLK
  const auto command = static_cast<uint32_t>(call.argument[1]);
  if (kind == Kind::FcntlArgument)
    return command == F_GETLK || command == kOpenGetLock || command == F_GETOWN_EX;
  if (kind == Kind::Control) return control_answers(call);
  return is_out(kind) || operation_answers(call, kind);
}

}  // namespace

namespace {

constexpr uint64_t kNameSizeAt = 8;  // of struct msghdr

// recvmmsg: its timeout, and how much room there is for each sender's address.
uint64_t messages_before(const sysload_api& api, sysload_call& call, uint64_t timeout) {
  constexpr uint64_t kMessageSize = 64;
  auto* before = static_cast<MessagesBefore*>(api.call_memory(&call, sizeof(MessagesBefore)));
  if (before == nullptr) return 0;
  *before = {};
  constexpr auto kTimeoutSize = sizeof(before->timeout);
  if (timeout != 0 && api.read(&before->timeout, timeout, kTimeoutSize) == int64_t{kTimeoutSize})
    before->has_timeout = 1;
  const auto count = static_cast<uint32_t>(call.argument[2]);
  for (uint32_t i = 0; i < count && i < kMostElements; ++i) {
    const uint64_t at = call.argument[1] + i * kMessageSize + kNameSizeAt;
    if (api.read(&before->name_sizes[i], at, sizeof(uint32_t)) != sizeof(uint32_t)) break;
  }
  return word(before);
}

}  // namespace

uint64_t value_before(const sysload_api& api, sysload_call& call, const CallRow& row) {
  uint32_t length = 0;
  for (unsigned i = 0; i < kArguments; ++i) {
    const Kind kind = row.arguments[i];
    if (kind == Kind::SockaddrLength || kind == Kind::OptionLength) {
      api.read(&length, call.argument[i], sizeof(length));
    } else if (kind == Kind::OutMessage) {
      api.read(&length, call.argument[i] + kNameSizeAt, sizeof(length));
    } else if (kind == Kind::TimespecBefore) {
      return messages_before(api, call, call.argument[i]);
    }
  }
  return length;
}

unsigned print_arguments(Printer& p, const CallRow& row, unsigned index) {
  bool continued = p.leaving && index > 0;
  for (; index < kArguments; ++index) {
    const Kind kind = row.arguments[index];
    if (kind == Kind::None) break;
    if (!is_shown(p.call, index, kind)) continue;
    if (!p.leaving && is_answer(p.call, kind)) return index;
    p.index = index;
    // Of one in two parts, the second follows the first without a comma.
    if (continued && is_in_out(kind) &&
        (kind == Kind::OffsetInOut || kind == Kind::CloneArguments)) {
      print_argument(p, kind);
      continued = false;
      continue;
    }
    continued = false;
    if (index > 0) p.line.text(", ");
    print_argument(p, kind);
    if (!p.leaving && is_in_out(kind)) return index;
  }
  return index;
}

}  // namespace sysrewrite::trace
