#include "loader/serve/serve.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include <algorithm>
#include <cstring>

#include "loader/engine/foreign_threads.h"
#include "loader/memory.h"
#include "loader/serve/exe_link.h"
#include "loader/serve/follow.h"
#include "loader/serve/job.h"
#include "loader/serve/leaving.h"
#include "loader/serve/objects.h"
#include "loader/serve/own_exe.h"
#include "loader/serve/program_memory.h"
#include "loader/state.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kPass = 0, kAnswered = 1;

static_assert(offsetof(CallFrame, rbx) == SYSLOAD_FRAME_RBX);
static_assert(offsetof(CallFrame, flags) == SYSLOAD_FRAME_FLAGS);
static_assert(offsetof(CallFrame, mask) == SYSLOAD_FRAME_MASK);
static_assert(offsetof(CallFrame, r9) == SYSLOAD_FRAME_R9);
static_assert(offsetof(CallFrame, r8) == SYSLOAD_FRAME_R8);
static_assert(offsetof(CallFrame, r10) == SYSLOAD_FRAME_R10);
static_assert(offsetof(CallFrame, rdx) == SYSLOAD_FRAME_RDX);
static_assert(offsetof(CallFrame, rsi) == SYSLOAD_FRAME_RSI);
static_assert(offsetof(CallFrame, rdi) == SYSLOAD_FRAME_RDI);
static_assert(offsetof(CallFrame, rax) == SYSLOAD_FRAME_RAX);
static_assert(offsetof(CallFrame, tail) == SYSLOAD_FRAME_TAIL);
static_assert(sizeof(CallFrame) == SYSLOAD_FRAME_SIZE);

bool is_interpreters(const CallFrame& call) {
  return call.tail - sysload_state.interpreter_stubs.value < sysload_state.interpreter_stubs_size;
}

uint64_t serve_mmap(CallFrame& call) {
  const uint64_t flags = call.r10;
  if (flags == (MAP_PRIVATE | MAP_ANONYMOUS) && call.rdi == 0 && call.rdx == PROT_NONE &&
      is_interpreters(call)) {
    call.rax = static_cast<uint64_t>(reserve_more(call.rsi));
    return kAnswered;
  }
  if ((flags & MAP_ANONYMOUS) != 0 || (flags & MAP_TYPE) != MAP_PRIVATE) return kPass;
  const auto protection = static_cast<uint32_t>(call.rdx);
  const auto fd = static_cast<int32_t>(call.r8);
  const bool fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
  int64_t answer = 0;
  bool served = false;
  // ld.so's first mapping of a library goes anywhere, from the file's start. The others go into
  // what that one has reserved, and only code is of interest.
  if (!fixed && call.r9 == 0) {
    // glibc's mmap is no part of its ld.so, and only that passes this flag, which does nothing.
    // That of musl is one for all.
    const bool by_interpreter = (flags & MAP_DENYWRITE) != 0 && is_interpreters(call);
    served = map_library({call.rdi, call.rsi, protection, flags, fd, by_interpreter}, &answer);
  } else if (fixed && call.r9 == 0 && (protection & PROT_EXEC) == 0) {
    await_room({call.rdi}, call.rsi, fd);
  } else if (fixed && (protection & PROT_EXEC) != 0) {
    served = map_code({{call.rdi}, call.rsi, protection, flags, fd, call.r9, is_interpreters(call)},
                      &answer);
  }
  if (!served) {
    const bool is_foreign = (protection & PROT_EXEC) != 0 && !is_rewritten_code({call.rdi});
    if (is_foreign) expect_native_file();
    return kPass;
  }
  call.rax = static_cast<uint64_t>(answer);
  return kAnswered;
}

