// Each record once, over the whole tree.
#include <asm/unistd.h>
#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/files_state.h"

namespace sysrewrite {

namespace {

// Fingerprints of paths in which ".." still is are kept apart from those of records.
constexpr uint64_t kUnfollowed = 64;

// From the name here to the name outside. Where it does not fit, it stays.
void put_before(const char* root, uint32_t root_size, AbsolutePath& path) {
  if (root_size == 0 || root_size + path.size >= kPathBytes) return;
  if (path.size == 1) path.size = 0;
  memmove(path.text + root_size, path.text, path.size);
  memcpy(path.text, root, root_size);
  path.size += root_size;
  path.text[path.size] = 0;
}

}  // namespace

bool note(const FilesView& view, FileKind kind, FileName& name, int64_t error) {
  if (kind == FileKind::kNone) return false;
  AbsolutePath& path = name.path;
  FingerprintSet set(view.state.shared->fingerprints);
  const auto number = static_cast<uint64_t>(kind);
  uint32_t root_size = 0;
  const char* root = name.outside ? "" : name_of_root(view, &root_size);
  uint64_t unfollowed = 0;
  if (path.has_parents) {
    // Asking the kernel about ".." is what costs, so it is asked once for each spelling.
    unfollowed = fingerprint_with(fingerprint_of(path.text, path.size), kUnfollowed + number);
    if (root_size != 0) unfollowed ^= fingerprint_of(root, root_size);
    if (unfollowed == 0) unfollowed = 1;
    if (set.contains(unfollowed)) return false;
    follow_parents(view.api(), path);
  }
  put_before(root, root_size, path);
  // "file/" is not there although "file" is.
  if (kind == FileKind::kMissing && error == -ENOTDIR && path.wants_directory &&
      path.size + 2 < kPathBytes) {
    path.text[path.size++] = '/';
    path.text[path.size] = 0;
  }
  const bool is_new = set.insert(fingerprint_with(fingerprint_of(path.text, path.size), number));
  if (is_new)
    emit_record(view.hook, view.state.format, kind, path.text, path.size,
                kind == FileKind::kFailed ? error : 0);
  if (unfollowed != 0) set.insert(unfollowed);
  return is_new;
}

void note_incomplete(const FilesView& view, const char* reason) {
  const auto size = static_cast<uint32_t>(strlen(reason));
  const auto number = static_cast<uint64_t>(FileKind::kIncomplete);
  FingerprintSet set(view.state.shared->fingerprints);
  if (set.insert(fingerprint_with(fingerprint_of(reason, size), number)))
    emit_record(view.hook, view.state.format, FileKind::kIncomplete, reason, size, 0);
}

namespace {

constexpr uint32_t kHead = 512;
constexpr int kMostInterpreters = 5;  // linux, fs/exec.c, exec_binprm: of scripts

// "#!" and the interpreter's name. Its size; 0 where it is no script.
uint32_t script_interpreter(const char* head, uint32_t size, const char** name) {
  if (size < 3 || head[0] != '#' || head[1] != '!') return 0;
  uint32_t i = 2;
  while (i < size && (head[i] == ' ' || head[i] == '\t')) ++i;
  const uint32_t from = i;
  while (i < size && head[i] != ' ' && head[i] != '\t' && head[i] != '\n' && head[i] != 0) ++i;
  *name = head + from;
  return i - from;
}

// What PT_INTERP names, read over the head. Its size; 0 where there is none.
uint32_t elf_interpreter(const sysload_api& api, uint64_t file, char* head, uint32_t size) {
  Elf64_Ehdr header;
  if (size < sizeof(header) || memcmp(head, ELFMAG, SELFMAG) != 0) return 0;
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

// Leaves in `name` what executes the file that it named. False where nothing does.
bool next_interpreter(const FilesView& view, FileName& name, bool* is_script) {
  const sysload_api& api = view.api();
  const int64_t file = api.syscall(__NR_open, word(name.path.text),
                                   O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0, 0, 0, 0);
  if (file < 0) return false;
  const auto descriptor = static_cast<uint64_t>(file);
  char head[kHead];
  const char* text = head;
  const int64_t got = api.syscall(__NR_pread64, descriptor, word(head), sizeof(head), 0, 0, 0);
  uint32_t size = 0;
  if (got > 0) size = script_interpreter(head, static_cast<uint32_t>(got), &text);
  *is_script = size != 0;
  if (got > 0 && size == 0)
    size = elf_interpreter(api, descriptor, head, static_cast<uint32_t>(got));
  api.syscall(__NR_close, descriptor, 0, 0, 0, 0, 0);
  if (size == 0 || (text[0] != '/' && !add_working_directory(view, name))) return false;
  return name.path.add(text, size);
}

}  // namespace

void note_execution(const FilesView& view, FileName& name) {
  FileName here = name;  // note() turns it into the name outside
  for (int i = 0; i < kMostInterpreters; ++i) {
    name = here;
    if (!note(view, FileKind::kExecute, name, 0)) return;
    bool is_script = false;
    if (!next_interpreter(view, here, &is_script)) return;
    if (is_script) continue;
    note(view, FileKind::kExecute, here, 0);
    return;
  }
}

}  // namespace sysrewrite
