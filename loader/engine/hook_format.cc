#include "loader/engine/hook_format.h"

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

// What stands behind the format: a class, since a va_list cannot portably be handed over itself.
class Arguments {
 public:
  explicit Arguments(va_list list) { va_copy(list_, list); }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;
  ~Arguments() { va_end(list_); }

  int take_int() { return va_arg(list_, int); }
  const char* take_text() { return va_arg(list_, const char*); }
  uint64_t take_pointer() { return va_arg(list_, uint64_t); }
  int64_t take_signed(bool is_long) {
    return is_long ? va_arg(list_, int64_t) : va_arg(list_, int);
  }
  uint64_t take_unsigned(bool is_long) {
    return is_long ? va_arg(list_, uint64_t) : va_arg(list_, unsigned);
  }

 private:
  va_list list_;
};

void read_flags(const char*& format, Conversion& conversion) {
  for (;; ++format) {
    if (*format == '-') {
      conversion.left = true;
    } else if (*format == '0') {
      conversion.zeros = true;
    } else if (*format == '#') {
      conversion.alternate = true;
    } else {
      return;
    }
  }
}

// Behind the '%', up to the letter that says what is converted.
Conversion read_conversion(const char*& format, Arguments& arguments) {
  Conversion conversion;
  read_flags(format, conversion);
  if (*format == '*') {
    const int width = arguments.take_int();
    conversion.width = width < 0 ? 0 : static_cast<uint64_t>(width);
    ++format;
  } else {
    conversion.width = read_digits(format);
  }
  if (*format == '.' && *++format == '*') {
    const int precision = arguments.take_int();
    conversion.has_precision = precision >= 0;
    conversion.precision = precision < 0 ? 0 : static_cast<uint64_t>(precision);
    ++format;
  } else if (format[-1] == '.') {
    conversion.has_precision = true;
    conversion.precision = read_digits(format);
  }
  for (; *format == 'l' || *format == 'z' || *format == 'h'; ++format)
    if (*format != 'h') conversion.is_long = true;
  conversion.kind = *format;
  return conversion;
}

void write_signed(Text& out, const Conversion& conversion, int64_t value) {
  const auto magnitude = static_cast<uint64_t>(value);
  write_number(out, conversion, value < 0 ? 0 - magnitude : magnitude, 10, value < 0, "");
}

void write_unsigned(Text& out, const Conversion& conversion, uint64_t value) {
  const bool is_marked = conversion.alternate && value != 0;
  const char* prefix = "";
  unsigned base = 10;
  if (conversion.kind == 'x') {
    base = 16;
    if (is_marked) prefix = "0x";
  } else if (conversion.kind == 'o') {
    base = 8;
    if (is_marked) prefix = "0";
  }
  write_number(out, conversion, value, base, false, prefix);
}

void write_character(Text& out, Conversion conversion, char value) {
  const char text[2] = {value, 0};
  conversion.has_precision = true;
  conversion.precision = 1;
  if (value != 0) write_string(out, conversion, text);
}

void write_converted(Text& out, const Conversion& conversion, Arguments& arguments) {
  switch (conversion.kind) {
    case 's':
      return write_string(out, conversion, arguments.take_text());
    case 'c':
      return write_character(out, conversion, static_cast<char>(arguments.take_int()));
    case 'd':
    case 'i':
      return write_signed(out, conversion, arguments.take_signed(conversion.is_long));
    case 'u':
    case 'x':
    case 'o':
      return write_unsigned(out, conversion, arguments.take_unsigned(conversion.is_long));
    case 'p':
      return write_number(out, conversion, arguments.take_pointer(), 16, false, "0x");
    default:
      if (conversion.kind != '%') out.put('%');
      out.put(conversion.kind);
  }
}

}  // namespace

uint64_t format_text(char* into, uint64_t size, const char* format, va_list list) {
  Text out(into, size);
  Arguments arguments(list);
  for (; *format != 0; ++format) {
    if (*format != '%') {
      out.put(*format);
      continue;
    }
    const Conversion conversion = read_conversion(++format, arguments);
    if (conversion.kind == 0) break;
    write_converted(out, conversion, arguments);
  }
  return out.finish();
}

}  // namespace sysrewrite
