#include "loader/serve/exec_target.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/serve/binfmt_misc.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/start/own_image.h"
#include "trampoline/elf_types.h"
#include "trampoline/program_kind.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kNoFollow = AT_SYMLINK_NOFOLLOW, kEmptyPath = AT_EMPTY_PATH;

// By the effective user's rights, as execve asks. Kernels before 5.8 tell the real user's only.
bool may_execute(uint64_t folder, const char* path, uint64_t flags) {
  constexpr uint64_t kMayExecute = 1;  // X_OK
  const uint64_t name = Memory::address_of(path).value;
  int64_t answer = sys::call(__NR_faccessat2, folder, name, kMayExecute, flags | AT_EACCESS);
  // The latter, where a filter does not know the call.
  if (answer == -ENOSYS || answer == -EPERM)
    answer = sys::call(__NR_faccessat, folder, name, kMayExecute);
  return !sys::failed(answer);
}

sys::Fd open_file(uint64_t folder, const char* name, uint64_t flags) {
  const uint64_t path = Memory::address_of(name).value;
  const uint64_t how = O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags;
  return beyond_limit([=] { return sys::call(__NR_openat, folder, path, how); });
}

// Opens what the kernel would execute, after the checks that only it would make otherwise.
ExecKind open_target(int32_t directory, const char* path, uint64_t flags, sys::Fd* fd) {
  const auto folder = static_cast<uint64_t>(int64_t{directory});
  if (!may_execute(folder, path, flags)) return ExecKind::kFails;
  if ((flags & kEmptyPath) != 0 && path[0] == 0) {
    // Through /proc, since the descriptor may be an O_PATH one.
    char link[64];
    *fd = open_file(folder, sys::link_of(directory, link), 0);
  } else {
    const uint64_t no_follow = (flags & kNoFollow) != 0 ? O_NOFOLLOW : 0;
    *fd = open_file(folder, path, no_follow);
  }
  if (*fd == -EACCES) return ExecKind::kUnreadable;
  if (*fd == -EMFILE || *fd == -ENFILE) return ExecKind::kNoDescriptor;
  return sys::failed(*fd) ? ExecKind::kFails : ExecKind::kElf;
}

// Source: linux, fs/binfmt_elf.c, load_elf_phdrs().
bool has_usable_table(const elf::Ehdr& header, uint64_t file_size) {
  constexpr uint32_t kMostHeaders = 1170;  // 64 KiB
  return header.phentsize == sizeof(elf::Phdr) && header.phnum != 0 &&
         header.phnum <= kMostHeaders &&
         range_fits(header.phoff, uint64_t{header.phnum} * sizeof(elf::Phdr), file_size);
}

bool read_at(sys::Fd fd, uint64_t offset, MutableByteView into) {
  return sys::call(__NR_pread64, static_cast<uint64_t>(fd), Memory::address_of(into.data()).value,
                   into.size(), offset) == static_cast<int64_t>(into.size());
}

template <typename T>
bool read_at(sys::Fd fd, uint64_t offset, T* into) {
  return read_at(fd, offset, Memory::bytes(Memory::address_of(into), sizeof(*into)));
}

// The same of its interpreter, of which the kernel reads the headers as well.
ExecKind kind_of_interpreter(const char* path) {
  sys::Fd fd = -1;
  const ExecKind opened = open_target(AT_FDCWD, path, 0, &fd);
  if (opened == ExecKind::kUnreadable) return ExecKind::kUnreadableInterpreter;
  if (opened != ExecKind::kElf) return opened;
  elf::Ehdr header{};
  const int64_t size = sys::size_of_regular_file(fd);
  const bool takes = !sys::failed(size) && read_at(fd, 0, &header) &&
                     memcmp(header.ident, elf::kMagic, sizeof(elf::kMagic)) == 0 &&
                     header.machine == elf::kMachineX8664 &&
                     has_usable_table(header, static_cast<uint64_t>(size));
  sys::close(fd);
  return takes ? ExecKind::kElf : ExecKind::kFails;
}

// The kernel refuses a program whose headers it cannot use, or whose interpreter, before anything
// is lost. Source: linux, fs/binfmt_elf.c, load_elf_binary().
ExecKind kind_by_headers(sys::Fd fd, const elf::Ehdr& header) {
  const int64_t size = sys::size_of_regular_file(fd);
  if (sys::failed(size) || !has_usable_table(header, static_cast<uint64_t>(size)))
    return ExecKind::kFails;
  for (uint32_t i = 0; i < header.phnum; ++i) {
    elf::Phdr segment{};
    if (!read_at(fd, header.phoff + uint64_t{i} * sizeof(segment), &segment))
      return ExecKind::kFails;
    if (segment.type != elf::kPtInterp) continue;
    char path[kExecPath];
    if (segment.filesz < 2 || segment.filesz > sizeof(path)) return ExecKind::kFails;
    const auto into = Memory::bytes(Memory::address_of(&path[0]), segment.filesz);
    if (!read_at(fd, segment.offset, into) || path[segment.filesz - 1] != 0)
      return ExecKind::kFails;
    return kind_of_interpreter(&path[0]);
  }
  return ExecKind::kElf;
}

ExecKind kind_of_file(sys::Fd fd, ByteView start) {
  switch (kind_by_start(start)) {
    case ProgramKind::kElf: {
      const ExecKind kind = kind_by_headers(fd, *load<elf::Ehdr>(start, 0));
      return kind == ExecKind::kElf && is_own_image(start) ? ExecKind::kSysload : kind;
    }
    case ProgramKind::kScript:
      return ExecKind::kScript;
    case ProgramKind::kOther:
      return ExecKind::kOther;
    default:
      return ExecKind::kFails;
  }
}

