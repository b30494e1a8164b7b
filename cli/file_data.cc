#include "cli/file_data.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "cli/descriptor.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kBlock = 512;  // of st_blocks, whatever the file system's are

bool copy_through_memory(int from, uint64_t at, uint64_t end, int to) {
  std::vector<std::byte> buffer(std::min<uint64_t>(end - at, 1 << 20));
  while (at < end) {
    const ssize_t got = pread(from, buffer.data(), std::min<uint64_t>(buffer.size(), end - at),
                              static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = ESTALE;
    if (got <= 0) return false;
    if (!write_at(to, {buffer.data(), static_cast<size_t>(got)}, at)) return false;
    at += static_cast<uint64_t>(got);
  }
  return true;
}

// Those by which copy_file_range() says that it cannot do this pair of files at all.
bool wants_another_way(int error_number) {
  return error_number == EXDEV || error_number == EINVAL || error_number == EOPNOTSUPP ||
         error_number == ENOSYS || error_number == EBADF || error_number == ETXTBSY ||
         error_number == EPERM;
}

bool copy_range(int from, uint64_t at, uint64_t end, int to) {
  while (at < end) {
    auto from_offset = static_cast<off_t>(at);
    auto to_offset = from_offset;
    const ssize_t copied = copy_file_range(from, &from_offset, to, &to_offset, end - at, 0);
    if (copied < 0 && errno == EINTR) continue;
    // Nothing at all is also what it says of files in /proc and of those that became shorter.
    if (copied == 0 || (copied < 0 && wants_another_way(errno)))
      return copy_through_memory(from, at, end, to);
    if (copied < 0) return false;
    at += static_cast<uint64_t>(copied);
  }
  return true;
}

bool copy_sparse(int from, uint64_t size, int to) {
  for (uint64_t at = 0; at < size;) {
    const off_t data = lseek(from, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole up to the end
    if (data < 0) return copy_range(from, at, size, to);
    const off_t hole = lseek(from, data, SEEK_HOLE);
    if (hole < 0) return false;
    const uint64_t end = std::min(static_cast<uint64_t>(hole), size);
    if (!copy_range(from, static_cast<uint64_t>(data), end, to)) return false;
    at = end;
  }
  return ftruncate(to, static_cast<off_t>(size)) == 0;
}

}  // namespace

bool copy_data(int from, const struct stat& status, uint64_t size, int to) {
  if (size == 0) return true;
  const auto all = static_cast<uint64_t>(status.st_size);
  if (size == all && ioctl(to, FICLONE, from) == 0) return true;
  if (static_cast<uint64_t>(status.st_blocks) < all / kBlock) return copy_sparse(from, size, to);
  return copy_range(from, 0, size, to);
}

bool write_data(const InputFile& input, const OutputBytes* output, int to) {
  const auto size = static_cast<uint64_t>(input.status().st_size);
  const uint64_t kept = output == nullptr ? size : std::min(size, output->tail_offset.value);
  if (!copy_data(input.descriptor(), input.status(), kept, to)) return false;
  if (output == nullptr) return true;
  for (const BytePatch& patch : output->patches)
    if (!write_at(to, patch.bytes, patch.offset.value)) return false;
  return write_at(to, output->tail, output->tail_offset.value);
}

}  // namespace sysrewrite
