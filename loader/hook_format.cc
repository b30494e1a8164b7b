#include "loader/hook_format.h"

#include <cstddef>

namespace sysrewrite {

namespace {

class Text {
 public:
  Text(char* into, uint64_t size) : into_(into), size_(size) {}

  void put(char c) {
    if (length_ + 1 < size_) into_[length_] = c;
    ++length_;
  }
  void pad(char c, uint64_t count) {
    for (; count != 0; --count) put(c);
  }
  uint64_t finish() {
    if (size_ != 0) into_[length_ < size_ ? length_ : size_ - 1] = 0;
    return length_;
  }

 private:
  char* into_;
  uint64_t size_, length_ = 0;
};

struct Conversion {
  bool left = false, zeros = false, has_precision = false, is_long = false, alternate = false;
  uint64_t width = 0, precision = 0;
  char kind = 0;
};

void write_string(Text& out, const Conversion& conversion, const char* text) {
  if (text == nullptr) text = "(null)";
  uint64_t length = 0;
  while ((!conversion.has_precision || length < conversion.precision) && text[length] != 0)
    ++length;
  const uint64_t padding = conversion.width > length ? conversion.width - length : 0;
  if (!conversion.left) out.pad(' ', padding);
  for (uint64_t i = 0; i < length; ++i) out.put(text[i]);
  if (conversion.left) out.pad(' ', padding);
}

void write_number(Text& out, const Conversion& conversion, uint64_t value, unsigned base,
                  bool is_negative, const char* prefix) {
  char digits[24];
  uint64_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  while (conversion.has_precision && count < conversion.precision && count < sizeof(digits))
    digits[count++] = '0';
  uint64_t length = count + (is_negative ? 1 : 0);
  for (const char* c = prefix; *c != 0; ++c) ++length;
  const uint64_t padding = conversion.width > length ? conversion.width - length : 0;
  const bool zeros = conversion.zeros && !conversion.left;
  if (!conversion.left && !zeros) out.pad(' ', padding);
  if (is_negative) out.put('-');
  for (; *prefix != 0; ++prefix) out.put(*prefix);
  if (zeros) out.pad('0', padding);
  while (count != 0) out.put(digits[--count]);
  if (conversion.left) out.pad(' ', padding);
}

uint64_t read_digits(const char*& format) {
  uint64_t value = 0;
  for (; *format >= '0' && *format <= '9'; ++format)
    value = value * 10 + static_cast<uint64_t>(*format - '0');
  return value;
}

}  // namespace

// The list is walked in one function, since it cannot portably be handed over by reference.
uint64_t format_text(char* into, uint64_t size, const char* format, va_list arguments) {
  Text out(into, size);
  for (; *format != 0; ++format) {
    if (*format != '%') {
      out.put(*format);
      continue;
    }
    Conversion conversion;
    for (++format; *format == '-' || *format == '0' || *format == '#'; ++format) {
      if (*format == '-') conversion.left = true;
      if (*format == '0') conversion.zeros = true;
      if (*format == '#') conversion.alternate = true;
    }
    if (*format == '*') {
      const int width = va_arg(arguments, int);
      conversion.width = width < 0 ? 0 : static_cast<uint64_t>(width);
      ++format;
    } else {
      conversion.width = read_digits(format);
    }
    if (*format == '.') {
      ++format;
      conversion.has_precision = true;
      if (*format == '*') {
        const int precision = va_arg(arguments, int);
        conversion.has_precision = precision >= 0;
        conversion.precision = precision < 0 ? 0 : static_cast<uint64_t>(precision);
        ++format;
      } else {
        conversion.precision = read_digits(format);
      }
    }
    for (; *format == 'l' || *format == 'z' || *format == 'h'; ++format)
      if (*format != 'h') conversion.is_long = true;
    switch (*format) {
      case 's':
        write_string(out, conversion, va_arg(arguments, const char*));
        break;
      case 'c': {
        const char c[2] = {static_cast<char>(va_arg(arguments, int)), 0};
        conversion.has_precision = true;
        conversion.precision = 1;
        if (c[0] != 0) write_string(out, conversion, c);
        break;
      }
      case 'd':
      case 'i': {
        const int64_t value =
            conversion.is_long ? va_arg(arguments, int64_t) : va_arg(arguments, int);
        const auto magnitude = static_cast<uint64_t>(value);
        write_number(out, conversion, value < 0 ? 0 - magnitude : magnitude, 10, value < 0, "");
        break;
      }
      case 'u':
      case 'x':
      case 'o': {
        const uint64_t value =
            conversion.is_long ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
        const unsigned base = *format == 'u' ? 10 : *format == 'x' ? 16 : 8;
        const char* prefix = !conversion.alternate || value == 0 ? ""
                             : base == 16                        ? "0x"
                             : base == 8                         ? "0"
                                                                 : "";
        write_number(out, conversion, value, base, false, prefix);
        break;
      }
      case 'p':
        write_number(out, conversion, va_arg(arguments, uint64_t), 16, false, "0x");
        break;
      case '%':
        out.put('%');
        break;
      case 0:
        return out.finish();
      default:
        out.put('%');
        out.put(*format);
    }
  }
  return out.finish();
}

}  // namespace sysrewrite
