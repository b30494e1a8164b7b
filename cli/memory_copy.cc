#include "cli/memory_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>

#include "cli/output_file.h"

namespace sysrewrite {

namespace {

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // Linux 6.3: where vm.memfd_noexec would otherwise forbid mapping code
#endif

int create() {
  const int fd = memfd_create("sysrewrite", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  if (fd >= 0 || errno != EINVAL) return fd;
  return memfd_create("sysrewrite", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

}  // namespace

Result<Descriptor> make_memory_copy(const InputFile& input, const OutputBytes& output) {
  Descriptor writable(create());
  if (!writable.valid()) return system_error("cannot create", "a memory file", errno);
  if (!write_contents(input, &output, writable.get()))
    return system_error("cannot write", "a memory file", errno);
  if (fcntl(writable.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
    return system_error("cannot seal", "a memory file", errno);
  const std::string self = fmt::format("/proc/self/fd/{}", writable.get());
  Descriptor readable(open(self.c_str(), O_RDONLY | O_CLOEXEC));
  if (!readable.valid()) return system_error("cannot open again", self, errno);
  return readable;
}

}  // namespace sysrewrite
