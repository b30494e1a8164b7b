// Checked arithmetic and bounds-checked access to little-endian bytes.
//
// Everything in this project that reads a file reads it through these few functions, since every
// byte of an input may be hostile: no offset, count or length is used before one of them has said
// that it lies inside its buffer. They neither allocate nor throw, so the loader uses them too:
// hence the built-in memcpy, which becomes a few moves even in freestanding code, where the
// function's own name stands for a call of it.
#ifndef SYSREWRITE_TRAMPOLINE_BYTES_H_
#define SYSREWRITE_TRAMPOLINE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace sysrewrite {

using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;

inline constexpr uint64_t kPageSize = 4096;

constexpr std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

constexpr std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Rounds up to a multiple of `alignment`, a power of two; nothing where that overflows.
constexpr std::optional<uint64_t> checked_align_up(uint64_t value, uint64_t alignment) {
  const auto sum = checked_add(value, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(alignment - 1);
}

constexpr uint64_t align_down(uint64_t value, uint64_t alignment) {
  return value & ~(alignment - 1);
}

// Wraps where that overflows: for values that were checked, or that are addresses.
constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return align_down(value + alignment - 1, alignment);
}

constexpr bool is_aligned(uint64_t value, uint64_t alignment) {
  return (value & (alignment - 1)) == 0;
}

// True where [offset, offset + length) lies inside [0, size), computed without overflow.
constexpr bool range_fits(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

// The part [offset, offset + length) of a buffer, or nothing where it does not lie inside.
constexpr std::optional<ByteView> slice(ByteView bytes, uint64_t offset, uint64_t length) {
  if (!range_fits(offset, length, bytes.size())) return std::nullopt;
  return bytes.subspan(static_cast<size_t>(offset), static_cast<size_t>(length));
}

// A trivially copyable value at any (also a misaligned) offset, or nothing where it leaves the
// buffer. The machine is little endian, and so are all the formats read here.
template <typename T>
std::optional<T> load(ByteView bytes, uint64_t offset) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (!range_fits(offset, sizeof(T), bytes.size())) return std::nullopt;
  T value;
  __builtin_memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// Stores a value at an offset that the caller has checked; false, and nothing stored, where it
// would leave the buffer.
template <typename T>
bool store(MutableByteView bytes, uint64_t offset, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (!range_fits(offset, sizeof(T), bytes.size())) return false;
  __builtin_memcpy(bytes.data() + offset, &value, sizeof(T));
  return true;
}

inline ByteView as_byte_view(const void* data, size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_BYTES_H_
