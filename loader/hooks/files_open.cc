// What open makes: whether a file is new is known before the call alone, and the name of what it
// has opened by way of a link, behind it.
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>

#include "loader/hooks/address.h"
#include "loader/hooks/files_state.h"
#include "loader/hooks/open_flags.h"

namespace sysrewrite {

namespace {

struct Look {
  int64_t error;
  bool may_be_link;
};

// Looks where the call is going to look: what openat2 says of links and roots counts here, too.
Look look_for(const sysload_api& api, uint64_t directory, uint64_t name, uint64_t resolve,
              bool follows) {
  if (resolve == 0) {
    struct stat status {};
    const uint64_t flags = follows ? 0 : AT_SYMLINK_NOFOLLOW;
    const int64_t got = api.syscall(__NR_newfstatat, directory, name, word(&status), flags, 0, 0);
    return {got, S_ISLNK(status.st_mode)};
  }
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW);
  how.resolve = resolve;
  const int64_t opened = api.syscall(__NR_openat2, directory, name, word(&how), sizeof(how), 0, 0);
  if (opened < 0) return {opened, false};
  api.syscall(__NR_close, static_cast<uint64_t>(opened), 0, 0, 0, 0, 0);
  return {0, true};
}

}  // namespace

Absent absent_before(const FilesView& view, const sysload_call& call, const PathSlot& slot) {
  const OpenFlags open = open_flags(view.api(), call);
  if ((open.flags & (O_CREAT | O_EXCL)) != O_CREAT) return Absent::kNothing;
  const auto directory = slot.directory == kNoArgument ? static_cast<uint64_t>(AT_FDCWD)
                                                       : call.argument[slot.directory];
  const uint64_t name = call.argument[slot.name];
  const Look itself = look_for(view.api(), directory, name, open.resolve, false);
  if (itself.error == -ENOENT) return Absent::kFile;
  if (itself.error != 0 || !itself.may_be_link) return Absent::kNothing;
  const Look target = look_for(view.api(), directory, name, open.resolve, true);
  return target.error == -ENOENT ? Absent::kTarget : Absent::kNothing;
}

bool note_opened(const FilesView& view, FileKind kind, const sysload_call& call) {
  char text[kNameBytes];
  const int64_t got =
      name_of_descriptor(view.api(), static_cast<int32_t>(call.result), text, sizeof(text));
  if (got <= 0 || text[0] != '/') return false;
  FileName name;
  name.path.begin(text, static_cast<uint32_t>(got));
  note(view, kind, name, 0);
  return true;
}

}  // namespace sysrewrite
