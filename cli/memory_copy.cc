#include "cli/memory_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "rewriter/elf_image.h"

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

using Range = std::pair<uint64_t, uint64_t>;  // file offsets, from and to

// Headers, and the pages that code is mapped from. The rest of the copy stays a hole.
std::vector<Range> ranges_of(ByteView bytes) {
  const auto image = ElfImage::parse(bytes);
  if (!image) return {{0, bytes.size()}};
  const uint64_t table = image->header().phoff;
  std::vector<Range> ranges{{0, kPageSize},
                            {table, table + image->program_headers().size() * sizeof(elf::Phdr)}};
  for (const Segment& segment : image->segments()) {
    if (!segment.executable()) continue;
    const uint64_t end = segment.offset.value + segment.file_size;
    ranges.emplace_back(align_down(segment.offset.value, kPageSize),
                        align_down(end + kPageSize - 1, kPageSize));
  }
  return ranges;
}

bool write_range(int descriptor, ByteView bytes, Range range) {
  const uint64_t end = std::min<uint64_t>(range.second, bytes.size());
  if (range.first >= end) return true;
  return write_at(descriptor, bytes.subspan(range.first, end - range.first), range.first);
}

// Through memory: a libc has hundreds of windows, and a write for each would take longer than the
// rest.
bool write_patches(int descriptor, const OutputBytes& output, size_t size) {
  void* view = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (view == MAP_FAILED) return false;
  auto* bytes = static_cast<std::byte*>(view);
  for (const BytePatch& patch : output.patches)
    std::copy(patch.bytes.begin(), patch.bytes.end(), bytes + patch.offset.value);
  std::copy(output.tail.begin(), output.tail.end(), bytes + output.tail_offset.value);
  munmap(view, size);
  return true;
}

bool fill(int descriptor, ByteView original, const OutputBytes& output) {
  const uint64_t size = output.tail_offset.value + output.tail.size();
  if (ftruncate(descriptor, static_cast<off_t>(size)) != 0) return false;
  for (const Range& range : ranges_of(original))
    if (!write_range(descriptor, original, range)) return false;
  return write_patches(descriptor, output, size);
}

}  // namespace

Result<Descriptor> make_memory_copy(const InputFile& input, const OutputBytes& output) {
  Descriptor writable(create());
  if (!writable.valid()) return system_error("cannot create", "a memory file", errno);
  if (!fill(writable.get(), input.bytes(), output))
    return system_error("cannot write", "a memory file", errno);
  if (fcntl(writable.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
    return system_error("cannot seal", "a memory file", errno);
  const std::string self = fmt::format("/proc/self/fd/{}", writable.get());
  Descriptor readable(open(self.c_str(), O_RDONLY | O_CLOEXEC));
  if (!readable.valid()) return system_error("cannot open again", self, errno);
  return readable;
}

}  // namespace sysrewrite
