// Which argument of which system call names a file, and how the kernel looks the name up.
//
// A slot is one name: the argument that points to it, the argument that holds the descriptor it is
// relative to, whether a symbolic link at its end is followed, what an empty name means, and what
// the call does with the file. A call has at most two. Names that lie inside structures (socket
// addresses, openat2's flags) are marked by their use; who reads the table reads those himself.
//
// Sources: linux, fs/*.c, SYSCALL_DEFINE; man-pages 6, section 2.
#ifndef SYSREWRITE_LOADER_HOOKS_PATH_CALLS_H_
#define SYSREWRITE_LOADER_HOOKS_PATH_CALLS_H_

#include <cstdint>

namespace sysrewrite {

// What a call does with the file that a slot names.
enum class PathUse : uint8_t {
  kNothing,   // no such slot
  kOpen,      // what the flags of open say
  kTest,      // looks whether it is there, or of what kind
  kRead,      // its contents, a link's target, extended attributes
  kWrite,     // its contents
  kCreate,    // it is not there before
  kDelete,    //
  kMoveFrom,  // a name that is renamed
  kMoveTo,    // the name that it gets
  kLink,      // a file that gets another name
  kChange,    // mode, owner, times, attributes
  kExecute,   //
  kEnter,     // becomes the working directory
  kRoot,      // becomes the root directory
  kList,      // a directory's names
  kMount,     // a mount point, or what is mounted
  kWatch,     // changes are reported
  kConnect,   // a socket: other end
};

// Whether a symbolic link that is the name's last component is followed.
enum class LastLink : uint8_t {
  kFollowed,
  kNamed,           // the link itself is meant
  kNamedIfFlag,     // the slot's link_flag in the flags: named; else followed
  kFollowedIfFlag,  // the slot's link_flag in the flags: followed; else named
  kOpen,            // O_NOFOLLOW, or O_CREAT with O_EXCL: named
};

// Where a slot's name is, if not a string that an argument points to.
enum class PathForm : uint8_t {
  kString,
  kDescriptor,  // no name: the descriptor's file
  kSocket,      // struct sockaddr_un, whose size is the next argument
  kMessage,     // struct msghdr, in which a sockaddr_un is
};

constexpr uint8_t kNoArgument = 0xff;
constexpr uint16_t kAlwaysMayBeEmpty = 0xffff;

struct PathSlot {
  PathUse use = PathUse::kNothing;
  PathForm form = PathForm::kString;
  LastLink last = LastLink::kFollowed;
  uint8_t name = kNoArgument;       // the argument that names it
  uint8_t directory = kNoArgument;  // the descriptor it is relative to; none: working directory
  uint8_t flags = kNoArgument;      // the argument with AT_ or O_ flags, or the call's own
  uint16_t may_be_empty = 0;        // flags with which an empty name, or none, means the descriptor
  uint32_t link_flag = 0;           // the flag by which the link itself is meant, or is not
};

struct PathCall {
  uint16_t number = 0;
  PathSlot slot[2];
};

// nullptr where the call takes no path. The upper half of a number is not looked at: the kernel
// does not (arch/x86/entry/common.c, do_syscall_64).
const PathCall* path_call(uint64_t number);
// The same of a call with these arguments: mount has its source as a second slot where that is
// bound or moved; else it is a device, or a word for the file system. So has quotactl the file that
// Q_QUOTAON names.
const PathCall* path_call(uint64_t number, const uint64_t (&argument)[6]);
// With all slots that a call of this number can have.
const PathCall* widest_path_call(uint64_t number);

// Whether a call with these arguments may give an empty name, or none, for the descriptor's file.
bool may_be_empty(const PathSlot& slot, const uint64_t (&argument)[6]);

// Whether a link that is the name's last component is followed. `flags` is the argument that
// slot.flags names, or 0; `open_flags` are those of a call that opens, however it is given them.
bool follows_last(const PathSlot& slot, uint64_t flags, uint64_t open_flags);

// The table's rows, in the order of their numbers.
uint32_t path_call_count();
const PathCall& path_call_at(uint32_t index);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_PATH_CALLS_H_
