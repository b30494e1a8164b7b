#include "tests/byte_literals.h"

#include <cstdlib>

namespace sysrewrite::test {

namespace {

unsigned digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  std::abort();
}

}  // namespace

Bytes hex(std::string_view text) {
  Bytes out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    if (at + 1 >= text.size()) std::abort();
    out.push_back(static_cast<std::byte>(digit(text[at]) * 16 + digit(text[at + 1])));
    at += 2;
  }
  return out;
}

std::string to_hex(ByteView bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::byte byte : bytes) {
    if (!out.empty()) out += ' ';
    out += kDigits[std::to_integer<unsigned>(byte) >> 4];
    out += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return out;
}

Bytes words(std::initializer_list<uint64_t> values) {
  Bytes out;
  for (const uint64_t value : values) out = std::move(out) + bytes_of(value);
  return out;
}

Bytes text(std::string_view characters) {
  const ByteView view = as_byte_view(characters.data(), characters.size());
  return {view.begin(), view.end()};
}

Bytes repeat(uint8_t byte, size_t count) {
  return Bytes(count, std::byte{byte});
}

Bytes random_bytes(std::mt19937_64& random, size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace sysrewrite::test
