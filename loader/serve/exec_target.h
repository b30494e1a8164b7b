// What execve is to execute in the end: a script is resolved as the kernel would, since sysload
// takes ELF files only.
#ifndef SYSREWRITE_LOADER_SERVE_EXEC_TARGET_H_
#define SYSREWRITE_LOADER_SERVE_EXEC_TARGET_H_

#include <cstdint>

#include "loader/serve/follow.h"
#include "loader/syscalls.h"
#include "trampoline/script_line.h"

namespace sysrewrite {

inline constexpr uint64_t kExecPath = 4096;
inline constexpr int kScriptDepth = 5;  // linux, fs/exec.c, exec_binprm()

// What is to be executed, after `#!` lines: strings live here.
struct ExecTarget {
  char path[kExecPath];
  char executed[kExecPath + 32];  // what AT_EXECFN is to be, where that is no path; else ""
  char line[kScriptDepth][kScriptLine];
  char scripts[kScriptDepth][kExecPath];
  const char* words[2 * kScriptDepth + 2];  // in front of argv[1]: interpreter's, then the script
  uint32_t word_count;
};

enum class ExecKind {
  kElf,
  kScript,
  kOther,       // what only the kernel can start
  kRegistered,  // what it starts by an interpreter that somebody has registered
  kUnreadable,  // may be executed, but not read
  kUnreadableInterpreter,
  kPrivileged,  // setuid, setgid, or with capabilities
  kSysload,     // which serves what it starts
  kNoDescriptor,
  kFails,  // the kernel is going to say why
};

// Opens the ELF file to execute, through `#!` lines. `target->path` is the path that execve was
// given, and becomes the ELF file's; `program` stays open where it is one.
ExecKind resolve_target(const ExecRequest& request, ExecTarget* target, sys::Fd* program);

// What the kernel calls a file that is executed by a descriptor, or from a folder's: /dev/fd/N, or
// /dev/fd/N/PATH. False where there is no room. Source: linux, fs/exec.c, alloc_bprm().
bool name_in_dev(int32_t directory, const char* path, char* into, uint64_t size);

// Of sysload: rewritten, it and this one would both serve the mappings of what it starts.
inline constexpr char kServesItself[] = "it is sysload, which serves what it starts by itself";

// Why a program of this kind runs without sysload; nullptr for those that do not run at all.
const char* reason_of(ExecKind kind);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_EXEC_TARGET_H_
