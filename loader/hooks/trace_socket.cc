// Sockets: addresses, types and protocols, options.

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint16_t kUnix = 1, kInternet = 2, kInternet6 = 10, kNetlink = 16, kPacket = 17;

const char* text_of(const uint8_t* bytes) {
  return static_cast<const char*>(static_cast<const void*>(bytes));
}

uint16_t port_of(const uint8_t* bytes) {
  return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
}

// The i-th word of an IPv6 address.
uint16_t word_at(const uint8_t* bytes, size_t i) {
  return port_of(bytes + 2 * i);
}

uint32_t word_of(const uint8_t* bytes) {
  uint32_t word;
  __builtin_memcpy(&word, bytes, sizeof(word));
  return word;
}

void print_dotted(Line& line, const uint8_t* bytes) {
  for (unsigned i = 0; i < 4; ++i) line.text(i > 0 ? "." : "").unsigned_decimal(bytes[i]);
}

// As RFC 5952 has it: the longest run of zeros, if it is two words or more, is "::".
void print_internet6(Line& line, const uint8_t* bytes) {
  unsigned longest = 8, length = 1;
  for (unsigned i = 0; i < 8; ++i) {
    unsigned run = 0;
    while (i + run < 8 && word_at(bytes, i + run) == 0) ++run;
    if (run > length) longest = i, length = run;
  }
  // IPv4 inside: ::1.2.3.4 and ::ffff:1.2.3.4
  const bool mapped = longest == 0 && length == 5 && port_of(bytes + 10) == 0xffff;
  if (mapped || (longest == 0 && length == 6)) {
    line.text(mapped ? "::ffff:" : "::");
    return print_dotted(line, bytes + 12);
  }
  for (unsigned i = 0; i < 8; ++i) {
    if (i == longest) {
      line.text("::");
      i += length - 1;
      continue;
    }
    if (i > 0 && i != longest + length) line.character(':');
    char text[24];
    Line hexadecimal(text, sizeof(text));
    const uint16_t word = word_at(bytes, i);
    if (word == 0) {
      line.character('0');
    } else {
      hexadecimal.hex(word);
      line.chars(text + 2, hexadecimal.length() - 2);
    }
  }
}

void print_unix_path(Line& line, const uint8_t* bytes, uint64_t size) {
  constexpr uint64_t kMost = 108;
  if (size == 0) return;
  if (size > kMost) size = kMost;
  line.text(", sun_path=");
  const char* path = text_of(bytes);
  if (*path == 0 && size > 1) {
    line.character('@').quoted(path + 1, size - 1);
    return;
  }
  uint64_t length = 0;
  while (length < size && path[length] != 0) ++length;
  line.quoted(path, length);
}

// As "%#08x" does: eight places, "0x" among them.
void print_groups(Line& line, uint32_t groups) {
  line.text(groups == 0 ? "00" : "0x");
  unsigned shift = 20;
  while (shift < 28 && (groups >> (shift + 4)) != 0) shift += 4;
  for (;; shift -= 4) {
    line.character("0123456789abcdef"[groups >> shift & 15]);
    if (shift == 0) return;
  }
}

void print_address_body(Line& line, uint16_t family, const uint8_t* bytes, uint64_t size) {
  if (family == kUnix) {
    print_unix_path(line, bytes + 2, size - 2);
  } else if (family == kInternet && size >= 16) {
    line.text(", sin_port=htons(")
        .unsigned_decimal(port_of(bytes + 2))
        .text("), sin_addr=inet_addr(\"");
    print_dotted(line, bytes + 4);
    line.text("\")");
  } else if (family == kInternet6 && size >= 24) {
    const uint32_t flow = __builtin_bswap32(word_of(bytes + 4));
    line.text(", sin6_port=htons(")
        .unsigned_decimal(port_of(bytes + 2))
        .text("), sin6_flowinfo=htonl(");
    line.unsigned_decimal(flow).text("), inet_pton(AF_INET6, \"");
    print_internet6(line, bytes + 8);
    line.text("\", &sin6_addr)");
    if (size >= 28) line.text(", sin6_scope_id=").unsigned_decimal(word_of(bytes + 24));
  } else if (family == kNetlink && size >= 12) {
    line.text(", nl_pid=").decimal(static_cast<int32_t>(word_of(bytes + 4))).text(", nl_groups=");
    print_groups(line, word_of(bytes + 8));
  } else if (size > 2) {
    line.text(", sa_data=").quoted(text_of(bytes + 2), size - 2);
  }
}

}  // namespace

