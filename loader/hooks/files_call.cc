// What is done for one call of the program's, before it and behind it.
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <linux/stat.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/files_state.h"
#include "loader/hooks/open_flags.h"

namespace sysrewrite {

namespace {

uint32_t number_of(const sysload_call& call) {
  return static_cast<uint32_t>(call.number);
}

// --- names that are taken before the call ---

struct SavedName {
  uint32_t size, floor;
  bool has_parents, wants_directory, outside;
  char text[];
};

// In scratch[i]; 0 where there is no memory for it, and then it is found behind the call.
void save_name(const FilesView& view, sysload_call& call, uint32_t i, const PathSlot& slot) {
  FileName name;
  if (!locate(view, call, slot, name)) return;
  // Behind the call "/" is another directory.
  if (slot.use == PathUse::kRoot && !make_outside(view, name)) return;
  auto* saved =
      static_cast<SavedName*>(view.api().call_memory(&call, sizeof(SavedName) + name.path.size));
  if (saved == nullptr) return;
  saved->size = name.path.size;
  saved->floor = name.path.floor;
  saved->has_parents = name.path.has_parents;
  saved->wants_directory = name.path.wants_directory;
  saved->outside = name.outside;
  memcpy(saved->text, name.path.text, name.path.size);
  call.scratch[i] = word(saved);
}

void take_saved(uint64_t from, FileName& name) {
  const auto& saved = *at_word<const SavedName>(from);
  name.path.begin(saved.text, saved.size);
  if (saved.size == 1) name.path.add("/", 1);
  name.path.floor = saved.floor;
  name.path.has_parents = saved.has_parents;
  name.path.wants_directory = saved.wants_directory;
  name.outside = saved.outside;
}

// --- before the call ---

uint64_t at_flags_of(const sysload_call& call, const PathSlot& slot) {
  return slot.flags == kNoArgument ? 0 : call.argument[slot.flags] & AT_SYMLINK_NOFOLLOW;
}

void before_execution(const FilesView& view, const sysload_call& call, const PathSlot& slot) {
  FileName name;
  if (locate(view, call, slot, name)) note_execution(view, name, at_flags_of(call, slot));
}

// Children that share the directory but not the memory change it unseen, and so do threads that
// have one of their own in a process where the others' is remembered, or that of a thread which
// has.
void before_clone(const FilesView& view, const sysload_call& call) {
  uint64_t flags = call.argument[0];
  if (number_of(call) == __NR_clone3 &&
      view.api().read(&flags, call.argument[0], sizeof(flags)) != int64_t{sizeof(flags)})
    return;
  const bool shares_memory = (flags & CLONE_VM) != 0, shares_directory = (flags & CLONE_FS) != 0;
  const bool is_thread = (flags & CLONE_THREAD) != 0;
  const bool has_own = view.thread != nullptr && view.thread->own_directory != 0;
  if (shares_directory ? !shares_memory || !is_thread || has_own : is_thread)
    __atomic_store_n(&view.state.never_cache, true, __ATOMIC_RELAXED);
}

}  // namespace

bool is_saved(uint32_t number) {
  switch (number) {
    case __NR_chdir:
    case __NR_chroot:
    case __NR_rename:
    case __NR_renameat:
    case __NR_renameat2:
    case __NR_pivot_root:
      return true;
    default:
      return false;
  }
}

void before_call(const FilesView& view, sysload_call* call) {
  const uint32_t number = number_of(*call);
  if (number == __NR_clone || number == __NR_clone3) before_clone(view, *call);
  const PathCall* row = path_call(number, call->argument);
  if (row == nullptr) return;
  if (row->slot[0].use == PathUse::kOpen)
    call->scratch[2] = static_cast<uint64_t>(absent_before(view, *call, row->slot[0]));
  if (row->slot[0].use == PathUse::kExecute) before_execution(view, *call, row->slot[0]);
  if (is_saved(number)) {
    for (uint32_t i = 0; i < 2; ++i)
      if (row->slot[i].use != PathUse::kNothing) save_name(view, *call, i, row->slot[i]);
  }
}

// --- behind it ---

namespace {

// By the kind of namespace that setns was told, or that of the descriptor.
bool may_enter_mounts(const sysload_api& api, const sysload_call& call) {
  int64_t kind = static_cast<int32_t>(call.argument[1]);
  if (kind == 0) kind = api.syscall(__NR_ioctl, call.argument[0], NS_GET_NSTYPE, 0, 0, 0, 0);
  return kind < 0 || (kind & CLONE_NEWNS) != 0;
}

// What a call that was made has changed for names to come.
void after_success(const FilesView& view, uint32_t number, const sysload_call& call) {
  FilesState& state = view.state;
  switch (number) {
    case __NR_chdir:
    case __NR_fchdir:
    case __NR_chroot:
      __atomic_fetch_add(&state.moves, 1, __ATOMIC_RELAXED);
      return;
    case __NR_unshare:
      if ((call.argument[0] & (CLONE_FS | CLONE_NEWNS | CLONE_NEWUSER)) != 0 &&
          view.thread != nullptr)
        view.thread->own_directory = 1;
      return;
    case __NR_setns:
      if (!may_enter_mounts(view.api(), call)) return;
      if (view.thread != nullptr) view.thread->own_directory = 1;
      return note_incomplete(view, "setns: paths may be those of another mount namespace");
    case __NR_pivot_root:
      note_incomplete(view, "pivot_root: paths are those below the new root directory");
      [[fallthrough]];
    case __NR_rename:
    case __NR_renameat:
    case __NR_renameat2:
    case __NR_mount:
    case __NR_umount2:
    case __NR_move_mount:
      __atomic_fetch_add(&state.shared->renames, 1, __ATOMIC_RELAXED);
      return;
    case __NR_io_uring_setup:
      return note_incomplete(view, "io_uring: what is done through a ring is not seen");
    default:
      return;
  }
}

void after_slot(const FilesView& view, const sysload_call& call, uint32_t i, const PathCall& row) {
  const PathSlot& slot = row.slot[i];
  const int64_t result = call.result;
  const OpenFlags open = open_flags(view.api(), call);
  // openat2 did not look to the end: names were not cached, or changed meanwhile.
  if (result == -EAGAIN && open.resolve != 0) return;
  const auto absent = static_cast<Absent>(call.scratch[2]);
  FileKind kind = kind_of(slot.use, open.flags, absent != Absent::kNothing, result);
  if (kind == FileKind::kNone) return;
  FileName name;
  if (call.scratch[i] != 0 && is_saved(row.number)) {
    take_saved(call.scratch[i], name);
  } else if (!locate(view, call, slot, name)) {
    return;
  }
  // ENOENT says of an empty name that it is empty.
  if (name.is_open && kind == FileKind::kMissing) return;
  const bool ambiguous = row.slot[1].use != PathUse::kNothing || slot.use == PathUse::kExecute ||
                         row.number == __NR_mount;
  if (kind == FileKind::kCreate && absent == Absent::kTarget && note_opened(view, kind, call))
    kind = FileKind::kRead;  // of the link
  if (result < 0 && ambiguous) kind = kind_by_probe(view.api(), name, result);
  note(view, kind, name, result < 0 ? result : 0);
  if (slot.use == PathUse::kRoot && result == 0) change_root(view, name);
}

// The file that was named may be there, and an interpreter not.
void after_execution(const FilesView& view, const sysload_call& call, const PathSlot& slot) {
  FileName name;
  if (locate(view, call, slot, name)) note_refusal(view, name, at_flags_of(call, slot));
}

bool names_absolute(const FilesView& view, uint64_t address) {
  char first = 0;
  return view.api().read(&first, address, 1) == 1 && first == '/';
}

// A device that was mounted, or that was not to be had. Of most file systems what stands in its
// place is a word, which may look like a path.
void after_mount_of_device(const FilesView& view, const sysload_call& call) {
  constexpr uint64_t kOfMounts = MS_REMOUNT | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;
  PathSlot source;
  source.use = PathUse::kMount;
  source.name = 0;
  FileName name;
  if ((call.argument[3] & kOfMounts) != 0 || !locate(view, call, source, name)) return;
  struct stat status {};
  const int64_t found =
      view.api().syscall(__NR_stat, word(name.path.text), word(&status), 0, 0, 0, 0);
  const bool is_device = found == 0 && S_ISBLK(status.st_mode);
  if (is_device || call.result == -ENOTBLK)
    note(view, kind_of(source.use, 0, false, call.result), name, call.result);
  else if (found == -ENOENT && call.result == -ENOENT && names_absolute(view, call.argument[0]))
    note(view, FileKind::kMissing, name, call.result);
}

}  // namespace

void behind_call(const FilesView& view, sysload_call* call) {
  const uint32_t number = number_of(*call);
  const PathCall* row = path_call(number, call->argument);
  if (row != nullptr) {
    after_slot(view, *call, 0, *row);
    if (row->slot[1].use != PathUse::kNothing)
      after_slot(view, *call, 1, *row);
    else if (number == __NR_mount)
      after_mount_of_device(view, *call);
  }
  if (call->result < 0) {
    if (row != nullptr && row->slot[0].use == PathUse::kExecute &&
        call->result != SYSLOAD_RESTARTED)
      after_execution(view, *call, row->slot[0]);
    return;
  }
  if (number == __NR_open_by_handle_at)
    note_opened(view, kind_of(PathUse::kOpen, call->argument[2], false, call->result), *call);
  after_success(view, number, *call);
}

}  // namespace sysrewrite
