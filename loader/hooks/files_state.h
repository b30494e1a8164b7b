// What the `files` hook knows: in each process, in each thread, and in the whole tree.
#ifndef SYSREWRITE_LOADER_HOOKS_FILES_STATE_H_
#define SYSREWRITE_LOADER_HOOKS_FILES_STATE_H_

#include <cstdint>

#include "loader/hooks/files_record.h"
#include "loader/hooks/files_set.h"
#include "loader/hooks/path_calls.h"
#include "loader/hooks/resolve.h"
#include "loader/include/sysload/hook.h"

namespace sysrewrite {

// A root directory that some process of the tree has changed to, so that what is executed there
// knows where it is: by the identity of "/".
struct ChangedRoot {
  uint32_t ready;
  uint32_t size;
  uint64_t device, inode;
  char name[kNameBytes];
};

// In the memory of the whole tree; 0 at first.
struct FilesShared {
  static constexpr uint32_t kMostRoots = 32;

  uint64_t renames;  // renames and mounts, by which names of working directories may change
  uint32_t root_count;
  uint32_t unused;
  uint64_t padding[6];
  uint64_t fingerprints[FingerprintSet::kWords];
  ChangedRoot roots[kMostRoots];
};

// The name of the process's working directory. Written by any of its threads, read by all: whoever
// writes makes `version` odd meanwhile, and a reader that saw it change does not believe what it
// read. A thread that is killed while it writes leaves it odd: then the kernel is asked each time.
struct DirectoryCache {
  uint32_t version;
  uint32_t size;
  uint64_t moves;    // FilesState::moves when it was asked for
  uint64_t renames;  // FilesShared::renames then
  char name[kNameBytes];
};

struct FilesState {
  FilesShared* shared;
  FileFormat format;
  bool started;      // its first thread has
  bool never_cache;  // something else than this process's threads may change its directory
  uint64_t pid;
  uint64_t moves;  // changes of the working directory in this process
  DirectoryCache directory;
  uint32_t root_size;  // of the name, outside, of what is "/" here; 0: it is "/"
  char root[kNameBytes];
};

struct FilesThread {
  uint32_t own_directory;  // it does not share the process's
  uint32_t unused[3];
};

// What the functions of the hook are given, together.
struct FilesView {
  sysload_hook* hook;
  FilesState& state;
  FilesThread* thread;

  const sysload_api& api() const { return *hook->api; }
};

// A path as this process sees it.
struct FileName {
  AbsolutePath path;
  bool outside = false;    // not below the root directory: its name is that of outside already
  bool is_open = false;    // an empty name: the descriptor's file, which may have been removed
  int32_t descriptor = 0;  // where it is open
};

// files_call.cc.
void before_call(const FilesView& view, sysload_call* call);
void behind_call(const FilesView& view, sysload_call* call);
// Whether the names in a call with this number are taken before it.
bool is_saved(uint32_t number);

// files_name.cc: finding names. False where the slot names nothing (an abstract socket, a pipe), or
// nothing that the kernel could read either.
bool locate(const FilesView& view, const sysload_call& call, const PathSlot& slot, FileName& name);
bool add_working_directory(const FilesView& view, FileName& name);

// files_open.cc: what was not there before an open that may create it.
enum class Absent : uint8_t { kNothing, kFile, kTarget };  // kTarget: of a link, which was
Absent absent_before(const FilesView& view, const sysload_call& call, const PathSlot& slot);
// By the name that the kernel has for the descriptor that a call has answered. False without one.
bool note_opened(const FilesView& view, FileKind kind, const sysload_call& call);

// files_kind.cc: what a call that ended this way has done with the file.
FileKind kind_of(PathUse use, uint64_t flags, bool was_missing, int64_t result);
// Of a call that failed and has two names, or whose error may be another file's.
FileKind kind_by_probe(const sysload_api& api, const FileName& name, int64_t result);

// files_root.cc: the name of "/" outside, told to the tree after a chroot, and found after an exec.
// After note(), which has made `name` the name outside.
void change_root(const FilesView& view, const FileName& name);
void find_root(const FilesView& view);
// The name of "/" outside; its size is 0 where it is "/" there too.
const char* name_of_root(const FilesView& view, uint32_t* size);

// files_note.cc. Makes it the name outside, without "..". False where that does not fit.
bool make_outside(const FilesView& view, FileName& name);
// Writing each record once. Whether it was new.
bool note(const FilesView& view, FileKind kind, FileName& name, int64_t error);
void note_incomplete(const FilesView& view, const char* reason);

// files_execution.cc. The program, if it can be executed, and what executes it: the interpreters of
// scripts, ld.so. `at_flags`: AT_SYMLINK_NOFOLLOW, or 0.
void note_execution(const FilesView& view, FileName& name, uint64_t at_flags);
// Of an execution that failed: the interpreter for whose sake it did.
void note_refusal(const FilesView& view, FileName& name, uint64_t at_flags);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_FILES_STATE_H_