void print_credentials(Line& line, const int32_t (&word)[3]) {
  field(line, "pid", true).decimal(word[0]);
  field(line, "uid").user_id(static_cast<uint32_t>(word[1]));
  field(line, "gid").user_id(static_cast<uint32_t>(word[2])).character('}');
}

void print_sockaddr(const Printer& p, uint64_t address, uint64_t size) {
  constexpr uint64_t kMost = 128;  // struct sockaddr_storage
  uint8_t bytes[kMost]{};
  if (size > kMost) size = kMost;
  if (address == 0 || size < 2 || p.api.read(bytes, address, size) != static_cast<int64_t>(size)) {
    p.line.address(address);
    return;
  }
  const auto family = static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
  field(p.line, "sa_family", true);
  Names(kNamesOfFamilies).value(p.line, family);
  print_address_body(p.line, family, bytes, size);
  p.line.character('}');
}

namespace {

// An address that the kernel filled in: no more of it than there was room for.
void print_filled_address(const Printer& p) {
  int32_t size = 0;
  if (p.failed() || p.argument() == 0 || !p.peek(p.behind(), size) || size < 0) {
    p.line.address(p.argument());
    return;
  }
  const auto before = static_cast<int32_t>(p.before);
  print_sockaddr(p, p.argument(), static_cast<uint32_t>(size < before ? size : before));
}

// "[128 => 16]": the length before the call and behind it.
void print_length(const Printer& p) {
  if (!p.leaving) return;
  int32_t size = 0;
  if (!p.fetch(p.argument(), size)) return;
  p.line.character('[');
  const auto before = static_cast<int32_t>(p.before);
  if (before != size && !p.failed()) p.line.decimal(before).text(" => ");
  p.line.decimal(p.failed() ? before : size).character(']');
}

void print_type(Line& line, uint32_t type) {
  constexpr uint32_t kTypes = 15;
  const Names types(kNamesOfSocketTypes);
  if (!types.has(type & kTypes)) {
    Names(kNamesOfSocketFlags).flags(line, type);
    return;
  }
  types.value(line, type & kTypes);
  if ((type & ~kTypes) == 0) return;
  line.character('|');
  Names(kNamesOfSocketFlags).flags(line, type & ~kTypes);
}

void print_protocol(const Printer& p) {
  constexpr uint64_t kAllPackets = 0x300;  // ETH_P_ALL, in network order
  const uint64_t value = p.argument();
  switch (static_cast<uint32_t>(p.call.argument[0])) {
    case kInternet:
    case kInternet6:
      return Names(kNamesOfProtocols).value(p.line, static_cast<uint32_t>(value));
    case kNetlink:
      return Names(kNamesOfNetlinkProtocols).value(p.line, static_cast<uint32_t>(value));
    case kPacket:
      if (value == kAllPackets) {
        p.line.text("htons(ETH_P_ALL)");
        return;
      }
      [[fallthrough]];
    default:
      p.line.unsigned_decimal(value);
  }
}

constexpr uint32_t kSocketLevel = 1, kIpLevel = 0, kTcpLevel = 6, kIp6Level = 41,
                   kNetlinkLevel = 270;

void print_option(const Printer& p) {
  const auto option = static_cast<uint32_t>(p.argument());
  switch (static_cast<uint32_t>(p.call.argument[1])) {
    case kSocketLevel:
      return Names(kNamesOfSocketOptions).value(p.line, option);
    case kIpLevel:
      return Names(kNamesOfIpOptions).value(p.line, option);
    case kTcpLevel:
      return Names(kNamesOfTcpOptions).value(p.line, option);
    case kIp6Level:
      return Names(kNamesOfIpv6Options).value(p.line, option);
    case kNetlinkLevel:
      return Names(kNamesOfNetlinkOptions).value(p.line, option);
    default:
      p.line.unsigned_decimal(option);
  }
}

// struct ip_mreq.
void print_membership(const Printer& p, uint64_t size) {
  uint8_t bytes[8];
  if (size < sizeof(bytes)) {
    p.line.address(p.argument());
    return;
  }
  if (!p.fetch(p.argument(), bytes)) return;
  p.line.text("{imr_multiaddr=inet_addr(\"");
  print_dotted(p.line, bytes);
  p.line.text("\"), imr_interface=inet_addr(\"");
  print_dotted(p.line, bytes + 4);
  p.line.text("\")}");
}

// Most options are one int; the others are their bytes, but for some that have fields.
void print_option_value(const Printer& p, int32_t size) {
  constexpr uint32_t kLinger = 13, kCredentials = 17, kJoin = 35, kLeave = 36;
  const bool of_socket = static_cast<uint32_t>(p.call.argument[1]) == kSocketLevel;
  const bool of_ip = static_cast<uint32_t>(p.call.argument[1]) == kIpLevel;
  const auto option = static_cast<uint32_t>(p.call.argument[2]);
  int32_t word[3]{};
  if (of_ip && (option == kJoin || option == kLeave) && size >= 0) {
    print_membership(p, static_cast<uint32_t>(size));
  } else if (size == 4) {
    if (p.fetch(p.argument(), word[0])) p.line.character('[').decimal(word[0]).character(']');
  } else if (of_socket && option == kLinger && size == 8 && p.peek(p.argument(), word)) {
    p.line.text("{l_onoff=").decimal(word[0]).text(", l_linger=").decimal(word[1]).character('}');
  } else if (of_socket && option == kCredentials && size == 12 && p.peek(p.argument(), word)) {
    print_credentials(p.line, word);
  } else if (size < 0 || (size == 0 && p.leaving)) {
    p.line.address(p.argument());
  } else {
    print_buffer(p, p.argument(), static_cast<uint32_t>(size));
  }
}

// Of a recvmsg that failed, only what the kernel would have overwritten.
void print_received(const Printer& p) {
  constexpr uint64_t kNameSizeAt = 8;
  int32_t size = 0;
  if (!p.failed()) {
    print_message(p, p.argument(), static_cast<uint64_t>(p.call.result), p.before);
  } else if (p.argument() != 0 && p.peek(p.argument() + kNameSizeAt, size)) {
    field(p.line, "msg_namelen", true).decimal(size).character('}');
  } else {
    p.line.address(p.argument());
  }
}

}  // namespace

