#include "bench/heap_peak.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace sysrewrite::bench {

namespace {

// Global, since operator new has nothing to reach a state by.
std::atomic<bool> counting{false};
std::atomic<int64_t> live{0}, peak{0};  // bytes, as malloc rounds them

void note_allocated(void* memory) {
  const int64_t now = live += static_cast<int64_t>(malloc_usable_size(memory));
  for (int64_t before = peak; before < now && !peak.compare_exchange_weak(before, now);) {
  }
}

}  // namespace

void count_heap() {
  counting = true;
}
uint64_t heap_peak() {
  return static_cast<uint64_t>(peak.load());
}

}  // namespace sysrewrite::bench

void* operator new(std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-no-malloc): this is the allocator
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  if (sysrewrite::bench::counting) sysrewrite::bench::note_allocated(memory);
  return memory;
}

void operator delete(void* memory) noexcept {
  if (sysrewrite::bench::counting && memory != nullptr)
    sysrewrite::bench::live -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);  // NOLINT(cppcoreguidelines-no-malloc): see above
}

void operator delete(void* memory, std::size_t /*size*/) noexcept {
  operator delete(memory);
}