uint64_t serve_munmap(CallFrame& call) {
  int64_t answer = 0;
  if (room_was_made({call.rdi}, call.rsi, &answer)) {
    call.rax = static_cast<uint64_t>(answer);
    return kAnswered;
  }
  sysload_state.prepared.size = 0;
  if (!holds_library_code({call.rdi}, call.rsi)) return kPass;
  // The call's frame is needed afterwards, and may lie on a stack that is given back as well.
  const uint64_t frame = Memory::address_of(&call).value;
  if (frame + sizeof(call) > call.rdi && frame < call.rdi + call.rsi) return kPass;
  // The kernel may refuse it, and then the library is still there.
  answer = sys::call(__NR_munmap, call.rdi, call.rsi);
  if (!sys::failed(answer)) forget_libraries({call.rdi}, call.rsi);
  call.rax = static_cast<uint64_t>(answer);
  return kAnswered;
}

uint64_t serve_exec(CallFrame& call, const ExecRequest& request) {
  int64_t answer = 0;
  const bool concerned = sysload_state.follow || sysload_state.exe_size != 0;
  if (!concerned || !follow_exec(request, &answer)) return kPass;
  call.rax = static_cast<uint64_t>(answer);
  return kAnswered;
}

// As a command sysload is what the kernel executed. The links that name it are read as the
// program's name.
uint64_t serve_readlink(CallFrame& call, int32_t directory, uint64_t path, uint64_t buffer,
                        uint64_t size) {
  char name[64], own[kOwnPath];
  if (sysload_state.exe_size == 0 || static_cast<int32_t>(size) <= 0) return kPass;
  if (read_program_string(path, name, sizeof(name)) < 0 || !is_exe_link(directory, name))
    return kPass;
  int64_t answer = -ENOENT;
  if (read_own_exe(own)) {
    const uint64_t length = std::min<uint64_t>(static_cast<uint32_t>(size), strlen(own));
    answer = write_program(buffer, as_byte_view(own, static_cast<size_t>(length)));
    if (!sys::failed(answer)) answer = static_cast<int64_t>(length);
  }
  call.rax = static_cast<uint64_t>(answer);
  return kAnswered;
}

}  // namespace

bool may_be_served(uint64_t number) {
  switch (number) {
    case __NR_mmap:
    case __NR_munmap:
    case __NR_readlink:
    case __NR_readlinkat:
    case __NR_execve:
    case __NR_execveat:
    case __NR_setpgid:
      return true;
    default:
      return may_leave(number) || may_close_door(number);
  }
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_serve(CallFrame* call) {
  const auto number = static_cast<uint32_t>(call->rax);  // the kernel looks at no more
  switch (number) {
    case __NR_mmap:
      return serve_mmap(*call);
    case __NR_munmap:
      return serve_munmap(*call);
    case __NR_execve:
      return serve_exec(*call, {AT_FDCWD, call->rdi, call->rsi, call->rdx, 0, call->mask});
    case __NR_execveat:
      return serve_exec(*call, {static_cast<int32_t>(call->rdi), call->rsi, call->rdx, call->r10,
                                call->r8, call->mask});
    case __NR_setpgid: {
      int64_t answer = 0;
      if (!serve_setpgid(call->rdi, call->rsi, &answer)) return kPass;
      call->rax = static_cast<uint64_t>(answer);
      return kAnswered;
    }
    case __NR_readlink:
      return serve_readlink(*call, AT_FDCWD, call->rdi, call->rsi, call->rdx);
    case __NR_readlinkat:
      return serve_readlink(*call, static_cast<int32_t>(call->rdi), call->rsi, call->rdx,
                            call->r10);
    default: {
      if (serve_leaving(call)) return kAnswered;
      int64_t answer = 0;
      const uint64_t asked[] = {call->rdi, call->rsi, call->rdx, call->r10, call->r8, call->r9};
      if (!serve_own_exe(number, asked, &answer)) return kPass;
      call->rax = static_cast<uint64_t>(answer);
      return kAnswered;
    }
  }
}

// From serve.S. Where calls go through hook_call.cc, who comes here is a thread without a block.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_serve_frame(CallFrame* call) {
  if (!sysload_state.has_engine) return sysload_serve(call);
  adopt_caller(call);
  return kAnswered;
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
