#include "loader/hooks/open_flags.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>

namespace sysrewrite {

bool OpenFlags::have_own_root() const {
  return (resolve & RESOLVE_IN_ROOT) != 0;
}

OpenFlags open_flags(const sysload_api& api, const sysload_call& call) {
  switch (static_cast<uint32_t>(call.number)) {
    case __NR_open:
      return {call.argument[1], 0, true};
    case __NR_creat:
      return {O_CREAT | O_WRONLY | O_TRUNC, 0, true};
    case __NR_openat:
      return {call.argument[2], 0, true};
    case __NR_openat2: {
      open_how how{};
      if (api.read(&how, call.argument[2], sizeof(how)) != int64_t{sizeof(how)})
        return {0, 0, false};
      return {how.flags, how.resolve, true};
    }
    default:
      return {};
  }
}

}  // namespace sysrewrite
