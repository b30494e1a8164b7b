#include "cli/printable.h"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace sysrewrite {

namespace {

// Bytes of the well-formed UTF-8 character at `at`, or 0. Source: RFC 3629, section 4; overlong
// forms and surrogates are told by the second byte.
size_t utf8_size(const std::string& text, size_t at) {
  const auto byte = [&text](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  const auto follows = [&byte](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(at), second = byte(at + 1);
  if (first >= 0xc2 && first <= 0xdf) return follows(at + 1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f);
    return !bad && follows(at + 1) && follows(at + 2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool bad = (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
    return !bad && follows(at + 1) && follows(at + 2) && follows(at + 3) ? 4 : 0;
  }
  return 0;
}

// U+0080 to U+009F are control characters too.
bool is_control(const std::string& text, size_t at, size_t size) {
  return size == 2 && static_cast<uint8_t>(text[at]) == 0xc2 &&
         static_cast<uint8_t>(text[at + 1]) < 0xa0;
}

std::string in_ascii(char c) {
  const auto byte = static_cast<uint8_t>(c);
  if (byte == '\n') return "\\n";
  if (byte == '\\') return "\\\\";
  const bool is_plain = byte >= 0x20 && byte < 0x7f;
  return is_plain ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
}

// `kept`: what is left as it is.
std::string made_printable(const std::string& text, std::string_view kept) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t wide = static_cast<uint8_t>(text[at]) < 0x80 ? 0 : utf8_size(text, at);
    const bool stays = wide != 0 && !is_control(text, at, wide);
    if (stays || kept.find(text[at]) != std::string_view::npos) {
      out.append(text, at, stays ? wide : 1);
    } else {
      out += in_ascii(text[at]);
    }
    at += stays ? wide : 1;
  }
  return out;
}

}  // namespace

std::string printable(const std::string& name) {
  return made_printable(name, "");
}

std::string printable_lines(const std::string& text) {
  return made_printable(text, "\n\t\\");
}

std::string printable_line(const std::string& text) {
  return made_printable(text, "\t\\");
}

}  // namespace sysrewrite
