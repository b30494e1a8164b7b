// The code for one site. The bytes are drawn in stub.cc; docs/design.md tells why they are so.
#ifndef SYSREWRITE_TRAMPOLINE_STUB_H_
#define SYSREWRITE_TRAMPOLINE_STUB_H_

#include <array>
#include <cstdint>
#include <optional>

#include "trampoline/address.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

enum class StubKind { kRedzone, kPlain };

// The fixed part of a stub, between the displaced instructions before the syscall and those behind.
struct StubCore {
  std::array<std::byte, 64> bytes{};
  uint8_t size = 0;
  uint8_t resume = 0;  // offset from the core's start, which is `enter`
};

// Bytes that make_stub_core() will need: 44 for a redzone stub with native tail.
uint8_t stub_core_size(StubKind kind, bool native_tail);

// Encodes the core. `enter` is where it will lie, `slot` the slot, `after_syscall` the address
// behind the original syscall instruction, which a program finds in rcx afterwards. Nothing where
// one of them is out of the reach of 32 bits.
std::optional<StubCore> make_stub_core(StubKind kind, bool native_tail, Vaddr enter, Vaddr slot,
                                       Vaddr after_syscall);

// `jmp rel32` at `from`; nothing where `to` is out of reach.
std::optional<std::array<std::byte, 5>> make_jump(Vaddr from, Vaddr to);

// `jmp rel8` at `from`; nothing where `to` is out of reach.
std::optional<std::array<std::byte, 2>> make_short_jump(Vaddr from, Vaddr to);

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_STUB_H_
