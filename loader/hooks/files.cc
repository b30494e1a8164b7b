// The `files` hook: which files a program uses, and how.
//
// A record is a kind and an absolute path, and is written when the first process of the tree does
// that to that path. What is made of a call is decided behind it, since its result says whether a
// file was there. So most calls are of interest on the way out alone; before the call is looked at
//   - what does not return: execve;
//   - names that mean something else afterwards: of chdir, chroot, rename, pivot_root;
//   - whether a file that open may create is there: one more system call, for O_CREAT without
//   O_EXCL.
//
// System calls that the hook itself makes: none for an absolute path without "..", none for a
// relative one while the working directory's name is known, one for a name relative to a
// descriptor (in a changed root directory two more), one for each ".." that is seen for the first
// time; some ten for an execution. (Copies from the program's memory
// come on top, one for each name: that is api->read_string.)
#include <asm/unistd.h>

#include <cstring>

#include "loader/hooks/files_state.h"
#include "loader/hooks/hooks.h"
#include "loader/hooks/option_list.h"

namespace sysrewrite {

namespace {

FilesView view_of(sysload_hook* hook, sysload_thread* thread) {
  return {hook, *static_cast<FilesState*>(hook->data),
          thread == nullptr ? nullptr : static_cast<FilesThread*>(thread->data)};
}

enum sysload_verdict entry(sysload_hook* hook, sysload_thread* thread, sysload_call* call) {
  before_call(view_of(hook, thread), call);
  return SYSLOAD_PASS;
}

void exit_of(sysload_hook* hook, sysload_thread* thread, sysload_call* call) {
  behind_call(view_of(hook, thread), call);
}

// --- processes and threads ---

uint64_t own_pid(const sysload_api& api) {
  return static_cast<uint64_t>(api.syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
}

// A child that shares the memory but is no thread of the process (vfork) has its own directory.
// Whoever started this process may be outside the tree, and /proc/self/exe may be the loader.
void note_program(const FilesView& view) {
  const char* program = view.api().program();
  if (program == nullptr || program[0] == 0) return;
  FileName name;
  const auto size = static_cast<uint32_t>(strlen(program));
  if (program[0] != '/' && !add_working_directory(view, name)) return;
  if (name.path.add(program, size)) note_execution(view, name, 0);
}

void thread_started(sysload_hook* hook, sysload_thread* thread) {
  const FilesView view = view_of(hook, thread);
  if (view.thread == nullptr) return;
  view.thread->own_directory = own_pid(view.api()) != view.state.pid ? 1 : 0;
  if (view.state.started) return;
  // Not in the init function: output may not be ready for it.
  view.state.started = true;
  note_program(view);
}

void forked(sysload_hook* hook, sysload_thread* thread) {
  const FilesView view = view_of(hook, thread);
  view.state.pid = own_pid(view.api());
  view.state.directory.version = 0;  // it may be another thread's, or half written
  if (view.thread != nullptr) view.thread->own_directory = 0;
}

void want(sysload_hook* hook) {
  for (uint32_t i = 0; i < path_call_count(); ++i) {
    const PathCall& row = path_call_at(i);
    sysload_want_exit(hook, row.number);
    const PathUse use = row.slot[0].use;
    if (use == PathUse::kOpen || use == PathUse::kExecute || is_saved(row.number))
      sysload_want_entry(hook, row.number);
  }
  sysload_want_exit(hook, __NR_unshare);
  sysload_want_exit(hook, __NR_setns);
  sysload_want_exit(hook, __NR_io_uring_setup);
  sysload_want_exit(hook, __NR_open_by_handle_at);
  sysload_want_entry(hook, __NR_clone);
  sysload_want_entry(hook, __NR_clone3);
}

FileFormat read_options(sysload_hook* hook) {
  constexpr KnownOption kOptions[] = {{"format", true}};
  check_options(hook, kOptions, "format=text|json|null or output=PATH");
  HookOption option;
  if (!find_option(*hook, "format", &option) || option.has_value("text")) return FileFormat::kText;
  if (option.has_value("json")) return FileFormat::kJson;
  if (option.has_value("null")) return FileFormat::kNull;
  hook->api->fail(hook, "option at column %d: found format=%.*s, expected text, json or null",
                  option.value_column(), static_cast<int>(option.value_size()), option.value());
}

}  // namespace

}  // namespace sysrewrite

int sysload_hook_init_files(struct sysload_hook* hook) {
  using namespace sysrewrite;
  const FileFormat format = read_options(hook);
  auto* state = static_cast<FilesState*>(hook->api->allocate(sizeof(FilesState)));
  auto* shared = static_cast<FilesShared*>(hook->api->share(hook, sizeof(FilesShared)));
  if (state == nullptr || shared == nullptr)
    hook->api->fail(hook, "no memory: %lu bytes are needed", sizeof(FilesShared));
  state->shared = shared;
  state->format = format;
  state->pid = own_pid(*hook->api);
  hook->data = state;
  hook->thread_size = sizeof(FilesThread);
  hook->entry = entry;
  hook->exit = exit_of;
  hook->thread_started = thread_started;
  hook->forked = forked;
  want(hook);
  const FilesView view = view_of(hook, nullptr);
  find_root(view);
  return 0;
}
