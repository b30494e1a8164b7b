// The address spaces that meet in a rewriter, each a type of its own, so that the compiler refuses
// to add a file offset to an address. Crossing from one to another is one class's work (AddressMap
// in the rewriter, MappedImage in the loader).
#ifndef SYSREWRITE_TRAMPOLINE_ADDRESS_H_
#define SYSREWRITE_TRAMPOLINE_ADDRESS_H_

#include <compare>
#include <cstdint>
#include <optional>

namespace sysrewrite {

template <typename Tag>
struct Address {
  uint64_t value = 0;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the comparison with 0 inside it.
  constexpr auto operator<=>(const Address&) const = default;
  // Addresses wrap: a trampoline below the first segment of an ET_DYN image has a "negative" one,
  // and the load bias, which wraps as well, makes it whole again.
  constexpr Address operator+(uint64_t delta) const { return {value + delta}; }
  constexpr Address operator-(uint64_t delta) const { return {value - delta}; }
  constexpr int64_t operator-(Address other) const {
    return static_cast<int64_t>(value - other.value);
  }
};

using FileOffset = Address<struct FileOffsetTag>;    // byte offset in a file
using Vaddr = Address<struct VaddrTag>;              // p_vaddr space, before the load bias
using StubOffset = Address<struct StubOffsetTag>;    // from the start of the trampoline
using RuntimeAddr = Address<struct RuntimeAddrTag>;  // in a process: vaddr + load bias

// The displacement of a near jump, call or RIP-relative operand.
struct Rel32 {
  int32_t value = 0;

  // From the end of the instruction to the target; nothing beyond +-2 GiB.
  // Source: Intel SDM vol. 2, "JMP" (rel32), and vol. 1, 3.7.5.1 (RIP-relative addressing).
  static constexpr std::optional<Rel32> between(Vaddr next_ip, Vaddr target) {
    const int64_t delta = target - next_ip;
    if (delta < INT32_MIN || delta > INT32_MAX) return std::nullopt;
    return Rel32{static_cast<int32_t>(delta)};
  }
};

// The displacement of a short jump.
struct Rel8 {
  int8_t value = 0;

  static constexpr std::optional<Rel8> between(Vaddr next_ip, Vaddr target) {
    const int64_t delta = target - next_ip;
    if (delta < INT8_MIN || delta > INT8_MAX) return std::nullopt;
    return Rel8{static_cast<int8_t>(delta)};
  }
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_ADDRESS_H_
