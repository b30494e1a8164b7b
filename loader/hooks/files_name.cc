// Which file a slot of a call names.
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/hooks/files_state.h"
#include "loader/hooks/open_flags.h"

namespace sysrewrite {

namespace {

constexpr uint16_t kUnix = 1;              // AF_UNIX
constexpr uint32_t kMostSocketName = 110;  // sizeof(struct sockaddr_un)

bool load_directory(const FilesView& view, FileName& name) {
  const FilesState& state = view.state;
  const DirectoryCache& cache = state.directory;
  const uint32_t version = __atomic_load_n(&cache.version, __ATOMIC_ACQUIRE);
  if (version == 0 || version % 2 != 0) return false;
  if (cache.moves != __atomic_load_n(&state.moves, __ATOMIC_RELAXED) ||
      cache.renames != __atomic_load_n(&state.shared->renames, __ATOMIC_RELAXED))
    return false;
  const uint32_t size = cache.size;
  if (size == 0 || size >= kNameBytes) return false;
  name.path.begin(cache.name, size);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return __atomic_load_n(&cache.version, __ATOMIC_RELAXED) == version;
}

void store_directory(FilesState& state, const char* text, uint32_t size, uint64_t moves,
                     uint64_t renames) {
  DirectoryCache& cache = state.directory;
  uint32_t version = __atomic_load_n(&cache.version, __ATOMIC_RELAXED);
  if (version % 2 != 0 || !__atomic_compare_exchange_n(&cache.version, &version, version + 1, false,
                                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    return;
  cache.moves = moves;
  cache.renames = renames;
  cache.size = size;
  memcpy(cache.name, text, size);
  __atomic_store_n(&cache.version, version + 2, __ATOMIC_RELEASE);
}

// An O_TMPFILE's, which never had a name: "#" and the inode's number. Source: linux, fs/dcache.c,
// d_mark_tmpfile().
bool is_nameless(const char* text, uint32_t size) {
  uint32_t from = size;
  while (from != 0 && text[from - 1] >= '0' && text[from - 1] <= '9') --from;
  return from != size && from > 1 && text[from - 1] == '#' && text[from - 2] == '/';
}

// A name from the kernel that is not to be had, although there is a file.
void note_nameless(const FilesView& view, int64_t error) {
  if (error == -ENAMETOOLONG)
    note_incomplete(
        view,
        "names of directories longer than 4095 bytes, and what is relative to them, are not known");
}

bool add_descriptor(const FilesView& view, uint64_t argument, FileName& name) {
  const auto descriptor = static_cast<int32_t>(argument);
  if (descriptor == AT_FDCWD) return add_working_directory(view, name);
  char text[kNameBytes];
  const int64_t got = name_of_descriptor(view.api(), descriptor, text, sizeof(text));
  if (got == -ENOENT && view.api().syscall(__NR_fcntl, argument, F_GETFD, 0, 0, 0, 0) >= 0)
    note_incomplete(view, "/proc: not mounted, so names relative to descriptors are not known");
  if (got < 0) note_nameless(view, got);
  if (got <= 0 || text[0] != '/') return false;
  const char memory[] = "/memfd:";
  if (memcmp(text, memory, sizeof(memory) - 1) == 0) return false;
  auto size = static_cast<uint32_t>(got);
  text[size] = 0;
  uint32_t root_size = 0;
  if (is_removed_name(view.api(), descriptor, text, size)) {
    size -= kRemovedSuffix;
    if (is_nameless(text, size)) return false;
  } else if (name_of_root(view, &root_size), root_size != 0) {
    // The kernel says what it is called in there, or, of what is not in there, outside.
    name.outside = !leads_to(view.api(), text, descriptor);
  }
  name.path.begin(text, size);
  return true;
}

bool add_socket(const FilesView& view, uint64_t address, uint64_t size, FileName& name) {
  char bytes[kMostSocketName + 1];
  if (address == 0 || size <= 2 || size > 128) return false;
  if (size > kMostSocketName) size = kMostSocketName;
  if (view.api().read(bytes, address, size) != static_cast<int64_t>(size)) return false;
  uint16_t family = 0;
  memcpy(&family, bytes, sizeof(family));
  bytes[size] = 0;
  if (family != kUnix || bytes[2] == 0) return false;
  if (bytes[2] != '/' && !add_working_directory(view, name)) return false;
  return name.path.add(bytes + 2, static_cast<uint32_t>(strlen(bytes + 2)));
}

bool add_message(const FilesView& view, uint64_t address, FileName& name) {
  uint64_t head[2];  // msg_name, msg_namelen
  if (view.api().read(head, address, sizeof(head)) != static_cast<int64_t>(sizeof(head)))
    return false;
  return head[0] != 0 && add_socket(view, head[0], static_cast<uint32_t>(head[1]), name);
}

// An empty name, or none, that is allowed: the descriptor's file. Looking at an open file is no use
// of a path: that is how glibc's fstat does it.
bool add_empty(const FilesView& view, const sysload_call& call, const PathSlot& slot,
               FileName& name) {
  if (slot.use == PathUse::kTest || !may_be_empty(slot, call.argument)) return false;
  name.is_open = true;
  name.descriptor = static_cast<int32_t>(call.argument[slot.directory]);
  return add_descriptor(view, call.argument[slot.directory], name);
}

}  // namespace

bool add_working_directory(const FilesView& view, FileName& name) {
  FilesState& state = view.state;
  const bool cached =
      !state.never_cache && view.thread != nullptr && view.thread->own_directory == 0;
  if (cached && load_directory(view, name)) return true;
  // Before the kernel is asked: what changes meanwhile makes the answer old.
  const uint64_t moves = __atomic_load_n(&state.moves, __ATOMIC_RELAXED);
  const uint64_t renames = __atomic_load_n(&state.shared->renames, __ATOMIC_RELAXED);
  char text[kNameBytes];
  const int64_t got = name_of_working_directory(view.api(), text, sizeof(text));
  const char unreachable[] = "(unreachable)";
  const uint32_t prefix = sizeof(unreachable) - 1;
  if (got < 0) note_nameless(view, got);
  if (got <= 0) return false;
  const auto size = static_cast<uint32_t>(got);
  if (size > prefix && memcmp(text, unreachable, prefix) == 0) {
    name.outside = true;
    name.path.begin(text + prefix, size - prefix);
    return true;
  }
  if (text[0] != '/') return false;
  name.path.begin(text, size);
  if (cached) store_directory(state, text, size, moves, renames);
  return true;
}

bool locate(const FilesView& view, const sysload_call& call, const PathSlot& slot, FileName& name) {
  const uint64_t* argument = call.argument;
  if (slot.form == PathForm::kDescriptor)
    return add_descriptor(view, argument[slot.directory], name);
  if (slot.form == PathForm::kSocket)
    return add_socket(view, argument[slot.name], static_cast<uint32_t>(argument[slot.name + 1]),
                      name);
  if (slot.form == PathForm::kMessage) return add_message(view, argument[slot.name], name);
  if (argument[slot.name] == 0) return add_empty(view, call, slot, name);
  char text[kNameBytes];
  const int64_t got = view.api().read_string(text, argument[slot.name], sizeof(text));
  if (got < 0) return false;
  if (got == 0) return add_empty(view, call, slot, name);
  const bool own_root = open_flags(view.api(), call).have_own_root();
  const char* from = text;
  auto size = static_cast<uint32_t>(got);
  for (; own_root && size != 0 && *from == '/'; --size) ++from;
  if (own_root || *from != '/') {
    const bool based = slot.directory == kNoArgument
                           ? add_working_directory(view, name)
                           : add_descriptor(view, argument[slot.directory], name);
    if (!based) return false;
  }
  if (own_root && name.path.size > 1) name.path.floor = name.path.size;
  return name.path.add(from, size);
}

}  // namespace sysrewrite
