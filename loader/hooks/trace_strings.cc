// Strings, buffers, and arrays of them.

#include <cstring>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

constexpr int64_t kNoMemory = -14;  // EFAULT
constexpr int64_t kTooLong = -36;   // ENAMETOOLONG

// A NUL-ended string, of which at most `limit` bytes are shown.
void print_limited(const Printer& p, uint64_t address, uint64_t limit) {
  char bytes[kPathSize + 1];
  if (address == 0) {
    p.line.text("NULL");
    return;
  }
  const int64_t length = p.api.read_string(bytes, address, limit + 1);
  if (length < 0 && length != kTooLong) {
    p.line.address(address);
    return;
  }
  p.line.quoted(bytes, length < 0 ? limit : static_cast<uint64_t>(length));
  if (length < 0) p.line.text("...");
}

}  // namespace

void print_path(const Printer& p, uint64_t address) {
  print_limited(p, address, kPathSize - 1);
}

void print_string(const Printer& p, uint64_t address) {
  print_limited(p, address, p.string_limit);
}

void print_buffer(const Printer& p, uint64_t address, uint64_t size, bool hexadecimal) {
  char bytes[kMostStringLimit];
  const uint64_t shown = smaller(size, p.string_limit);
  const int64_t got = address == 0 ? kNoMemory : p.api.read(bytes, address, shown);
  if (got < 0 || static_cast<uint64_t>(got) < shown) {
    p.line.address(address);
    return;
  }
  p.line.quoted(bytes, shown, hexadecimal);
  if (size > shown) p.line.text("...");
}

void print_bytes_behind(const Printer& p, uint64_t address, uint64_t known, uint64_t size) {
  constexpr uint64_t kMost = 4096;  // a page: the kernel takes no more
  char bytes[kMost];
  if (size <= known) return;
  const uint64_t end = smaller(size, kMost), count = end - known;
  if (p.api.read(bytes, address + known, count) != static_cast<int64_t>(count)) {
    p.line.text(", ???");
    return;
  }
  uint64_t zeros = 0;
  while (zeros < count && bytes[zeros] == 0) ++zeros;
  if (zeros == count) return;
  p.line.text(", /* bytes ").unsigned_decimal(known).text("..").unsigned_decimal(end - 1);
  p.line.text(" */ ").quoted(bytes, smaller(count, p.string_limit), true);
  if (count > p.string_limit) p.line.text("...");
}

// `bytes`: how many the kernel moved, or all of them where that is not known yet.
void print_iovecs(const Printer& p, uint64_t address, uint64_t count, uint64_t bytes,
                  bool contents) {
  struct {
    uint64_t base, size;
  } vector{};
  print_array(p, address, count, sizeof(vector), [&](uint64_t at) {
    if (!p.fetch(at, vector)) return;
    p.line.text("{iov_base=");
    const uint64_t here = smaller(vector.size, bytes);
    if (contents) {
      print_buffer(p, vector.base, here);
    } else {
      p.line.address(vector.base);
    }
    if (bytes != ~uint64_t{0}) bytes -= here;
    field(p.line, "iov_len").unsigned_decimal(vector.size).character('}');
  });
}

namespace {

// How many pointers there are before a null one; `ended` says whether there is one.
uint64_t count_pointers(const Printer& p, uint64_t address, bool& ended) {
  constexpr uint64_t kMost = 1 << 20;
  uint64_t pointers[64];
  for (uint64_t count = 0; count < kMost;) {
    const int64_t got = p.api.read(pointers, address + count * sizeof(uint64_t), sizeof(pointers));
    const uint64_t here = got > 0 ? static_cast<uint64_t>(got) / sizeof(uint64_t) : 0;
    for (uint64_t i = 0; i < here; ++i) {
      ended = pointers[i] == 0;
      if (ended) return count + i;
    }
    count += here;
    if (here < 64) return count;
  }
  return kMost;
}

void print_argv(const Printer& p, uint64_t address) {
  uint64_t pointer = 0;
  if (address == 0 || !p.peek(address, pointer)) {
    p.line.address(address);
    return;
  }
  p.line.character('[');
  for (uint64_t i = 0; !p.line.full(); ++i) {
    if (!p.peek(address + i * sizeof(pointer), pointer)) {
      p.line.text(", ... /* ").hex(address + i * sizeof(pointer)).text(" */");
      break;
    }
    if (pointer == 0) break;
    if (i > 0) p.line.text(", ");
    if (i == kMostElements) {
      p.line.text("...");
      break;
    }
    print_string(p, pointer);
  }
  p.line.character(']');
}

void print_envp(const Printer& p, uint64_t address) {
  uint64_t pointer = 0;
  p.line.address(address);
  if (address == 0 || !p.peek(address, pointer)) return;
  bool ended = false;
  const uint64_t count = count_pointers(p, address, ended);
  p.line.text(" /* ").unsigned_decimal(count).text(count == 1 ? " var" : " vars");
  p.line.text(ended ? " */" : ", unterminated */");
}

void print_filled_buffer(const Printer& p, bool hexadecimal) {
  if (p.failed()) {
    p.line.address(p.argument());
  } else {
    // A datagram that was cut may be reported longer than the buffer.
    const uint64_t room = p.index + 1 < kArguments ? p.behind() : ~uint64_t{0};
    print_buffer(p, p.argument(), smaller(static_cast<uint64_t>(p.call.result), room), hexadecimal);
  }
}

}  // namespace

void print_strings(const Printer& p, Kind kind) {
  const uint64_t address = p.argument();
  switch (kind) {
    case Kind::Path:
      return print_path(p, address);
    case Kind::String:
      return print_string(p, address);
    case Kind::Buffer:
      return print_buffer(p, address, p.behind());
    case Kind::Iovecs:
      return print_iovecs(p, address, p.behind(), ~uint64_t{0});
    case Kind::RemoteIovecs:
      return print_iovecs(p, address, p.behind(), 0, false);
    case Kind::Argv:
      return print_argv(p, address);
    case Kind::Envp:
      return print_envp(p, address);
    case Kind::OutBuffer:
      return print_filled_buffer(p, false);
    case Kind::OutHexBuffer:
      return print_filled_buffer(p, true);
    case Kind::OutString:
      if (p.failed()) {
        p.line.address(address);
      } else {
        print_path(p, address);
      }
      return;
    case Kind::OutIovecs:
      if (p.failed()) {
        print_iovecs(p, address, p.behind(), 0, false);
      } else {
        print_iovecs(p, address, p.behind(), static_cast<uint64_t>(p.call.result));
      }
      return;
    default:
      p.line.address(address);
  }
}

}  // namespace sysrewrite::trace
