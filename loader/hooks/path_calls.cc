#include "loader/hooks/path_calls.h"

#include <asm/unistd.h>
#include <linux/fanotify.h>
#include <linux/fcntl.h>
#include <linux/inotify.h>
#include <linux/mount.h>
#include <linux/quota.h>

#include <iterator>

namespace sysrewrite {

namespace {

// The makers of slots, so that a row reads like the call's declaration.

constexpr uint16_t kAtEmptyPath = 0x1000;  // <linux/fcntl.h>
constexpr uint32_t kUmountNoFollow = 8;    // linux, include/linux/fs.h

// What becomes of a link at the name's end, and by which flag.
struct LinkRule {
  LastLink last;
  uint32_t flag = 0;
};
constexpr LinkRule kFollowed = {LastLink::kFollowed};
constexpr LinkRule kNamed = {LastLink::kNamed};
constexpr LinkRule named_if(uint32_t flag) {
  return {LastLink::kNamedIfFlag, flag};
}
constexpr LinkRule followed_if(uint32_t flag) {
  return {LastLink::kFollowedIfFlag, flag};
}
constexpr LinkRule kNamedIf = named_if(AT_SYMLINK_NOFOLLOW);
constexpr LinkRule kFollowedIf = followed_if(AT_SYMLINK_FOLLOW);

constexpr PathSlot path(PathUse use, uint8_t name, LinkRule link = kFollowed,
                        uint8_t flags = kNoArgument) {
  return {use, PathForm::kString, link.last, name, kNoArgument, flags, 0, link.flag};
}
constexpr PathSlot at(PathUse use, uint8_t directory, LinkRule link = kFollowed,
                      uint8_t flags = kNoArgument, uint16_t may_be_empty = 0) {
  return {use,   PathForm::kString, link.last, static_cast<uint8_t>(directory + 1), directory,
          flags, may_be_empty,      link.flag};
}
constexpr PathSlot descriptor(PathUse use, uint8_t argument) {
  return {use, PathForm::kDescriptor, LastLink::kFollowed, kNoArgument, argument, kNoArgument, 0};
}
constexpr PathSlot socket(PathUse use, uint8_t argument, LinkRule link = kFollowed) {
  return {use, PathForm::kSocket, link.last, argument, kNoArgument, kNoArgument, 0};
}
constexpr PathSlot opened(uint8_t name, uint8_t directory, uint8_t flags) {
  return {PathUse::kOpen, PathForm::kString, LastLink::kOpen, name, directory, flags, 0};
}
constexpr PathSlot none() {
  return {};
}

using enum PathUse;

constexpr PathCall kCalls[] = {
    {2, {opened(0, kNoArgument, 1), none()}},                                // open
    {4, {path(kTest, 0), none()}},                                           // stat
    {6, {path(kTest, 0, kNamed), none()}},                                   // lstat
    {21, {path(kTest, 0), none()}},                                          // access
    {42, {socket(kConnect, 1), none()}},                                     // connect
    {44, {socket(kConnect, 4), none()}},                                     // sendto
    {46, {{kConnect, PathForm::kMessage, LastLink::kFollowed, 1}, none()}},  // sendmsg
    {49, {socket(kCreate, 1, kNamed), none()}},                              // bind
    {59, {path(kExecute, 0), none()}},                                       // execve
    {76, {path(kWrite, 0), none()}},                                         // truncate
    {78, {descriptor(kList, 0), none()}},                                    // getdents
    {80, {path(kEnter, 0), none()}},                                         // chdir
    {81, {descriptor(kEnter, 0), none()}},                                   // fchdir
    {82, {path(kMoveFrom, 0, kNamed), path(kMoveTo, 1, kNamed)}},            // rename
    {83, {path(kCreate, 0, kNamed), none()}},                                // mkdir
    {84, {path(kDelete, 0, kNamed), none()}},                                // rmdir
    {85, {path(kOpen, 0), none()}},                                          // creat
    {86, {path(kLink, 0, kNamed), path(kCreate, 1, kNamed)}},                // link
    {87, {path(kDelete, 0, kNamed), none()}},                                // unlink
    {88, {path(kCreate, 1, kNamed), none()}},                                // symlink
    {89, {path(kRead, 0, kNamed), none()}},                                  // readlink
    {90, {path(kChange, 0), none()}},                                        // chmod
    {91, {descriptor(kChange, 0), none()}},                                  // fchmod
    {92, {path(kChange, 0), none()}},                                        // chown
    {93, {descriptor(kChange, 0), none()}},                                  // fchown
    {94, {path(kChange, 0, kNamed), none()}},                                // lchown
    {132, {path(kChange, 0), none()}},                                       // utime
    {133, {path(kCreate, 0, kNamed), none()}},                               // mknod
    {134, {path(kRead, 0), none()}},                                         // uselib
    {137, {path(kTest, 0), none()}},                                         // statfs
    {155, {path(kMount, 0), path(kMount, 1)}},                               // pivot_root
    {161, {path(kRoot, 0), none()}},                                         // chroot
    {163, {path(kWrite, 0), none()}},                                        // acct
    {165, {path(kMount, 1), none()}},                                        // mount
    {166, {path(kMount, 0, named_if(kUmountNoFollow), 1), none()}},          // umount2
    {167, {path(kMount, 0), none()}},                                        // swapon
    {168, {path(kMount, 0), none()}},                                        // swapoff
    {179, {path(kTest, 1), none()}},                                         // quotactl
    {188, {path(kChange, 0), none()}},                                       // setxattr
    {189, {path(kChange, 0, kNamed), none()}},                               // lsetxattr
    {190, {descriptor(kChange, 0), none()}},                                 // fsetxattr
    {191, {path(kTest, 0), none()}},                                         // getxattr
    {192, {path(kTest, 0, kNamed), none()}},                                 // lgetxattr
    {194, {path(kTest, 0), none()}},                                         // listxattr
    {195, {path(kTest, 0, kNamed), none()}},                                 // llistxattr
    {197, {path(kChange, 0), none()}},                                       // removexattr
    {198, {path(kChange, 0, kNamed), none()}},                               // lremovexattr
    {199, {descriptor(kChange, 0), none()}},                                 // fremovexattr
    {217, {descriptor(kList, 0), none()}},                                   // getdents64
    {235, {path(kChange, 0), none()}},                                       // utimes
    {254, {path(kWatch, 1, named_if(IN_DONT_FOLLOW), 2), none()}},           // inotify_add_watch
    {257, {opened(1, 0, 2), none()}},                                        // openat
    {258, {at(kCreate, 0, kNamed), none()}},                                 // mkdirat
    {259, {at(kCreate, 0, kNamed), none()}},                                 // mknodat
    {260, {at(kChange, 0, kNamedIf, 4, kAtEmptyPath), none()}},              // fchownat
    {261, {at(kChange, 0, kFollowed, kNoArgument, kAlwaysMayBeEmpty), none()}},   // futimesat
    {262, {at(kTest, 0, kNamedIf, 3, kAtEmptyPath), none()}},                     // newfstatat
    {263, {at(kDelete, 0, kNamed), none()}},                                      // unlinkat
    {264, {at(kMoveFrom, 0, kNamed), at(kMoveTo, 2, kNamed)}},                    // renameat
    {265, {at(kLink, 0, kFollowedIf, 4, kAtEmptyPath), at(kCreate, 2, kNamed)}},  // linkat
    {266, {at(kCreate, 1, kNamed), none()}},                                      // symlinkat
    {267, {at(kRead, 0, kNamed, kNoArgument, kAlwaysMayBeEmpty), none()}},        // readlinkat
    {268, {at(kChange, 0), none()}},                                              // fchmodat
    {269, {at(kTest, 0), none()}},                                                // faccessat
    {280, {at(kChange, 0, kNamedIf, 3, kAlwaysMayBeEmpty), none()}},              // utimensat
    {301,
     {{kWatch, PathForm::kString, LastLink::kNamedIfFlag, 4, 3, 1, kAlwaysMayBeEmpty,
       FAN_MARK_DONT_FOLLOW},
      none()}},                                                   // fanotify_mark
    {303, {at(kTest, 0, kFollowedIf, 4, kAtEmptyPath), none()}},  // name_to_handle_at
    {316, {at(kMoveFrom, 0, kNamed), at(kMoveTo, 2, kNamed)}},    // renameat2
    {322, {at(kExecute, 0, kNamedIf, 4, kAtEmptyPath), none()}},  // execveat
    {332, {at(kTest, 0, kNamedIf, 2, kAtEmptyPath), none()}},     // statx
    {428, {at(kTest, 0, kNamedIf, 2, kAtEmptyPath), none()}},     // open_tree
    {429,
     {at(kMount, 0, followed_if(MOVE_MOUNT_F_SYMLINKS), 4, MOVE_MOUNT_F_EMPTY_PATH),
      at(kMount, 2, followed_if(MOVE_MOUNT_T_SYMLINKS), 4,
         MOVE_MOUNT_T_EMPTY_PATH)}},  // move_mount
    {433,
     {at(kMount, 0, named_if(FSPICK_SYMLINK_NOFOLLOW), 2, FSPICK_EMPTY_PATH), none()}},  // fspick
    {437, {opened(1, 0, kNoArgument), none()}},                                          // openat2
    {439, {at(kTest, 0, kNamedIf, 3, kAtEmptyPath), none()}},    // faccessat2
    {442, {at(kMount, 0, kNamedIf, 2, kAtEmptyPath), none()}},   // mount_setattr
    {452, {at(kChange, 0, kNamedIf, 3, kAtEmptyPath), none()}},  // fchmodat2
    {463, {at(kChange, 0, kNamedIf, 2, kAtEmptyPath), none()}},  // setxattrat
    {464, {at(kTest, 0, kNamedIf, 2, kAtEmptyPath), none()}},    // getxattrat
    {465, {at(kTest, 0, kNamedIf, 2, kAtEmptyPath), none()}},    // listxattrat
    {466, {at(kChange, 0, kNamedIf, 2, kAtEmptyPath), none()}},  // removexattrat
    {467, {at(kTest, 0, kNamedIf, 2, kAtEmptyPath), none()}},    // open_tree_attr
    {468, {at(kTest, 0, kNamedIf, 4, kAtEmptyPath), none()}},    // file_getattr
    {469, {at(kChange, 0, kNamedIf, 4, kAtEmptyPath), none()}},  // file_setattr
};

// Rows with the second name that some calls of their number have.
constexpr PathCall kMountOfPath = {__NR_mount, {path(kMount, 1), path(kMount, 0)}};
constexpr PathCall kQuotaInFile = {__NR_quotactl, {path(kTest, 1), path(kWrite, 3)}};

// Source: linux, fs/namespace.c, path_mount().
bool mounts_path(uint64_t flags) {
  constexpr uint64_t kPropagation = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;
  if ((flags & MS_REMOUNT) != 0) return false;
  if ((flags & MS_BIND) != 0) return true;
  return (flags & kPropagation) == 0 && (flags & MS_MOVE) != 0;
}

// Source: linux, fs/quota/quota.c, SYSCALL_DEFINE4(quotactl).
bool turns_quota_on(uint64_t command) {
  return static_cast<uint32_t>(command) >> SUBCMDSHIFT == Q_QUOTAON;
}

bool has_second_name(uint16_t number, const uint64_t (&argument)[6]) {
  return number == __NR_mount ? mounts_path(argument[3]) : turns_quota_on(argument[0]);
}

constexpr uint32_t kNumbers = 512;

// Row + 1 of each number; 0 where there is none.
struct Index {
  uint8_t row[kNumbers] = {};
};
constexpr Index make_index() {
  static_assert(std::size(kCalls) < 255);
  Index index;
  for (uint32_t i = 0; i < std::size(kCalls); ++i)
    index.row[kCalls[i].number] = static_cast<uint8_t>(i + 1);
  return index;
}
constexpr Index kIndex = make_index();

constexpr bool numbers_ascend() {
  for (uint32_t i = 1; i < std::size(kCalls); ++i)
    if (kCalls[i - 1].number >= kCalls[i].number) return false;
  return kCalls[std::size(kCalls) - 1].number < kNumbers;
}
static_assert(numbers_ascend());

}  // namespace

const PathCall* path_call(uint64_t number) {
  const auto low = static_cast<uint32_t>(number);
  if (low >= kNumbers || kIndex.row[low] == 0) return nullptr;
  return &kCalls[kIndex.row[low] - 1];
}

const PathCall* path_call(uint64_t number, const uint64_t (&argument)[6]) {
  const PathCall* row = path_call(number);
  const PathCall* widest = widest_path_call(number);
  return row == widest || !has_second_name(row->number, argument) ? row : widest;
}

const PathCall* widest_path_call(uint64_t number) {
  switch (static_cast<uint32_t>(number)) {
    case __NR_mount:
      return &kMountOfPath;
    case __NR_quotactl:
      return &kQuotaInFile;
    default:
      return path_call(number);
  }
}

bool may_be_empty(const PathSlot& slot, const uint64_t (&argument)[6]) {
  if (slot.may_be_empty == kAlwaysMayBeEmpty) return true;
  return slot.flags != kNoArgument && (argument[slot.flags] & slot.may_be_empty) != 0;
}

bool follows_last(const PathSlot& slot, uint64_t flags, uint64_t open_flags) {
  switch (slot.last) {
    case LastLink::kFollowed:
      return true;
    case LastLink::kNamed:
      return false;
    case LastLink::kNamedIfFlag:
      return (flags & slot.link_flag) == 0;
    case LastLink::kFollowedIfFlag:
      return (flags & slot.link_flag) != 0;
    case LastLink::kOpen:
      return (open_flags & O_NOFOLLOW) == 0 &&
             (open_flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
  }
  return true;
}

uint32_t path_call_count() {
  return static_cast<uint32_t>(std::size(kCalls));
}

const PathCall& path_call_at(uint32_t index) {
  return kCalls[index];
}

}  // namespace sysrewrite
