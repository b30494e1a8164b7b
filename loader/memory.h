// The one place where sysload turns addresses into pointers and back.
//
// A loader reads and writes memory that no C++ object of its own declares: the block that execve
// built, segments that were just mapped. Everything that does so goes through this class, so that a
// reader who looks for the unsafe part of the loader finds it here.
#ifndef SYSREWRITE_LOADER_MEMORY_H_
#define SYSREWRITE_LOADER_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "trampoline/address.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

class Memory {
 public:
  // A T at an address that the caller knows to be mapped, aligned and of that type.
  template <typename T>
  static T* at(RuntimeAddr address) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr,cppcoreguidelines-pro-type-reinterpret-cast)
    return reinterpret_cast<T*>(address.value);
  }

  template <typename T>
  static RuntimeAddr address_of(const T* object) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    return {reinterpret_cast<uintptr_t>(object)};
  }

  static ByteView view(RuntimeAddr address, uint64_t size) {
    return {at<const std::byte>(address), static_cast<size_t>(size)};
  }
  static MutableByteView bytes(RuntimeAddr address, uint64_t size) {
    return {at<std::byte>(address), static_cast<size_t>(size)};
  }
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_MEMORY_H_
