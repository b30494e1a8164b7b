// What a call has done with a file, from what it was asked to do and how it ended.
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "loader/hooks/address.h"
#include "loader/hooks/files_state.h"

namespace sysrewrite {

namespace {

FileKind kind_of_open(uint64_t flags, bool was_missing) {
  // With O_TMPFILE, which includes O_DIRECTORY, the path is that of the directory; the file has
  // none.
  if ((flags & (O_PATH | O_DIRECTORY)) != 0) return FileKind::kTest;
  if ((flags & O_CREAT) != 0 && (was_missing || (flags & O_EXCL) != 0)) return FileKind::kCreate;
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return (flags & O_TRUNC) != 0 ? FileKind::kWrite : FileKind::kRead;
    case O_WRONLY:
      return FileKind::kWrite;
    case O_RDWR:
      return FileKind::kReadWrite;
    default:
      return FileKind::kTest;  // 3: neither reading nor writing, for ioctl
  }
}

FileKind kind_of_success(PathUse use) {
  switch (use) {
    case PathUse::kTest:
      return FileKind::kTest;
    case PathUse::kRead:
      return FileKind::kRead;
    case PathUse::kWrite:
      return FileKind::kWrite;
    case PathUse::kCreate:
      return FileKind::kCreate;
    case PathUse::kDelete:
      return FileKind::kDelete;
    case PathUse::kMoveFrom:
      return FileKind::kRenameFrom;
    case PathUse::kMoveTo:
      return FileKind::kRenameTo;
    case PathUse::kLink:
      return FileKind::kLink;
    case PathUse::kChange:
      return FileKind::kChange;
    case PathUse::kExecute:
      return FileKind::kExecute;
    case PathUse::kEnter:
    case PathUse::kRoot:
      return FileKind::kEnter;
    case PathUse::kList:
      return FileKind::kList;
    case PathUse::kMount:
      return FileKind::kMount;
    case PathUse::kWatch:
      return FileKind::kWatch;
    case PathUse::kConnect:
      return FileKind::kConnect;
    case PathUse::kNothing:
    case PathUse::kOpen:
      break;
  }
  return FileKind::kNone;
}

FileKind kind_of_failure(PathUse use, int64_t error) {
  const bool creates = use == PathUse::kCreate || use == PathUse::kOpen;
  switch (error) {
    // The path was not the reason, or not looked at.
    case -EFAULT:
    case -ENOSYS:
    case -EBADF:
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOTSOCK:
    case -EAFNOSUPPORT:
    case SYSLOAD_RESTARTED:
      return FileKind::kNone;
    case -ENOENT:
    case -ENOTDIR:
      return use == PathUse::kList ? FileKind::kNone : FileKind::kMissing;
    case -EEXIST:
    case -EADDRINUSE:
      return creates ? FileKind::kTest : FileKind::kFailed;
    case -EINVAL:  // readlink of what is no link
      return use == PathUse::kRead ? FileKind::kTest : FileKind::kFailed;
    case -ENODATA:  // getxattr
    case -ERANGE:
    case -EOVERFLOW:  // name_to_handle_at, which says how large the handle is
    case -EOPNOTSUPP:
      return use == PathUse::kTest ? FileKind::kTest : FileKind::kFailed;
    case -EINPROGRESS:
    case -EAGAIN:
      return use == PathUse::kConnect ? FileKind::kConnect : FileKind::kFailed;
    case -EINTR:  // a signal was the reason; a connection goes on
      return use == PathUse::kConnect ? FileKind::kConnect : FileKind::kNone;
    default:
      return use == PathUse::kList ? FileKind::kNone : FileKind::kFailed;
  }
}

}  // namespace

FileKind kind_of(PathUse use, uint64_t flags, bool was_missing, int64_t result) {
  if (result < 0 && result >= -4095) return kind_of_failure(use, result);
  // The end of a directory: the call before it had the names.
  if (use == PathUse::kList && result == 0) return FileKind::kNone;
  return use == PathUse::kOpen ? kind_of_open(flags, was_missing) : kind_of_success(use);
}

FileKind kind_by_probe(const sysload_api& api, const FileName& name, int64_t result) {
  char byte = 0;
  const int64_t got =
      name.is_open ? 0 : api.syscall(__NR_readlink, word(name.path.text), word(&byte), 1, 0, 0, 0);
  if (got == -ENOENT || got == -ENOTDIR) return FileKind::kMissing;
  return result == -ENOENT || result == -ENOTDIR || result == -EEXIST ? FileKind::kTest
                                                                      : FileKind::kFailed;
}

}  // namespace sysrewrite