void print_socket(Printer& p, Kind kind) {
  int32_t size = 0;
  switch (kind) {
    case Kind::Sockaddr:
      // The kernel takes a negative size for a mistake.
      size = static_cast<int32_t>(p.behind());
      return print_sockaddr(p, p.argument(), size < 0 ? 0 : static_cast<uint32_t>(size));
    case Kind::SockaddrOut:
      return print_filled_address(p);
    case Kind::SockaddrLength:
    case Kind::OptionLength:
      return print_length(p);
    case Kind::SocketType:
      return print_type(p.line, static_cast<uint32_t>(p.argument()));
    case Kind::SocketProtocol:
      return print_protocol(p);
    case Kind::SocketOption:
      return print_option(p);
    case Kind::OptionValue:
      return print_option_value(p, static_cast<int32_t>(p.behind()));
    case Kind::OptionOut:
      if (!p.failed() && p.peek(p.behind(), size)) return print_option_value(p, size);
      p.line.address(p.argument());
      return;
    case Kind::Message:
      return print_message(p, p.argument(), ~uint64_t{0}, ~uint64_t{0});
    case Kind::OutMessage:
      return print_received(p);
    case Kind::OutMessages:
      return print_messages(p);
    default:
      p.line.address(p.argument());
  }
}

}  // namespace sysrewrite::trace
