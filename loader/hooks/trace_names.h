// Names of flags and values, packed: no table here may hold a pointer, which would need a
// relocation.
//
//     +--------------------+--------------------------------+-----+---+
//     | "O_???" NUL        | value (LEB128) "CREAT" NUL     | ... | 0 | NUL
//     +--------------------+--------------------------------+-----+---+
//
// The first string is what stands for an unknown value. What comes before its question marks is the
// prefix of most names, and is left out of them; a name without it begins with '='. The empty name
// ends the set. packed_names() makes this out of readable rows while compiling.
#ifndef LOADER_HOOKS_TRACE_NAMES_H_
#define LOADER_HOOKS_TRACE_NAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "loader/hooks/trace_line.h"

namespace sysrewrite::trace {

struct Name {
  uint64_t value;
  const char* name;
};

// Of 32 bits, and wide ones of 64.
enum class NameStyle : uint8_t { kFlags, kWideFlags, kValue, kWideValue };

template <size_t size>
struct PackedNames {
  char bytes[size];
};

namespace packing {

constexpr size_t length(const char* text) {
  size_t i = 0;
  while (text[i] != 0) ++i;
  return i;
}

constexpr size_t prefix_length(const char* unknown) {
  size_t i = 0;
  while (unknown[i] != 0 && unknown[i] != '?') ++i;
  return i;
}

constexpr bool has_prefix(const char* name, const char* prefix, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (name[i] != prefix[i]) return false;
  return true;
}

// Writes the set, or only counts its bytes where `to` is null.
template <size_t count>
constexpr size_t write(const char* unknown, const std::array<Name, count>& names, char* to) {
  size_t at = 0;
  const auto put = [&](unsigned byte) {
    if (to != nullptr) to[at] = static_cast<char>(byte);
    ++at;
  };
  for (size_t i = 0; unknown[i] != 0; ++i) put(static_cast<unsigned char>(unknown[i]));
  put(0);
  const size_t prefix = prefix_length(unknown);
  for (const Name& name : names) {
    for (uint64_t rest = name.value;; rest >>= 7) {
      put(static_cast<unsigned>(rest & 127) | (rest > 127 ? 128 : 0));
      if (rest <= 127) break;
    }
    const bool shortened = prefix > 0 && has_prefix(name.name, unknown, prefix);
    if (!shortened) put('=');
    for (size_t i = shortened ? prefix : 0; name.name[i] != 0; ++i)
      put(static_cast<unsigned char>(name.name[i]));
    put(0);
  }
  put(0);
  put(0);
  return at;
}

}  // namespace packing

// `List` returns the array: being a type, it can be asked again for each of the two passes.
template <class List>
consteval auto packed_names(List /*list*/) {
  constexpr auto list = List{}();
  PackedNames<packing::write(list.unknown, list.names, nullptr)> result{};
  packing::write(list.unknown, list.names, result.bytes);
  return result;
}

template <size_t count>
struct NameList {
  const char* unknown;
  std::array<Name, count> names;
};

// A set that is being printed from.
class Names {
 public:
  template <size_t size>
  explicit Names(const PackedNames<size>& packed) : bytes_(packed.bytes) {}

  // The name of a value; otherwise the number, and in a comment what it should have been.
  void value(Line& line, uint64_t value) const;
  // "A|B|0x80". Nothing set is the name for 0, or "0". What no name covers comes last.
  void flags(Line& line, uint64_t value) const;
  // Only the names, each but the first behind a bar; returns the bits that they do not cover.
  // `first` is cleared once something was written.
  uint64_t known_flags(Line& line, uint64_t value, bool& first) const;
  bool has(uint64_t value) const;

 private:
  struct Entry;
  bool next(const char*& at, Entry& entry) const;
  bool find(uint64_t value, Entry& entry) const;
  void print(Line& line, const Entry& entry) const;
  const char* entries() const;

  const char* bytes_;
};

#define NAMES(kind, style, what, ...)                                          \
  inline constexpr auto kNamesOf##kind = packed_names([] {                     \
    constexpr Name names[] = {__VA_ARGS__};                                    \
    return NameList<sizeof(names) / sizeof(Name)>{what, std::to_array(names)}; \
  });
#include "loader/hooks/trace_names.inc"
#undef NAMES

}  // namespace sysrewrite::trace

#endif  // LOADER_HOOKS_TRACE_NAMES_H_
