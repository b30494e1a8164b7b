#include "loader/hooks/deny_source.h"

#include <asm/unistd.h>

#include "loader/hooks/deny_policy.h"

namespace sysrewrite::deny {

namespace {

// What the processes of a tree share.
struct Shared {
  uint64_t size_and_one;  // 0: nobody has written yet
  uint64_t reserved;
  char text[kMostPolicyBytes];
};
static_assert(sizeof(Shared) == 65536);

int64_t call(const sysload_api* api, uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
  return api->syscall(number, a, b, c, 0, 0, 0);
}

uint64_t address_of(const void* object) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uintptr_t>(object);
}

[[noreturn]] void cannot_read(sysload_hook* hook, const char* name, int64_t answer) {
  const char* error = hook->api->error_name(answer);
  hook->api->fail(hook, "cannot read %s: %s", name, error != nullptr ? error : "an error");
}

// The whole file into `text`; its size.
uint32_t read_file(sysload_hook* hook, const char* name, char* text) {
  constexpr uint64_t kFlags = 02000000 | 0400;  // O_RDONLY | O_CLOEXEC | O_NOCTTY
  constexpr int64_t kInterrupted = -4;
  const sysload_api* api = hook->api;
  const int64_t fd = call(api, __NR_open, address_of(name), kFlags, 0);
  if (fd < 0) cannot_read(hook, name, fd);
  const auto descriptor = static_cast<uint64_t>(fd);
  uint32_t used = 0;
  for (;;) {
    char more = 0;
    const bool is_full = used == kMostPolicyBytes;
    const int64_t got = call(api, __NR_read, descriptor, address_of(is_full ? &more : text + used),
                             is_full ? 1 : kMostPolicyBytes - used);
    if (got == kInterrupted) continue;
    if (got < 0) cannot_read(hook, name, got);
    if (got == 0) break;
    if (is_full) api->fail(hook, "%s is longer than %u bytes", name, kMostPolicyBytes);
    used += static_cast<uint32_t>(got);
  }
  call(api, __NR_close, descriptor, 0, 0);
  return used;
}

}  // namespace

PolicyText policy_text(sysload_hook* hook, char* name, uint64_t name_size) {
  const sysload_api* api = hook->api;
  const int64_t length = api->option(hook, "policy", name, name_size);
  if (length < 0 || name[0] == 0)
    api->fail(hook,
              length == -36 ? "the policy's name is too long" : "which policy? deny:policy=FILE");
  auto* shared = static_cast<Shared*>(api->share(hook, sizeof(Shared)));
  if (shared == nullptr) shared = static_cast<Shared*>(api->allocate(sizeof(Shared)));
  if (shared == nullptr) api->fail(hook, "no memory for the policy");
  uint64_t size_and_one = __atomic_load_n(&shared->size_and_one, __ATOMIC_ACQUIRE);
  if (size_and_one == 0) {
    size_and_one = uint64_t{read_file(hook, name, shared->text)} + 1;
    __atomic_store_n(&shared->size_and_one, size_and_one, __ATOMIC_RELEASE);
  }
  if (size_and_one > kMostPolicyBytes + 1) api->fail(hook, "the policy was overwritten");
  return {shared->text, static_cast<uint32_t>(size_and_one - 1)};
}

}  // namespace sysrewrite::deny
