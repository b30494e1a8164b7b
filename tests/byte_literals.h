// Bytes as a test writes them down: hex with spaces, words, text; and any bytes.
#ifndef SYSREWRITE_TESTS_BYTE_LITERALS_H_
#define SYSREWRITE_TESTS_BYTE_LITERALS_H_

#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "trampoline/bytes.h"

namespace sysrewrite::test {

using Bytes = std::vector<std::byte>;

// "0f 05 c3": two hex digits a byte, spaces anywhere between them. Aborts on anything else.
Bytes hex(std::string_view text);

// The inverse, one space between bytes: what a failed comparison prints.
std::string to_hex(ByteView bytes);

// Little-endian 64-bit words.
Bytes words(std::initializer_list<uint64_t> values);

// The characters, without a NUL.
Bytes text(std::string_view characters);

// `count` times the same byte.
Bytes repeat(uint8_t byte, size_t count);

// Any bytes, the same ones each time from a generator with the same seed.
Bytes random_bytes(std::mt19937_64& random, size_t size);

Bytes operator+(Bytes left, const Bytes& right);

template <typename T>
Bytes bytes_of(const T& value) {
  const ByteView view = as_byte_view(&value, sizeof(value));
  return {view.begin(), view.end()};
}

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_BYTE_LITERALS_H_
