#include "loader/start/publish.h"

#include <asm/unistd.h>
#include <linux/auxvec.h>
#include <linux/prctl.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kMostEntries = 64;  // the kernel keeps about 30 (AT_VECTOR_SIZE)

}  // namespace

void publish_name(const char* path) {
  const char* last = path;
  for (const char* at = path; *at != 0; ++at)
    if (*at == '/') last = at + 1;
  sys::call(__NR_prctl, PR_SET_NAME, Memory::address_of(last).value);
}

void set_signal_mask(uint64_t mask) {
  constexpr uint64_t kSetMask = 2;
  sys::call(__NR_rt_sigprocmask, kSetMask, Memory::address_of(&mask).value, 0, sizeof(mask));
}

uint64_t current_brk() {
  return static_cast<uint64_t>(sys::call(__NR_brk, 0));
}

void publish_memory_map(const StackView& stack, const SegmentBounds& segments, uint64_t brk,
                        const PublishedHeaders& headers) {
  const StringBounds strings = stack.string_bounds();
  uint64_t copy[2 * kMostEntries];
  RuntimeAddr auxv = stack.auxv();
  if (headers.address != 0 && stack.auxv_size() <= sizeof(copy)) {
    memcpy(copy, Memory::at<const uint64_t>(auxv), stack.auxv_size());
    for (uint64_t i = 0; i < stack.auxv_size() / sizeof(uint64_t); i += 2) {
      if (copy[i] == AT_PHDR) copy[i + 1] = headers.address;
      if (copy[i] == AT_PHNUM) copy[i + 1] = headers.count;
    }
    auxv = Memory::address_of(&copy[0]);
  }
  struct prctl_mm_map map {};
  map.start_code = segments.start_code;
  map.end_code = segments.end_code;
  map.start_data = segments.start_data;
  map.end_data = segments.end_data;
  map.start_brk = map.brk = brk;
  map.start_stack = stack.stack_pointer().value;
  map.arg_start = strings.arg_start.value;
  map.arg_end = strings.arg_end.value;
  map.env_start = strings.env_start.value;
  map.env_end = strings.env_end.value;
  map.auxv = Memory::at<__u64>(auxv);
  map.auxv_size = static_cast<__u32>(stack.auxv_size());
  map.exe_fd = ~0U;  // /proc/PID/exe stays: changing it takes privilege
  // Kernels without CONFIG_CHECKPOINT_RESTORE answer EINVAL, and a sandbox may answer EPERM. The
  // program itself reads the stack and is not concerned: debuggers then see what execve left.
  sys::call(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, Memory::address_of(&map).value, sizeof(map));
}

}  // namespace sysrewrite
