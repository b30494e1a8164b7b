#include "loader/engine/hook_output.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "loader/memory.h"
#include "loader/quiet_write.h"
#include "loader/report.h"
#include "loader/serve/client.h"
#include "loader/state.h"
#include "loader/thread_block.h"
#include "trampoline/output_ring.h"

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

// What is not written is counted, and told at the end.
void lose(LoadedHook* loaded, int64_t error) {
  __atomic_fetch_add(&loaded->lost, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&loaded->lost_by, error, __ATOMIC_RELAXED);
}

void write_or_lose(LoadedHook* loaded, sys::Fd fd, const char* text, uint64_t size) {
  const int64_t error = sys::failed(fd) ? fd : write_quietly(fd, text, size);
  if (error != 0) lose(loaded, error);
}

FileIdentity file_of(sys::Fd fd) {
  // Source: linux, arch/x86/include/uapi/asm/stat.h, struct stat.
  uint64_t status[18] = {};
  if (sys::failed(
          sys::call(__NR_fstat, static_cast<uint64_t>(fd), Memory::address_of(&status[0]).value)))
    return {};
  return {status[0], status[1]};
}

// By now the descriptor may be that of a file of the program's.
bool is_standard_error_there() {
  const FileIdentity& file = sysload_state.hooks->error_file;
  return file.inode != 0 && file == file_of(kStandardError);
}

// A hook that says something lives, and so does one that waits for the reader.
void show_life(OutputRing& ring) {
  const uint32_t watched = own_block()->watched;
  if (watched == 0) return;
  uint64_t& said = ring.watched[watched - 1].said;
  __atomic_store_n(&said, said + 1, __ATOMIC_RELAXED);
}

// Waits for a reader who is slow; false where there is none any more.
bool promise_room(OutputRing& ring, uint64_t length, uint64_t* at) {
  constexpr uint64_t kMillisecond = 1000000;
  while (ring.has_reader()) {
    show_life(ring);
    if (ring.reserve(length, at)) return true;
    const uint64_t pause[2] = {0, kMillisecond};
    sys::call(__NR_nanosleep, Memory::address_of(&pause[0]).value);
  }
  return false;
}

// A reader who has ended has said which processes he leaves (hook_memory.cc); of one who was killed
// it is told at the end, as of other output that is lost.
void write_to_ring(OutputRing& ring, LoadedHook* loaded, uint32_t index, const char* text,
                   uint64_t size) {
  constexpr uint64_t kFutexWake = 1;
  for (uint64_t done = 0; done < size;) {
    const uint64_t part = size - done < kMostRecord ? size - done : kMostRecord;
    uint64_t at = 0;
    if (!promise_room(ring, part, &at)) {
      if (!ring.is_closed()) lose(loaded, -EPIPE);
      return;
    }
    if (ring.commit(at, index, text + done, part))
      sys::call(__NR_futex, Memory::address_of(&ring.bell).value, kFutexWake, 1);
    done += part;
  }
}

}  // namespace

void watch_thread(ThreadBlock* block) {
  block->watched = 0;
  OutputRing* const ring = sysload_state.hooks->ring;
  if (ring == nullptr) return;
  for (uint32_t i = 0; i < kMostWatched; ++i) {
    const uint32_t at = (block->tid + i) % kMostWatched;
    WatchedThread& entry = ring->watched[at];
    uint32_t nobody = 0;
    if (!__atomic_compare_exchange_n(&entry.pid, &nobody, sys::pid(), false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
      continue;
    entry.tid = block->tid;
    entry.call = Memory::address_of(&block->call).value;
    block->watched = at + 1;
    return;
  }
}

void forget_thread(ThreadBlock* block) {
  if (block->watched == 0) return;
  __atomic_store_n(&sysload_state.hooks->ring->watched[block->watched - 1].pid, 0,
                   __ATOMIC_RELAXED);
  block->watched = 0;
}

void expect_fork() {
  OutputRing* const ring = sysload_state.hooks->ring;
  if (ring != nullptr) __atomic_fetch_add(&ring->forking, 1, __ATOMIC_SEQ_CST);
}

void finish_fork() {
  OutputRing* const ring = sysload_state.hooks->ring;
  if (ring != nullptr) __atomic_fetch_sub(&ring->forking, 1, __ATOMIC_SEQ_CST);
}

const char* name_of_hook(const sysload_hook* hook) {
  const uint32_t index = index_of(hook);
  return index < sysload_state.hooks->count ? sysload_state.hooks->loaded[index].name : "(unknown)";
}

void prepare_output() {
  HookSet& hooks = *sysload_state.hooks;
  if (const sys::Fd fd = ask_for_ring(); fd >= 0) {
    const int64_t at = sys::map_shared(sizeof(OutputRing), sys::kRead | sys::kWrite, fd);
    sys::close(fd);
    if (!sys::failed(at)) hooks.ring = Memory::at<OutputRing>({static_cast<uint64_t>(at)});
  }
  hooks.error_file = file_of(kStandardError);
}

void emit_text(const sysload_hook* hook, const char* text, uint64_t size) {
  HookSet& hooks = *sysload_state.hooks;
  const uint32_t index = index_of(hook);
  if (index >= hooks.count || size == 0) return;
  LoadedHook& loaded = hooks.loaded[index];
  if (hooks.ring != nullptr) return write_to_ring(*hooks.ring, &loaded, index, text, size);
  if (loaded.output[0] != 0) {
    const sys::Fd fd = open_output(loaded, 0);
    write_or_lose(&loaded, fd, text, size);
    if (!sys::failed(fd)) sys::close(fd);
    return;
  }
  if (is_standard_error_there()) write_or_lose(&loaded, kStandardError, text, size);
}

void tell_of_lost_output() {
  HookSet& hooks = *sysload_state.hooks;
  for (uint32_t i = 0; i < hooks.count; ++i) {
    const LoadedHook& loaded = hooks.loaded[i];
    if (loaded.lost == 0 || !is_standard_error_there()) continue;
    const char* error = error_name(loaded.lost_by);
    char line[kHookSpecSize + 128];
    const auto& format = hook_api()->format;
    const uint64_t size = format(
        line, sizeof(line), "sysload: hook: %s: %lu pieces of its output were lost: %s\n",
        loaded.name, static_cast<unsigned long>(loaded.lost), error == nullptr ? "?" : error);
    write_quietly(kStandardError, line, size);
  }
}

void forget_lost_output() {
  HookSet& hooks = *sysload_state.hooks;
  for (uint32_t i = 0; i < hooks.count; ++i) hooks.loaded[i].lost = 0;
}

void* share_memory(const sysload_hook* hook, uint64_t size) {
  const uint32_t protection = sys::kRead | sys::kWrite;
  const sys::Fd fd = ask_for_share(index_of(hook), size);
  if (fd >= 0) {
    const int64_t at = sys::map_shared(size, protection, fd);
    sys::close(fd);
    return sys::failed(at) ? nullptr : Memory::at<char>({static_cast<uint64_t>(at)});
  }
  const int64_t start = sys::map_anonymous(0, size, sys::kNoAccess);
  if (sys::failed(start)) return nullptr;
  const int64_t shared = sys::replace_shared({static_cast<uint64_t>(start)}, size, protection);
  return sys::failed(shared) ? nullptr : Memory::at<char>({static_cast<uint64_t>(shared)});
}

void empty_outputs() {
  HookSet& hooks = *sysload_state.hooks;
  for (uint32_t i = 0; i < hooks.count && hooks.ring == nullptr; ++i) {
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
