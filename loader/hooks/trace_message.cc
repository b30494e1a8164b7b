// sendmsg, recvmsg and their plurals.

#include <asm/unistd.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

struct Header {
  uint64_t name;
  uint32_t name_size, padding;
  uint64_t vectors, vector_count;
  uint64_t control, control_size;
  uint32_t flags, padding_2;
};
static_assert(sizeof(Header) == 56);  // struct msghdr of x86-64

struct ControlHeader {
  uint64_t size;
  int32_t level, type;
};

constexpr int32_t kSocketLevel = 1, kRights = 1, kCredentials = 2, kProcess = 4;

enum class ControlForm : uint8_t { kBytes, kNumbers, kSender, kTimeval, kTimespec, kTimespecs };

ControlForm form_of(const ControlHeader& header) {
  if (header.level != kSocketLevel) return ControlForm::kBytes;
  switch (header.type) {
    case kRights:
    case kProcess:
      return ControlForm::kNumbers;
    case kCredentials:
      return ControlForm::kSender;
    case 0x1d:  // SO_TIMESTAMP_OLD
    case 0x3f:  // SO_TIMESTAMP_NEW
      return ControlForm::kTimeval;
    case 0x23:  // SO_TIMESTAMPNS_OLD
    case 0x40:  // SO_TIMESTAMPNS_NEW
      return ControlForm::kTimespec;
    case 0x25:  // SO_TIMESTAMPING_OLD
    case 0x41:  // SO_TIMESTAMPING_NEW
      return ControlForm::kTimespecs;
    default:
      return ControlForm::kBytes;
  }
}

// Of the software, of the hardware in the system's time, and of the hardware.
void print_times(const Printer& p, uint64_t address) {
  for (unsigned i = 0; i < 3; ++i) {
    p.line.text(i == 0 ? "[" : ", ");
    print_timespec(p, address + i * sizeof(TimePair));
  }
  p.line.character(']');
}

void print_control_data(const Printer& p, const ControlHeader& header, uint64_t address,
                        uint64_t size) {
  int32_t word[3]{};
  const ControlForm form = form_of(header);
  const bool is_time = form == ControlForm::kTimeval || form == ControlForm::kTimespec;
  p.line.text(", cmsg_data=");
  if ((is_time && size < sizeof(TimePair)) ||
      (form == ControlForm::kTimespecs && size < 3 * sizeof(TimePair))) {
    p.line.text("???");
  } else if (form == ControlForm::kNumbers) {
    print_array(p, address, size / 4, 4, [&](uint64_t at) {
      if (p.fetch(at, word[0])) p.line.decimal(word[0]);
    });
  } else if (form == ControlForm::kSender && size >= sizeof(word) && p.peek(address, word)) {
    print_credentials(p.line, word);
  } else if (form == ControlForm::kTimespecs) {
    print_times(p, address);
  } else if (is_time) {
    form == ControlForm::kTimeval ? print_timeval(p, address) : print_timespec(p, address);
  } else {
    print_buffer(p, address, size);
  }
}

// Headers one behind the other, each with its data, aligned to 8.
void print_control(const Printer& p, uint64_t address, uint64_t size) {
  ControlHeader header{};
  p.line.text(", msg_control=");
  if (size < sizeof(header) || !p.peek(address, header)) {
    p.line.address(address);
    return;
  }
  p.line.character('[');
  for (uint64_t at = 0; size - at >= sizeof(header) && p.peek(address + at, header);) {
    if (at > 0) p.line.text(", ");
    if (at > 0 && at / sizeof(header) >= kMostElements) {
      p.line.text("...");
      break;
    }
    field(p.line, "cmsg_len", true).unsigned_decimal(header.size);
    field(p.line, "cmsg_level");
    Names(kNamesOfSocketLevels).value(p.line, static_cast<uint32_t>(header.level));
    field(p.line, "cmsg_type");
    if (header.level == kSocketLevel) {
      Names(kNamesOfControlMessages).value(p.line, static_cast<uint32_t>(header.type));
    } else {
      p.line.hex(static_cast<uint32_t>(header.type));
    }
    const uint64_t here = header.size < size - at ? header.size : size - at;
    if (here > sizeof(header))
      print_control_data(p, header, address + at + sizeof(header), here - sizeof(header));
    p.line.character('}');
    if (header.size < sizeof(header) || header.size > size - at) break;
    const uint64_t step = (header.size + 7) & ~uint64_t{7};
    if (step > size - at) break;
    at += step;
  }
  p.line.character(']');
}

}  // namespace

// `bytes`: how many of the buffers' were filled. `name_size_before`: the room that there was for
// the sender's address, or all ones where the program itself wrote it.
void print_message(const Printer& p, uint64_t address, uint64_t bytes, uint64_t name_size_before) {
  Header header{};
  if (!p.fetch(address, header)) return;
  const bool is_filled = name_size_before != ~uint64_t{0};
  const auto before = static_cast<uint32_t>(name_size_before);
  p.line.text("{msg_name=");
  print_sockaddr(p, header.name,
                 is_filled && before < header.name_size ? before : header.name_size);
  field(p.line, "msg_namelen");
  if (is_filled && before != header.name_size)
    p.line.decimal(static_cast<int32_t>(before)).text(" => ");
  p.line.decimal(static_cast<int32_t>(header.name_size));
  p.line.text(", msg_iov=");
  print_iovecs(p, header.vectors, header.vector_count, bytes);
  field(p.line, "msg_iovlen").unsigned_decimal(header.vector_count);
  if (header.control_size != 0) print_control(p, header.control, header.control_size);
  field(p.line, "msg_controllen").unsigned_decimal(header.control_size);
  field(p.line, "msg_flags");
  Names(kNamesOfMessageFlags).flags(p.line, header.flags);
  p.line.character('}');
}

// Each header is followed by how much of it was sent or received. What was to be sent is there also
// when it could not be.
void print_messages(const Printer& p) {
  constexpr uint64_t kSize = 64;
  const bool sends = static_cast<uint32_t>(p.call.number) == __NR_sendmmsg;
  if (p.failed() && !sends) {
    p.line.address(p.argument());
    return;
  }
  MessagesBefore before{};
  const bool has_before = !sends && p.peek(p.before, before);
  const auto done = p.failed() ? 0 : static_cast<uint64_t>(p.call.result);
  const uint64_t count = sends ? static_cast<uint32_t>(p.behind()) : done;
  uint64_t index = 0;
  print_array(p, p.argument(), count, kSize, [&](uint64_t at) {
    uint32_t bytes = 0;
    if (!p.fetch(at + sizeof(Header), bytes)) return;
    p.line.text("{msg_hdr=");
    // There are no more of these than print_array shows.
    const uint64_t name_size = has_before ? before.name_sizes[index] : ~uint64_t{0};
    print_message(p, at, sends ? ~uint64_t{0} : bytes, name_size);
    if (index++ < done) field(p.line, "msg_len").unsigned_decimal(bytes);
    p.line.character('}');
  });
}

}  // namespace sysrewrite::trace
