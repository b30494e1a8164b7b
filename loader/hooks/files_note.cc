// Each record once, over the whole tree.
#include <linux/errno.h>

#include <cstring>

#include "loader/hooks/files_state.h"

namespace sysrewrite {

namespace {

// Fingerprints of paths in which ".." still is are kept apart from those of records.
constexpr uint64_t kUnfollowed = 64;

// From the name here to the name outside. False where it does not fit.
bool put_before(const char* root, uint32_t root_size, AbsolutePath& path) {
  if (root_size == 0) return true;
  if (root_size + path.size >= kPathBytes) return false;
  if (path.size == 1) path.size = 0;
  memmove(path.text + root_size, path.text, path.size);
  memcpy(path.text, root, root_size);
  path.size += root_size;
  path.text[path.size] = 0;
  return true;
}

// Where links go in circles the kernel finds nothing, and the name stays as it was spelt.
void follow(const FilesView& view, FileName& name) {
  const AbsolutePath spelt = name.path;
  // Of what is outside the kernel can be asked only by names inside.
  if (!follow_parents(view.api(), name.path, !name.outside)) name.path = spelt;
  name.path.has_parents = false;
}

bool put_root_before(const FilesView& view, const char* root, uint32_t root_size, FileName& name) {
  name.outside = true;
  if (put_before(root, root_size, name.path)) return true;
  note_incomplete(view, "names longer than 8191 bytes, in a changed root directory, are not known");
  return false;
}

}  // namespace

bool make_outside(const FilesView& view, FileName& name) {
  uint32_t root_size = 0;
  const char* root = name.outside ? "" : name_of_root(view, &root_size);
  if (name.path.has_parents) follow(view, name);
  return put_root_before(view, root, root_size, name);
}

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
    unfollowed ^= path.floor;
    if (unfollowed == 0) unfollowed = 1;
    if (set.contains(unfollowed)) return false;
    follow(view, name);
  }
  if (!put_root_before(view, root, root_size, name)) return false;
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

}  // namespace sysrewrite
