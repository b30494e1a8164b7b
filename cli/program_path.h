// Finding what a command line names, as execvp and the kernel do.
#ifndef SYSREWRITE_CLI_PROGRAM_PATH_H_
#define SYSREWRITE_CLI_PROGRAM_PATH_H_

#include <string>
#include <vector>

#include "rewriter/result.h"

namespace sysrewrite {

// What the kernel would execute: an ELF file and its arguments, argv[0] first.
struct ResolvedProgram {
  std::string path;
  std::vector<std::string> arguments;
  std::string script;  // what was named, where `path` is its interpreter; else empty
};

// Searches $PATH where the name has no slash, and follows `#!` lines, also through interpreters
// that are scripts themselves, up to the kernel's depth.
Result<ResolvedProgram> resolve_program(const std::vector<std::string>& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_PROGRAM_PATH_H_
