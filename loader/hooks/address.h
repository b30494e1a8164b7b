// Addresses in the words of a system call, and back. The one place in the hooks where one is made
// of the other.
#ifndef SYSREWRITE_LOADER_HOOKS_ADDRESS_H_
#define SYSREWRITE_LOADER_HOOKS_ADDRESS_H_

#include <cstdint>

namespace sysrewrite {

inline uint64_t word(const void* pointer) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uint64_t>(pointer);
}

template <typename T>
T* at_word(uint64_t address) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast, performance-no-int-to-ptr)
  return reinterpret_cast<T*>(address);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_ADDRESS_H_
