#include "cli/batch/manifest.h"

#include <fmt/format.h>

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

}  // namespace

std::string Manifest::path(uint32_t index) const {
  if (index == 0) return ".";
  std::vector<uint32_t> chain;
  for (uint32_t at = index; at != 0; at = entries[at].parent) chain.push_back(at);
  std::string out;
  for (size_t at = chain.size(); at-- > 0;) {
    if (!out.empty()) out += '/';
    out += entries[chain[at]].name;
  }
  return out;
}

std::string printable(const std::string& name) {
  std::string out;
  for (size_t at = 0; at < name.size();) {
    const auto byte = static_cast<uint8_t>(name[at]);
    const size_t wide = byte < 0x80 ? 0 : utf8_size(name, at);
    if (wide != 0 && !is_control(name, at, wide)) {
      out.append(name, at, wide);
      at += wide;
      continue;
    }
    if (byte >= 0x20 && byte < 0x7f && byte != '\\')
      out += name[at];
    else if (byte == '\n')
      out += "\\n";
    else if (byte == '\\')
      out += "\\\\";
    else
      out += fmt::format("\\x{:02x}", byte);
    ++at;
  }
  return out;
}

}  // namespace sysrewrite
