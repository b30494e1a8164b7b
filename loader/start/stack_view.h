// The block that execve leaves on a new program's stack, read and mended in place.
//
//   rsp ->  argc
//           argv[0] ... argv[argc - 1], 0
//           envp[0] ..., 0
//           auxv: pairs of type and value, the last AT_NULL
//           (padding, AT_RANDOM's bytes, AT_PLATFORM's string)
//           the strings: arguments, environment, path
//
// Source: x86-64 psABI 1.0, 3.4.1 "Initial Stack and Register State"; linux, fs/binfmt_elf.c,
// create_elf_tables().
#ifndef SYSREWRITE_LOADER_START_STACK_VIEW_H_
#define SYSREWRITE_LOADER_START_STACK_VIEW_H_

#include <cstdint>

#include "trampoline/address.h"

namespace sysrewrite {

// Start and end of the argument and the environment strings, as /proc/PID/cmdline shows them.
struct StringBounds {
  RuntimeAddr arg_start, arg_end, env_start, env_end;
};

class StackView {
 public:
  explicit StackView(RuntimeAddr stack_pointer);

  RuntimeAddr stack_pointer() const { return stack_pointer_; }
  uint64_t argc() const { return words_[0]; }
  char* argument(uint64_t index) const;  // index below argc()
  // The value of a variable, or nullptr.
  const char* environment(const char* name) const;

  // nullptr where the kernel gave none of this type.
  uint64_t* auxiliary(uint64_t type) const;
  uint64_t auxiliary_or(uint64_t type, uint64_t otherwise) const;
  // Entries are never added, only changed: the kernel gives all that are needed.
  void set_auxiliary(uint64_t type, uint64_t value);
  // Makes an entry one that nobody looks at.
  void hide_auxiliary(uint64_t type);
  RuntimeAddr auxv() const;
  uint64_t auxv_size() const { return auxv_words_ * sizeof(uint64_t); }

  StringBounds string_bounds() const;

  // Removes the first `count` arguments and gives the one that is then the first another name,
  // where `name` (one of the removed arguments) is not nullptr. Returns the first remaining
  // argument as it was. The stack pointer stays a multiple of 16.
  const char* drop_arguments(uint64_t count, char* name);

 private:
  void measure();
  char* put_in_front(char* name, uint64_t index);

  RuntimeAddr stack_pointer_;
  uint64_t* words_;
  uint64_t envp_ = 0;  // index in words_ of envp[0]
  uint64_t env_count_ = 0;
  uint64_t auxv_ = 0;        // index in words_ of the auxiliary vector
  uint64_t auxv_words_ = 0;  // AT_NULL included
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_STACK_VIEW_H_
