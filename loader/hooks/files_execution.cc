// What the kernel opens to execute a file: the file, the interpreters that "#!" lines name, and
// last the one of PT_INTERP.
//
//     script  ->  #!/usr/bin/env  ->  PT_INTERP of it
//
// A call that succeeds does not come back, so whether it will is judged before it, by what the
// kernel looks at (linux, fs/exec.c, do_open_execat(); binfmt_script.c; binfmt_elf.c): each of them
// has to be a regular file that may be executed, and the last of those that are no PT_INTERP a
// program. Where one is not, nothing is executed, and the call says which error that is.
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/files_state.h"

namespace sysrewrite {

namespace {

constexpr uint32_t kHead = 512;
constexpr int kMostInterpreters = 5;  // linux, fs/exec.c, exec_binprm: of scripts

// What a file needs to be executed.
enum class Needs : uint8_t {
  kNothing,  // it runs by itself; or it cannot be read, and so not be known
  kScripts,  // what its "#!" line names
  kLoader,   // what its PT_INTERP names
  kFormat,   // a format that the kernel knows
};

// Why the kernel does not open it for execution; 0 where it does.
int64_t refusal_of(const sysload_api& api, const char* path, uint64_t at_flags) {
  struct stat status {};
  const auto here = static_cast<uint64_t>(AT_FDCWD);
  const int64_t got = api.syscall(__NR_newfstatat, here, word(path), word(&status), at_flags, 0, 0);
  if (got < 0) return got;
  if (S_ISLNK(status.st_mode)) return -ELOOP;
  if (!S_ISREG(status.st_mode)) return -EACCES;
  return ask_execution(api, here, word(path));
}

// "#!" and the interpreter's name. Its size; 0 where none is named.
uint32_t script_interpreter(const char* head, uint32_t size, const char** name) {
  uint32_t i = 2;
  while (i < size && (head[i] == ' ' || head[i] == '\t')) ++i;
  const uint32_t from = i;
  while (i < size && head[i] != ' ' && head[i] != '\t' && head[i] != '\n' && head[i] != 0) ++i;
  *name = head + from;
  return i - from;
}

bool is_program(const char* head, uint32_t size) {
  Elf64_Ehdr header;  // what is looked at lies in an Elf32_Ehdr at the same places
  if (size < sizeof(header) || memcmp(head, ELFMAG, SELFMAG) != 0) return false;
  memcpy(&header, head, sizeof(header));
  return (header.e_type == ET_EXEC || header.e_type == ET_DYN) &&
         (header.e_machine == EM_X86_64 || header.e_machine == EM_386);
}

// What PT_INTERP names, read over the head. Its size; 0 where there is none.
uint32_t elf_interpreter(const sysload_api& api, uint64_t file, char* head) {
  Elf64_Ehdr header;
  memcpy(&header, head, sizeof(header));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) return 0;
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const int64_t got = api.syscall(__NR_pread64, file, word(&segment), sizeof(segment),
                                    header.e_phoff + i * sizeof(segment), 0, 0);
    if (got != static_cast<int64_t>(sizeof(segment))) return 0;
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz == 0 || segment.p_filesz > kHead) return 0;
    const int64_t name =
        api.syscall(__NR_pread64, file, word(head), segment.p_filesz, segment.p_offset, 0, 0);
    if (name != static_cast<int64_t>(segment.p_filesz)) return 0;
    head[name - 1] = 0;
    return static_cast<uint32_t>(strlen(head));
  }
  return 0;
}

// What a file needs next, by its first bytes, which `head` then holds.
struct Step {
  Needs needs;
  const char* name;
  uint32_t size;
};

Step step_behind(const sysload_api& api, const char* path, char (&head)[kHead]) {
  const int64_t file =
      api.syscall(__NR_open, word(path), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0, 0, 0, 0);
  if (file < 0) return {Needs::kNothing, nullptr, 0};
  const auto descriptor = static_cast<uint64_t>(file);
  const int64_t got = api.syscall(__NR_pread64, descriptor, word(head), sizeof(head), 0, 0, 0);
  const auto size = static_cast<uint32_t>(got < 0 ? 0 : got);
  Step step{Needs::kFormat, head, 0};
  if (size > 2 && head[0] == '#' && head[1] == '!') {
    step.size = script_interpreter(head, size, &step.name);
    if (step.size != 0) step.needs = Needs::kScripts;
  } else if (is_program(head, size)) {
    step.size = elf_interpreter(api, descriptor, head);
    step.needs = step.size != 0 ? Needs::kLoader : Needs::kNothing;
  }
  api.syscall(__NR_close, descriptor, 0, 0, 0, 0, 0);
  return step;
}

// Calls visit(name, index, error) with each file in order, until it says false, an error has ended
// the row, or the program is complete: 0. `name` may be changed by it, and is the last one's
// afterwards.
template <typename Visit>
int64_t walk(const FilesView& view, FileName& name, uint64_t at_flags, Visit visit) {
  bool is_loader = false;
  // One that is open is that file, whatever became of its name.
  const DescriptorLink link(static_cast<uint32_t>(name.descriptor));
  if (name.is_open) at_flags = 0;
  for (int i = 0;; ++i) {
    char head[kHead];
    const char* const path = i == 0 && name.is_open ? link.text : name.path.text;
    int64_t error = refusal_of(view.api(), path, i == 0 ? at_flags : 0);
    Step step{Needs::kNothing, nullptr, 0};
    if (error == 0 && !is_loader) step = step_behind(view.api(), path, head);
    if (step.needs == Needs::kFormat) error = -ENOEXEC;
    if (step.needs == Needs::kScripts && i == kMostInterpreters) error = -ELOOP;
    if (!visit(name, i, error) || error != 0 || step.needs == Needs::kNothing) return error;
    is_loader = step.needs == Needs::kLoader;
    name.outside = false;
    if (step.name[0] != '/' && !add_working_directory(view, name)) return 0;
    if (!name.path.add(step.name, step.size)) return 0;
  }
}

bool can_be_executed(const FilesView& view, FileName name, uint64_t at_flags) {
  return walk(view, name, at_flags, [](FileName&, int, int64_t) { return true; }) == 0;
}

}  // namespace

void note_execution(const FilesView& view, FileName& name, uint64_t at_flags) {
  if (!can_be_executed(view, name, at_flags)) return;
  walk(view, name, at_flags,
       [&](FileName& file, int, int64_t) { return note(view, FileKind::kExecute, file, 0); });
}

void note_refusal(const FilesView& view, FileName& name, uint64_t at_flags) {
  walk(view, name, at_flags, [&](FileName& file, int index, int64_t error) {
    if (index == 0) return true;  // the call names it, and its record is the call's
    const bool is_missing = error == -ENOENT || error == -ENOTDIR;
    const FileKind kind = error == 0   ? FileKind::kTest
                          : is_missing ? FileKind::kMissing
                                       : FileKind::kFailed;
    note(view, kind, file, error);
    return true;
  });
}

}  // namespace sysrewrite
