#include "loader/hook_output.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "loader/client.h"
#include "loader/memory.h"
#include "loader/report.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "hook";

uint32_t index_of(const sysload_hook* hook) {
  const HookSet& hooks = *sysload_state.hooks;
  for (uint32_t i = 0; i < hooks.count; ++i)
    if (&hooks.loaded[i].hook == hook) return i;
  return hooks.count;
}

sys::Fd open_output(const LoadedHook& loaded, uint32_t flags) {
  constexpr uint64_t kMode = 0666;
  return sys::call(__NR_openat, static_cast<uint64_t>(AT_FDCWD),
                   Memory::address_of(&loaded.output[0]).value,
                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | flags, kMode);
}

void write_all(sys::Fd fd, const char* text, uint64_t size) {
  for (uint64_t done = 0; done < size;) {
    const int64_t answer = sys::write(fd, text + done, size - done);
    if (answer == -EINTR) continue;
    if (answer == -EAGAIN && sys::wait_until_writable(fd)) continue;
    if (answer <= 0) return;  // nobody to tell
    done += static_cast<uint64_t>(answer);
  }
}

}  // namespace

const char* name_of_hook(const sysload_hook* hook) {
  const uint32_t index = index_of(hook);
  return index < sysload_state.hooks->count ? sysload_state.hooks->loaded[index].name : "(unknown)";
}

void emit_text(const sysload_hook* hook, const char* text, uint64_t size) {
  const uint32_t index = index_of(hook);
  if (index >= sysload_state.hooks->count) return;
  const LoadedHook& loaded = sysload_state.hooks->loaded[index];
  if (loaded.output[0] != 0) {
    const sys::Fd fd = open_output(loaded, 0);
    if (sys::failed(fd)) return;
    write_all(fd, text, size);
    sys::close(fd);
    return;
  }
  write_all(kStandardError, text, size);
}

void* share_memory(const sysload_hook* hook, uint64_t size) {
  static_cast<void>(hook);
  const uint32_t protection = sys::kRead | sys::kWrite;
  const int64_t start = sys::map_anonymous(0, size, sys::kNoAccess);
  if (sys::failed(start)) return nullptr;
  const int64_t shared = sys::replace_shared({static_cast<uint64_t>(start)}, size, protection);
  return sys::failed(shared) ? nullptr : Memory::at<char>({static_cast<uint64_t>(shared)});
}

void empty_outputs() {
  HookSet& hooks = *sysload_state.hooks;
  for (uint32_t i = 0; i < hooks.count; ++i) {
    const LoadedHook& loaded = hooks.loaded[i];
    if (loaded.output[0] == 0) continue;
    const sys::Fd fd = open_output(loaded, O_TRUNC);
    if (sys::failed(fd))
      fail_errno(fd, kPhase, loaded.name, ": cannot write ",
                 static_cast<const char*>(loaded.output));
    sys::close(fd);
  }
}

}  // namespace sysrewrite
