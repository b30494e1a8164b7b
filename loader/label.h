// Places in the assembler, as C++ compares them with rip.
#ifndef SYSREWRITE_LOADER_LABEL_H_
#define SYSREWRITE_LOADER_LABEL_H_

#include <cstddef>
#include <cstdint>

#include "loader/memory.h"

namespace sysrewrite {

inline uint64_t address(const std::byte* label) {
  return Memory::address_of(label).value;
}

inline bool is_between(uint64_t rip, const std::byte* first, const std::byte* end) {
  return rip - address(first) < static_cast<uint64_t>(end - first);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_LABEL_H_
