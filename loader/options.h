// What the user asked for: arguments win over the environment, and that wins over what sysrewrite
// wrote into the file.
#ifndef SYSREWRITE_LOADER_OPTIONS_H_
#define SYSREWRITE_LOADER_OPTIONS_H_

#include <array>
#include <cstdint>
#include <optional>

#include "loader/include/sysload/hook.h"
#include "loader/start/stack_view.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

// Hooks, in order, as the user named them; "none" is not among them.
struct HookSpecs {
  std::array<const char*, SYSLOAD_MOST_HOOKS> spec{};
  uint32_t count = 0;
};

struct Arguments {
  std::optional<HookSpecs> specs;  // what --hook names; none where it is not there
  const char* server = nullptr;    // of the hosted rewriter; nullptr: there is none
  bool follow = true;              // what the program executes, where there is a server
  bool unpatched_fails = false;    // what would run without its calls being seen
  bool native = false;             // the kernel is to start the program, as it is
  int64_t program_fd = -1;  // the program, open, where its path leads to another file or nowhere
  int64_t door_fd = -1;     // a way to the server, where its name leads nowhere (serve/door.h)
  std::optional<uint64_t> mask;  // signals that the program starts with blocked
  char* argv0 = nullptr;         // the name that the program is given, instead of its path
  const char* execfn = nullptr;  // the name that was executed: of a script, where the program is
                                 // its interpreter
  const char* comm = nullptr;    // the process's name, where it is not the end of that
  std::optional<bool> hide_vdso;
  bool exhaustive = false;     // catch calls of code that nobody rewrote
  uint64_t program_index = 0;  // which argument is the program's path
};

// The arguments of `sysload [options] program [arguments]`. Answers --help and --version itself
// and then ends the process; ends it with a line, too, where an option is unknown.
Arguments read_arguments(const StackView& stack);

struct Settings {
  HookSpecs specs;
  bool hide_vdso = false;
  std::optional<uint64_t> mask;  // Arguments::mask
};

// Ends the process with a line where one of the sources says what there is not.
Settings choose_settings(const Arguments& arguments, const StackView& stack, ByteView file_options);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_OPTIONS_H_
