#include "loader/hooks/trace_line.h"

#include <cstring>

#include "trampoline/decimal.h"

namespace sysrewrite::trace {

Line& Line::chars(const char* from, size_t count) {
  if (count > size_ - length_) {
    count = size_ - length_;
    full_ = true;
  }
  memcpy(memory_ + length_, from, count);
  length_ += count;
  return *this;
}

Line& Line::text(const char* string) {
  return chars(string, strlen(string));
}

Line& Line::character(char c) {
  return chars(&c, 1);
}

Line& Line::decimal(int64_t value) {
  if (value >= 0) return unsigned_decimal(static_cast<uint64_t>(value));
  return character('-').unsigned_decimal(0 - static_cast<uint64_t>(value));
}

Line& Line::unsigned_decimal(uint64_t value) {
  return padded(value, 1);
}

Line& Line::padded(uint64_t value, unsigned digits) {
  const Decimal number(value);
  for (unsigned count = number.size(); count < digits; ++count) character('0');
  for (const char digit : number) character(digit);
  return *this;
}

Line& Line::hex(uint64_t value) {
  if (value == 0) return character('0');
  text("0x");
  unsigned shift = 60;
  while ((value >> shift) == 0) shift -= 4;
  for (;; shift -= 4) {
    character("0123456789abcdef"[(value >> shift) & 15]);
    if (shift == 0) return *this;
  }
}

Line& Line::octal(uint64_t value) {
  // At least three places, the leading 0 among them: 000, 007, 022, 0644.
  unsigned shift = 6;
  while (shift < 63 && (value >> shift) > 7) shift += 3;
  if ((value >> shift) != 0) character('0');
  for (;; shift -= 3) {
    character(static_cast<char>('0' + ((value >> shift) & 7)));
    if (shift == 0) return *this;
  }
}

Line& Line::address(uint64_t value) {
  return value == 0 ? text("NULL") : hex(value);
}

Line& Line::user_id(uint32_t value) {
  return value == ~uint32_t{0} ? text("-1") : unsigned_decimal(value);
}

void Line::escaped(unsigned char c, bool digit_follows) {
  switch (c) {
    case '"':
    case '\\':
      character('\\').character(static_cast<char>(c));
      return;
    case '\f':
      text("\\f");
      return;
    case '\n':
      text("\\n");
      return;
    case '\r':
      text("\\r");
      return;
    case '\t':
      text("\\t");
      return;
    case '\v':
      text("\\v");
      return;
    default:
      break;
  }
  if (c >= ' ' && c < 0x7f) {
    character(static_cast<char>(c));
    return;
  }
  // As few digits as there need be, but where the next character would be taken for one.
  character('\\');
  if (digit_follows || c >= 64) character(static_cast<char>('0' + (c >> 6)));
  if (digit_follows || c >= 8) character(static_cast<char>('0' + ((c >> 3) & 7)));
  character(static_cast<char>('0' + (c & 7)));
}

Line& Line::quoted(const char* bytes, size_t count, bool all_hexadecimal) {
  character('"');
  for (size_t i = 0; i < count && !full_; ++i) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (all_hexadecimal) {
      text("\\x").character("0123456789abcdef"[c >> 4]).character("0123456789abcdef"[c & 15]);
    } else {
      escaped(c, i + 1 < count && bytes[i + 1] >= '0' && bytes[i + 1] <= '7');
    }
  }
  return character('"');
}

Line& Line::pad_to(size_t column) {
  while (length_ < column && !full_) character(' ');
  return *this;
}

}  // namespace sysrewrite::trace
