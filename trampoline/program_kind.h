// What execve makes of a file, as far as its first bytes and its rights say it, and why sysload
// does not start it: one classification for the program that `run` is given and those that it
// executes.
#ifndef SYSREWRITE_TRAMPOLINE_PROGRAM_KIND_H_
#define SYSREWRITE_TRAMPOLINE_PROGRAM_KIND_H_

#include <cstdint>

#include "trampoline/bytes.h"
#include "trampoline/elf_types.h"

namespace sysrewrite {

enum class ProgramKind {
  kElf,
  kScript,
  kOther,       // what only the kernel can start
  kUnreadable,  // may be executed, but not read
  kPrivileged,  // setuid, setgid, or with capabilities
  kUnknown,     // ENOEXEC, unless somebody has registered the format with the kernel
};

// Bits of a file's mode by which whoever executes it may get another's rights.
constexpr bool gives_rights(uint32_t mode) {
  constexpr uint32_t kSetuid = 04000, kSetgidExec = 02010;
  return (mode & kSetuid) != 0 || (mode & kSetgidExec) == kSetgidExec;
}

// By a file's first bytes alone: never kUnreadable or kPrivileged. Where this is no x86-64 program,
// most kernels can start one of 32 bits.
inline ProgramKind kind_by_start(ByteView head) {
  constexpr uint16_t kMachine386 = 3;
  const auto begins_with = [head](const auto& magic, size_t size) {
    return head.size() >= size && __builtin_memcmp(head.data(), &magic, size) == 0;
  };
  if (begins_with("#!", 2)) return ProgramKind::kScript;
  const auto header = load<elf::Ehdr>(head, 0);
  const bool is_elf = header && begins_with(elf::kMagic, sizeof(elf::kMagic)) &&
                      (header->type == elf::kTypeExec || header->type == elf::kTypeDyn);
  if (!is_elf) return ProgramKind::kUnknown;
  const uint8_t size = header->ident[4];
  const bool is_x86_64 = header->machine == elf::kMachineX8664;
  if (size == elf::kClass64 && is_x86_64) return ProgramKind::kElf;
  const bool is_small = size == elf::kClass32 && (header->machine == kMachine386 || is_x86_64);
  return is_small ? ProgramKind::kOther : ProgramKind::kUnknown;
}

// Of a file that could be read.
inline ProgramKind kind_of(ByteView head, uint32_t mode, bool has_capabilities) {
  const ProgramKind kind = kind_by_start(head);
  const bool is_privileged = gives_rights(mode) || has_capabilities;
  return is_privileged && kind != ProgramKind::kUnknown ? ProgramKind::kPrivileged : kind;
}

// Why a program of this kind runs without sysload, where it runs; nullptr for the others.
constexpr const char* native_reason(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::kOther:
      return "not an x86-64 program";
    case ProgramKind::kUnreadable:
      return "it may be executed, but not read";
    case ProgramKind::kPrivileged:
      return "it is setuid, setgid or has capabilities";
    case ProgramKind::kUnknown:
      return "its format is registered with binfmt_misc";
    default:
      return nullptr;
  }
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_PROGRAM_KIND_H_