// Reads a file's first bytes and its rights. `name` is what the kernel calls it.
ExecKind look(sys::Fd fd, const char* name, char (&head)[kScriptLine]) {
  struct stat status {};
  sys::call(__NR_fstat, static_cast<uint64_t>(fd), Memory::address_of(&status).value);
  constexpr uint32_t kTypeMask = 0170000, kRegular = 0100000;
  if ((status.st_mode & kTypeMask) != kRegular) return ExecKind::kFails;
  memset(head, 0, sizeof(head));
  const int64_t head_size = sys::call(__NR_pread64, static_cast<uint64_t>(fd),
                                      Memory::address_of(&head[0]).value, sizeof(head), 0);
  if (sys::failed(head_size)) return ExecKind::kFails;
  const ByteView start = as_byte_view(&head[0], static_cast<uint64_t>(head_size));
  const ExecKind kind = kind_of_file(fd, start);
  // What is left is ENOEXEC, and a shell reads the file itself.
  if (kind == ExecKind::kFails)
    return has_registered_format(start, name) ? ExecKind::kRegistered : kind;
  const char attribute[] = "security.capability";
  const bool capable = sys::call(__NR_fgetxattr, static_cast<uint64_t>(fd),
                                 Memory::address_of(attribute).value, 0, 0) > 0;
  return capable || gives_rights(status.st_mode) ? ExecKind::kPrivileged : kind;
}

// A script gets its own name as an argument, and opens it. False where that would lead nowhere: the
// kernel then says ENOENT (fs/binfmt_script.c), and where there is no room the interpreter could
// not open it either.
bool name_script(int32_t directory, const char* path, char (&script)[kExecPath]) {
  const auto fd = static_cast<uint64_t>(int64_t{directory});
  if ((sys::call(__NR_fcntl, fd, F_GETFD) & FD_CLOEXEC) != 0) return false;
  return name_in_dev(directory, path, script, sizeof(script));
}

void put_words_in_front(ExecTarget* target, const ScriptLine& line, const char* script) {
  const uint32_t more = line.argument == nullptr ? 2 : 3;
  // The first word so far was the script's own name in argv[0]; its path takes its place.
  const uint32_t kept = target->word_count == 0 ? 0 : target->word_count - 1;
  for (uint32_t i = kept; i-- > 0;) target->words[i + more] = target->words[i + 1];
  uint32_t at = 0;
  target->words[at++] = line.interpreter;
  if (line.argument != nullptr) target->words[at++] = line.argument;
  target->words[at++] = script;
  target->word_count = at + kept;
}

}  // namespace

bool name_in_dev(int32_t directory, const char* path, char* into, uint64_t size) {
  constexpr char kProc[] = "/proc/self/fd/", kDev[] = "/dev/fd/";
  char link[64];
  const char* number = sys::link_of(directory, link) + sizeof(kProc) - 1;
  const size_t length = strlen(path), digits = strlen(number);
  if (sizeof(kDev) + digits + 1 + length > size) return false;
  char* at = std::copy_n(&kDev[0], sizeof(kDev) - 1, into);
  at = std::copy_n(number, digits, at);
  if (length != 0) *at++ = '/';
  *std::copy_n(path, length, at) = 0;
  return true;
}

const char* reason_of(ExecKind kind) {
  switch (kind) {
    case ExecKind::kUnreadable:
      return native_reason(ProgramKind::kUnreadable);
    case ExecKind::kUnreadableInterpreter:
      return "its interpreter may be executed, but not read";
    case ExecKind::kPrivileged:
      return native_reason(ProgramKind::kPrivileged);
    case ExecKind::kOther:
      return native_reason(ProgramKind::kOther);
    case ExecKind::kRegistered:
      return native_reason(ProgramKind::kUnknown);
    case ExecKind::kSysload:
      return kServesItself;
    case ExecKind::kNoDescriptor:
      return "no descriptor is free to look at it";
    default:
      return nullptr;
  }
}

ExecKind resolve_target(const ExecRequest& request, ExecTarget* target, sys::Fd* program) {
  ExecKind kind = open_target(request.directory, target->path, request.flags, program);
  for (int depth = 0; kind == ExecKind::kElf; ++depth) {
    char(&start)[kScriptLine] = target->line[std::min(depth, kScriptDepth - 1)];
    kind = look(*program, target->path, start);
    if (kind == ExecKind::kElf) return kind;
    sys::close(*program);
    *program = -1;
    if (kind != ExecKind::kScript) return kind;
    if (depth == kScriptDepth) return ExecKind::kFails;  // ELOOP, says the kernel
    ScriptLine line;
    if (!split_script_line(start, &line)) return ExecKind::kFails;
    char(&script)[kExecPath] = target->scripts[depth];
    const bool from_folder = depth == 0 && request.directory != AT_FDCWD && target->path[0] != '/';
    if (!from_folder) {
      memcpy(script, target->path, strlen(target->path) + 1);
    } else if (!name_script(request.directory, target->path, script)) {
      return ExecKind::kFails;
    }
    put_words_in_front(target, line, script);
    memcpy(target->path, line.interpreter, strlen(line.interpreter) + 1);
    kind = open_target(AT_FDCWD, target->path, 0, program);
  }
  return kind;
}

}  // namespace sysrewrite
