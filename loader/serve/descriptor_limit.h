// Room for a descriptor where the program has used up its own.
#ifndef SYSREWRITE_LOADER_SERVE_DESCRIPTOR_LIMIT_H_
#define SYSREWRITE_LOADER_SERVE_DESCRIPTOR_LIMIT_H_

#include <linux/errno.h>

#include "loader/syscalls.h"

namespace sysrewrite {

// Source: linux, include/uapi/linux/resource.h, struct rlimit64, which clashes with libc's headers.
struct ResourceLimit {
  uint64_t current, maximum;
};

// False where the kernel does not say, and `limit` is as it was.
bool read_descriptor_limit(ResourceLimit* limit);

// exec needs no descriptor, so a program must start, and be followed, where none is free. For as
// long as this lives RLIMIT_NOFILE is higher, as far as that may be: up to the hard limit, and with
// privilege a little beyond. What was opened meanwhile stays open.
class BeyondLimit {
 public:
  BeyondLimit();
  BeyondLimit(const BeyondLimit&) = delete;
  BeyondLimit& operator=(const BeyondLimit&) = delete;
  ~BeyondLimit();

 private:
  ResourceLimit old_{};
  bool raised_ = false;
};

// What `open` answers, asked again with more room where it found none.
template <typename Open>
sys::Fd beyond_limit(Open open) {
  const sys::Fd fd = open();
  if (fd != -EMFILE) return fd;
  const BeyondLimit room;
  return open();
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_DESCRIPTOR_LIMIT_H_
