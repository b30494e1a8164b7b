#include "loader/serve.h"

#include <asm/unistd.h>
#include <linux/mman.h>

#include "loader/memory.h"
#include "loader/objects.h"
#include "loader/state.h"
#include "loader/syscalls.h"

namespace sysrewrite {

extern "C" {
alignas(SYSLOAD_PAGE_SIZE) [[gnu::visibility(
    "hidden")]] uint32_t sysload_serve_lock[SYSLOAD_PAGE_SIZE / sizeof(uint32_t)]{};
alignas(16) [[gnu::visibility("hidden")]] std::byte sysload_serve_stack[SYSLOAD_SERVE_STACK_SIZE]{};
}

namespace {

constexpr uint64_t kPass = 0, kAnswered = 1;

uint64_t serve_mmap(CallFrame& call) {
  const uint64_t flags = call.r10;
  if ((flags & MAP_ANONYMOUS) != 0 || (flags & MAP_TYPE) != MAP_PRIVATE) return kPass;
  const auto protection = static_cast<uint32_t>(call.rdx);
  const auto fd = static_cast<int32_t>(call.r8);
  const bool fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
  int64_t answer = 0;
  bool served = false;
  // ld.so's first mapping of a library goes anywhere, from the file's start. The others go into what
  // that one has reserved, and only code is of interest.
  if (!fixed && call.r9 == 0) {
    served = map_library({call.rdi, call.rsi, protection, flags, fd}, &answer);
  } else if (fixed && (protection & PROT_EXEC) != 0) {
    served = map_code({call.rdi}, call.rsi, protection, flags, fd, call.r9, &answer);
  }
  if (!served) return kPass;
  call.rax = static_cast<uint64_t>(answer);
  return kAnswered;
}

}  // namespace

extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_serve(CallFrame* call) {
  switch (call->rax) {
    case __NR_mmap: return serve_mmap(*call);
    case __NR_munmap: forget_libraries({call->rdi}, call->rsi); return kPass;
    default: return kPass;
  }
}

void prepare_serving(RuntimeAddr callback) {
  sysload_state.callback = callback.value;
  sysload_state.objects_low = UINT64_MAX;
  // Where the kernel does not know the advice (before 4.14), a fork of a program whose threads are
  // opening libraries at that moment may leave the child waiting: there is nothing better to do.
  sys::call(__NR_madvise, Memory::address_of(&sysload_serve_lock[0]).value, SYSLOAD_PAGE_SIZE,
            MADV_WIPEONFORK);
}

}  // namespace sysrewrite
