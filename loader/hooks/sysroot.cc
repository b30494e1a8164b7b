// The `sysroot` hook: the files of one directory stand before the host's.
//
// Every path that a call takes is looked for below the directory (sysroot_walk.h), and where it is
// there, or is to be created there, the call gets the host's name of it instead, in memory of ours.
// What the kernel says of where the program is, getcwd and the links below /proc, has the
// directory's name taken off.
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/hooks.h"
#include "loader/hooks/option_list.h"
#include "loader/hooks/sysroot_state.h"

namespace sysrewrite {

namespace {

SysrootView view_of(sysload_hook* hook, sysload_thread* thread) {
  return {*hook->api, *static_cast<SysrootState*>(hook->data),
          *static_cast<SysrootThread*>(thread->data)};
}

// --- what the kernel says ---

// The kernel's answer, without the sysroot's name. False where the directory is another one.
bool answer_getcwd(const SysrootView& view, sysload_call& call) {
  char name[kNameBytes];
  const int64_t got = view.api.syscall(__NR_getcwd, word(name), sizeof(name), 0, 0, 0, 0);
  if (got <= 1) return false;
  uint32_t size = 0;
  const char* inside = view.root().inside(name, static_cast<uint32_t>(got - 1), &size);
  if (inside == nullptr) return false;
  char answer[kNameBytes];
  memcpy(answer, inside, size);
  answer[size] = 0;
  call.result = size + 1;
  if (call.argument[1] <= size) {
    call.result = -ERANGE;
  } else if (view.api.write(call.argument[0], answer, size + 1) != 0) {
    call.result = -EFAULT;
  }
  return true;
}

// A link of /proc is read into memory of ours, since what the kernel says is longer than what the
// program is told, and would stand behind that in the program's memory. scratch: where, and the
// program's buffer and its size.
void read_link_aside(const SysrootView& view, sysload_call& call) {
  const bool is_at = static_cast<uint32_t>(call.number) == __NR_readlinkat;
  uint64_t& buffer = call.argument[is_at ? 2 : 1];
  uint64_t& room = call.argument[is_at ? 3 : 2];
  call.scratch[0] = 0;
  if (static_cast<int32_t>(room) <= 0) return;  // the kernel says so
  void* const memory = view.api.call_memory(&call, kNameBytes);
  if (memory == nullptr) return;
  call.scratch[0] = word(memory);
  call.scratch[1] = buffer;
  call.scratch[2] = static_cast<uint32_t>(room);
  buffer = word(memory);
  room = kNameBytes;
}

// Without the sysroot's name.
void hand_link_over(const SysrootView& view, sysload_call& call) {
  if (call.result < 0) return;
  const char* text = at_word<const char>(call.scratch[0]);
  auto size = static_cast<uint32_t>(call.result);
  uint32_t size_inside = 0;
  const char* inside = view.root().inside(text, size, &size_inside);
  if (inside != nullptr) text = inside, size = size_inside;
  if (size > call.scratch[2]) size = static_cast<uint32_t>(call.scratch[2]);
  call.result = view.api.write(call.scratch[1], text, size) == 0 ? int64_t{size} : -EFAULT;
}

void leave(const SysrootView& view) {
  const auto pid = static_cast<uint64_t>(view.api.syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
  if (pid == view.state.pid) {
    view.state.left = true;
  } else {
    view.thread.left = 1;
  }
}

// --- the hook ---

enum sysload_verdict entry(sysload_hook* hook, sysload_thread* thread, sysload_call* call) {
  const SysrootView view = view_of(hook, thread);
  if (view.state.left || view.thread.left != 0) return SYSLOAD_PASS;
  const auto number = static_cast<uint32_t>(call->number);
  if (number == __NR_getcwd) return answer_getcwd(view, *call) ? SYSLOAD_ANSWER : SYSLOAD_PASS;
  const PathCall* row = path_call(number, call->argument);
  if (row == nullptr) return SYSLOAD_PASS;
  const uint8_t name = row->slot[0].name;
  const uint64_t given = name == kNoArgument ? 0 : call->argument[name];
  for (uint32_t i = 0; i < 2; ++i) {
    if (row->slot[i].use == PathUse::kNothing) continue;
    const int64_t error = translate(view, *call, *row, i);
    if (error == 0) continue;
    call->result = error;
    return SYSLOAD_ANSWER;
  }
  if (call->scratch[0] != 0) read_link_aside(view, *call);
  if (row->slot[0].use == PathUse::kExecute) use_script_interpreter(view, *call, given);
  return SYSLOAD_PASS;
}

void exit_of(sysload_hook* hook, sysload_thread* thread, sysload_call* call) {
  const SysrootView view = view_of(hook, thread);
  if (static_cast<uint32_t>(call->number) == __NR_chroot) {
    if (call->result == 0) leave(view);
  } else if (call->scratch[0] != 0) {
    hand_link_over(view, *call);
  }
}

void forked(sysload_hook* hook, sysload_thread* thread) {
  const SysrootView view = view_of(hook, thread);
  view.state.pid = static_cast<uint64_t>(view.api.syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
  if (view.thread.left != 0) view.state.left = true;
  view.thread.left = 0;
}

void want(sysload_hook* hook) {
  for (uint32_t i = 0; i < path_call_count(); ++i) {
    const PathCall& row = path_call_at(i);
    const PathForm form = row.slot[0].form;
    if (form == PathForm::kString || form == PathForm::kSocket)
      sysload_want_entry(hook, row.number);
  }
  sysload_want_entry(hook, __NR_getcwd);
  sysload_want_exit(hook, __NR_readlink);
  sysload_want_exit(hook, __NR_readlinkat);
  sysload_want_exit(hook, __NR_chroot);
}

// The directory's own name, without links: of what the kernel calls it, once it is open.
void find_directory(sysload_hook* hook, SysrootShared* shared, const char* given) {
  const sysload_api& api = *hook->api;
  const int64_t opened =
      api.syscall(__NR_open, word(given), O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0, 0, 0);
  if (opened < 0)
    api.fail(hook, "root=%s: expected a directory, found %s", given, api.error_name(opened));
  const int64_t got =
      name_of_descriptor(api, static_cast<int32_t>(opened), shared->name, sizeof(shared->name) - 1);
  api.syscall(__NR_close, static_cast<uint64_t>(opened), 0, 0, 0, 0, 0);
  if (got < 0) api.fail(hook, "root=%s: no name in /proc/self/fd: %s", given, api.error_name(got));
  if (got <= 1 || shared->name[0] != '/')
    api.fail(hook, "root=%s: expected a directory below /, found / itself", given);
  shared->size = static_cast<uint32_t>(got);
  shared->name[got] = 0;
  __atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
}

void read_options(sysload_hook* hook, char* root, uint32_t size) {
  constexpr KnownOption kOptions[] = {{"root", true}};
  check_options(hook, kOptions, "root=DIR");
  const int64_t got = hook->api->option(hook, "root", root, size);
  if (got == -ENAMETOOLONG)
    hook->api->fail(hook, "root=DIR: DIR is longer than %u bytes", size - 1);
  if (got <= 0)
    hook->api->fail(hook, "found no root=DIR, which says what directory is the sysroot");
}

}  // namespace

}  // namespace sysrewrite

int sysload_hook_init_sysroot(struct sysload_hook* hook) {
  using namespace sysrewrite;
  char root[kNameBytes];
  read_options(hook, root, sizeof(root));
  const sysload_api& api = *hook->api;
  auto* state = static_cast<SysrootState*>(api.allocate(sizeof(SysrootState)));
  auto* shared = static_cast<SysrootShared*>(api.share(hook, sizeof(SysrootShared)));
  if (state == nullptr || shared == nullptr)
    api.fail(hook, "no memory: %lu bytes are needed", sizeof(SysrootShared));
  if (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) == 0) find_directory(hook, shared, root);
  state->shared = shared;
  state->pid = static_cast<uint64_t>(api.syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
  hook->data = state;
  hook->thread_size = sizeof(SysrootThread);
  hook->entry = entry;
  hook->exit = exit_of;
  hook->forked = forked;
  want(hook);
  return 0;
}
