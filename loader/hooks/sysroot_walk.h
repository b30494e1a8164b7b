// Where a path leads, in a program's view of which one directory of the host, the sysroot, covers
// the host's root.
//
// A path is gone component by component below the sysroot, as chroot would have it: ".." of its top
// is its top, an absolute link begins at its top. What is there, is meant. Where a component is not
// there:
//
//   in the middle: the rest is the host's, below what has been gone so far. So /proc/self is the
//     host's although the sysroot has an empty /proc.
//   the last one: the host's, if it is there. If it is nowhere, a call that creates it creates it
//     in the sysroot, whose directory was found; for others it is missing, at the host's name.
//   the last one, as the new name of rename and link: in the sysroot, whatever the host has: it
//     would otherwise replace a file of the host's, or leave the file system that the old name is
//     in.
//   below a directory that the host has as a file, or will not have searched: in the sysroot.
//
// From the first component on that is the host's, the kernel goes on alone: links and ".." there
// are the host's. So it does from the first link of a procfs on that is mounted in the sysroot.
//
// Each component below the sysroot costs one readlink, ".." too: a file has no parent; the one that
// is missing a second one; each link, one statfs and what its target costs. No descriptor is
// opened: other threads would see it.
#ifndef SYSREWRITE_LOADER_HOOKS_SYSROOT_WALK_H_
#define SYSREWRITE_LOADER_HOOKS_SYSROOT_WALK_H_

#include <cstdint>

#include "loader/hooks/resolve.h"

namespace sysrewrite {

// Absolute, normal, without links; not "/".
struct Sysroot {
  const char* name;
  uint32_t size;

  // `path` without the sysroot's name before it, "/" for the sysroot itself. nullptr where it does
  // not lie below.
  const char* inside(const char* path, uint32_t path_size, uint32_t* size_inside) const;
};

enum class Purpose : uint8_t {
  kExisting,  // the file is to be there
  kCreating,  // it may not be there
  kNewName,   // of rename and link
};

enum class WalkEnd : uint8_t {
  kSysroot,    // `path` is the host's name of it, below the sysroot
  kHost,       // `path` is the host's name of it, elsewhere
  kUnchanged,  // the host's, and its name is the one that was given
  kTooLong,
  kLinks,  // too many, or one that is not to be followed
};

// What becomes of a link that the name ends in.
enum class NameEnd : uint8_t {
  kFollowed,
  kNamed,  // it is meant itself, but where a slash stands behind it
  kEntry,  // the directory's entry of this name is made, removed or renamed: no link at its end is
           // followed, with a slash or without, and the kernel has its own word for "." and ".."
};

// Absolute, as the program sees it.
struct SysrootName {
  const char* text;
  uint32_t size;
  Purpose purpose;
  NameEnd end;
  bool refuses_links;  // RESOLVE_NO_SYMLINKS
  bool is_inside;  // it was given relative to a directory of the sysroot: the host has no such name
};

// `path` is only scratch where the end says kUnchanged.
WalkEnd walk_sysroot(const sysload_api& api, const Sysroot& root, const SysrootName& name,
                     AbsolutePath& path);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_SYSROOT_WALK_H_
