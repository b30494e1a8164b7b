// Scripts: the kernel looks for what a "#!" line names on the host. Where the sysroot has it, or
// the script, the call is made into that of the interpreter, with the arguments that the kernel
// would give it.
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/sysroot_state.h"
#include "trampoline/script_line.h"

namespace sysrewrite {

namespace {

// The first bytes of an executable file. By descriptor, for a moment: execve opens one too.
bool read_start(const sysload_api& api, uint64_t directory, uint64_t path,
                char (&into)[kScriptLine]) {
  if (ask_execution(api, directory, path) != 0) return false;
  const int64_t file = api.syscall(__NR_openat, directory, path,
                                   O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0, 0, 0);
  if (file < 0) return false;
  memset(into, 0, sizeof(into));
  const int64_t got =
      api.syscall(__NR_pread64, static_cast<uint64_t>(file), word(into), sizeof(into), 0, 0, 0);
  api.syscall(__NR_close, static_cast<uint64_t>(file), 0, 0, 0, 0, 0);
  return got > 0;
}

char* keep(const sysload_api& api, sysload_call& call, const char* text, uint32_t size) {
  auto* memory = static_cast<char*>(api.call_memory(&call, size + 1));
  if (memory == nullptr) return nullptr;
  memcpy(memory, text, size);
  memory[size] = 0;
  return memory;
}

// -1 where they cannot be read, or are more than there is memory for.
int64_t count_words(const sysload_api& api, uint64_t address) {
  constexpr int64_t kMost = SYSLOAD_CALL_MEMORY / 8;
  if (address == 0) return 0;
  for (int64_t i = 0; i < kMost; ++i) {
    uint64_t one = 0;
    if (api.read(&one, address + static_cast<uint64_t>(i) * 8, 8) != 8) return -1;
    if (one == 0) return i;
  }
  return -1;
}

// The program's arguments, but for its name, behind those of the script. 0 where there is no room.
uint64_t build_arguments(const sysload_api& api, sysload_call& call, uint64_t given,
                         const uint64_t (&first)[3], uint32_t first_count) {
  const int64_t count = count_words(api, given);
  if (count < 0) return 0;
  const auto rest = static_cast<uint64_t>(count > 1 ? count - 1 : 0);
  auto* words = static_cast<uint64_t*>(api.call_memory(&call, (first_count + rest + 1) * 8));
  if (words == nullptr) return 0;
  memcpy(words, first, first_count * sizeof(uint64_t));
  if (rest != 0 &&
      api.read(words + first_count, given + 8, rest * 8) != static_cast<int64_t>(rest * 8))
    return 0;
  words[first_count + rest] = 0;
  return word(words);
}

// The name that the interpreter has in the script; 0 where the call stays as it is.
uint64_t use_interpreter(const SysrootView& view, sysload_call& call, uint64_t script) {
  const sysload_api& api = view.api;
  const bool is_at = static_cast<uint32_t>(call.number) == __NR_execveat;
  const uint32_t name = is_at ? 1 : 0;
  const uint64_t directory = is_at ? call.argument[0] : static_cast<uint64_t>(AT_FDCWD);
  // The name that the interpreter is given would be of the kernel's making.
  if (static_cast<int32_t>(directory) != AT_FDCWD) return 0;
  char start[kScriptLine];
  ScriptLine line;
  if (!read_start(api, directory, call.argument[name], start) || !split_script_line(start, &line) ||
      line.interpreter[0] != '/')
    return 0;
  AbsolutePath path;
  const auto size = static_cast<uint32_t>(strlen(line.interpreter));
  const SysrootName wanted{line.interpreter,   size,  Purpose::kExisting,
                           NameEnd::kFollowed, false, false};
  const WalkEnd end = walk_sysroot(api, view.root(), wanted, path);
  if (end == WalkEnd::kTooLong || end == WalkEnd::kLinks) return 0;
  // An interpreter of the host's the kernel finds itself; but that of a script of the sysroot's it
  // would tell the script's name on the host.
  if (end != WalkEnd::kSysroot && script == call.argument[name]) return 0;
  const char* const own_name = keep(api, call, line.interpreter, size);
  const char* const host_name =
      end == WalkEnd::kUnchanged ? own_name : keep(api, call, path.text, path.size);
  const char* const given = line.argument == nullptr ? "" : line.argument;
  const char* const argument = keep(api, call, given, static_cast<uint32_t>(strlen(given)));
  if (host_name == nullptr || own_name == nullptr || argument == nullptr) return 0;
  const auto here = static_cast<uint64_t>(AT_FDCWD);
  if (end != WalkEnd::kSysroot && ask_execution(api, here, word(host_name)) != 0) return 0;
  uint64_t first[3] = {word(own_name), word(argument), script};
  if (line.argument == nullptr) first[1] = script;
  const uint32_t first_count = line.argument == nullptr ? 2 : 3;
  const uint64_t arguments =
      build_arguments(api, call, call.argument[name + 1], first, first_count);
  if (arguments == 0) return 0;
  call.argument[name] = word(host_name);
  call.argument[name + 1] = arguments;
  return word(own_name);
}

}  // namespace

void use_script_interpreter(const SysrootView& view, sysload_call& call, uint64_t script) {
  constexpr int kMost = 5;  // linux, fs/exec.c, exec_binprm
  for (int i = 0; i < kMost && script != 0; ++i) script = use_interpreter(view, call, script);
}

}  // namespace sysrewrite
