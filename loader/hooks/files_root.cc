// Root directories that processes of the tree have changed to.
//
// Inside, the kernel tells no name of what is outside, not even in /proc/self/root. So whoever
// changes its root directory writes into the shared memory which name that had, beside the identity
// of "/" inside. What is executed there finds itself by it. Without any changed root that costs
// nothing.
#include <asm/stat.h>
#include <asm/unistd.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/files_state.h"

namespace sysrewrite {

namespace {

bool stat_root(const sysload_api& api, struct stat* into) {
  const char name[] = "/";
  return api.syscall(__NR_stat, word(name), word(into), 0, 0, 0, 0) == 0;
}

uint32_t count_of(const FilesShared& shared) {
  const uint32_t count = __atomic_load_n(&shared.root_count, __ATOMIC_ACQUIRE);
  return count < FilesShared::kMostRoots ? count : FilesShared::kMostRoots;
}

const ChangedRoot* root_of(const FilesShared& shared, const struct stat& status) {
  for (uint32_t i = 0; i < count_of(shared); ++i) {
    const ChangedRoot& root = shared.roots[i];
    if (__atomic_load_n(&root.ready, __ATOMIC_ACQUIRE) != 0 && root.device == status.st_dev &&
        root.inode == status.st_ino && root.size < kNameBytes)
      return &root;
  }
  return nullptr;
}

}  // namespace

namespace {

void publish(const FilesView& view, const char* name, uint32_t size) {
  FilesShared& shared = *view.state.shared;
  struct stat status {};
  if (!stat_root(view.api(), &status) || root_of(shared, status) != nullptr) return;
  const uint32_t i = __atomic_fetch_add(&shared.root_count, 1, __ATOMIC_ACQ_REL);
  if (i >= FilesShared::kMostRoots)
    return note_incomplete(view, "chroot: too many; what is executed there is named as inside");
  ChangedRoot& root = shared.roots[i];
  root.device = status.st_dev;
  root.inode = status.st_ino;
  root.size = size;
  memcpy(root.name, name, size);
  __atomic_store_n(&root.ready, 1, __ATOMIC_RELEASE);
}

bool has_own(const FilesView& view) {
  return view.thread != nullptr && view.thread->own_directory != 0;
}

}  // namespace

void change_root(const FilesView& view, const FileName& name) {
  const uint32_t size = name.path.size == 1 ? 0 : name.path.size;
  if (size >= kNameBytes) return note_incomplete(view, "chroot: the directory's name is too long");
  publish(view, name.path.text, size);
  // A child of vfork shares this memory, but not its parent's root directory.
  if (has_own(view)) return;
  memcpy(view.state.root, name.path.text, size);
  view.state.root_size = size;
}

void find_root(const FilesView& view) {
  FilesState& state = view.state;
  struct stat status {};
  if (count_of(*state.shared) == 0 || !stat_root(view.api(), &status)) return;
  const ChangedRoot* root = root_of(*state.shared, status);
  if (root == nullptr) return;
  memcpy(state.root, root->name, root->size);
  state.root_size = root->size;
}

const char* name_of_root(const FilesView& view, uint32_t* size) {
  const FilesState& state = view.state;
  struct stat status {};
  const bool asks = has_own(view) || state.never_cache;
  if (asks && count_of(*state.shared) != 0 && stat_root(view.api(), &status)) {
    const ChangedRoot* root = root_of(*state.shared, status);
    *size = root == nullptr ? 0 : root->size;
    return root == nullptr ? "" : root->name;
  }
  *size = state.root_size;
  return state.root;
}

}  // namespace sysrewrite
