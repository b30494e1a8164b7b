// Finding what a command line names, as execvp and the kernel do.
#ifndef SYSREWRITE_CLI_PROGRAM_PATH_H_
#define SYSREWRITE_CLI_PROGRAM_PATH_H_

#include <string>
#include <vector>

#include "rewriter/result.h"
#include "trampoline/program_kind.h"

namespace sysrewrite {

// What the kernel would execute.
struct ResolvedProgram {
  std::string named;  // the file that the command names: what execve is given
  // What it comes to. Where the kernel alone can start that, it starts `named`. Where nobody but
  // the kernel knows whether it can, and it says ENOEXEC, the rest is what a shell does then.
  ProgramKind kind = ProgramKind::kElf;
  std::string path;                    // the ELF file; empty: nothing else can be done
  std::vector<std::string> arguments;  // its, argv[0] first
  std::string script;                  // `named`, where `path` is its interpreter; else empty
};

// Searches $PATH where the name has no slash, and follows `#!` lines, also through interpreters
// that are scripts themselves, up to the kernel's depth.
Result<ResolvedProgram> resolve_program(const std::vector<std::string>& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_PROGRAM_PATH_H_
