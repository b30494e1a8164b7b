#include "cli/memory_copy.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <utility>
#include <vector>

#include "cli/input_file.h"
#include "trampoline/elf_types.h"

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

// A page of the copy costs some 2 microseconds (made, filled, given back), a mapping in the program
// some 2 as well, with what becomes of it at exit; a piece more takes two of those.
constexpr uint64_t kWorthwhileGap = 8 * kPageSize;

// Takes parts of the original into the copy, and patches them on the way, in a small buffer. A
// mapping of either file would be faulted in page by page.
class CopyWriter {
 public:
  CopyWriter(const Original& original, int copy, const OutputView& output)
      : original_(original),
        copy_(copy),
        patches_(output.patches),
        limit_(std::min(original.size, output.tail_offset.value)) {}

  // False, with errno, where the system refuses; and where what stands there is not what a patch
  // replaces, see is_other().
  bool write(uint64_t from, uint64_t to) {
    to = std::min(to, limit_);
    for (uint64_t at = from; at < to; at += buffer_.size()) {
      const MutableByteView part =
          MutableByteView(buffer_).first(std::min(buffer_.size(), to - at));
      if (!read(part, at)) return false;
      if (!patch(part, at)) return is_other_ = true, false;
      if (!write_at(copy_, part, at)) return false;
    }
    return true;
  }

  // The ELF header and the program headers, by which the copy is read.
  bool write_headers() {
    static_assert(sizeof(buffer_) >= kPageSize);
    if (!write(0, kPageSize)) return false;
    const auto header = load<elf::Ehdr>(ByteView(buffer_).first(std::min(limit_, kPageSize)), 0);
    if (!header) return is_other_ = true, false;
    const auto end = checked_add(header->phoff, uint64_t{header->phnum} * sizeof(elf::Phdr));
    return !end || *end <= kPageSize || write(header->phoff, *end);
  }

  // It is another file than the one the patches were made for, or shorter than it was.
  bool is_other() const { return is_other_; }

 private:
  bool read(MutableByteView part, uint64_t at) {
    while (!part.empty()) {
      const ssize_t got =
          pread(original_.descriptor, part.data(), part.size(), static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got == 0) is_other_ = true;
      if (got <= 0) return false;
      part = part.subspan(static_cast<size_t>(got));
      at += static_cast<uint64_t>(got);
    }
    return true;
  }

  // What lies of the patches in this part.
  bool patch(MutableByteView part, uint64_t at) const {
    const uint64_t end = at + part.size();
    const auto end_of = [](const PatchView& patch) {
      return patch.offset.value + patch.bytes.size();
    };
    auto next = std::partition_point(patches_.begin(), patches_.end(),
                                     [&](const PatchView& patch) { return end_of(patch) <= at; });
    for (; next != patches_.end() && next->offset.value < end; ++next) {
      const uint64_t from = std::max(at, next->offset.value), to = std::min(end, end_of(*next));
      const MutableByteView place = part.subspan(from - at, to - from);
      const auto original = slice(next->original, from - next->offset.value, place.size());
      if (!next->original.empty() && !(original && std::ranges::equal(*original, place)))
        return false;
      std::ranges::copy(next->bytes.subspan(from - next->offset.value, place.size()),
                        place.begin());
    }
    return true;
  }

  const Original& original_;
  int copy_;
  const std::vector<PatchView>& patches_;
  uint64_t limit_;
  bool is_other_ = false;
  std::array<std::byte, 4 * kPageSize> buffer_;
};

// Keeps the widest gaps, and makes one piece of what lies between two others.
void close_smallest_gaps(std::vector<CodePiece>& pieces) {
  const auto gap_behind = [](const CodePiece& a, const CodePiece& b) {
    return b.offset - (a.offset + a.size);
  };
  std::vector<uint64_t> gaps;
  for (size_t i = 1; i < pieces.size(); ++i) gaps.push_back(gap_behind(pieces[i - 1], pieces[i]));
  // As many of the largest as may stay; of equal ones, the first.
  std::nth_element(gaps.begin(), gaps.begin() + kMostPieces - 2, gaps.end(), std::greater<>());
  const uint64_t smallest = gaps[kMostPieces - 2];
  std::vector<CodePiece> kept{pieces.front()};
  for (size_t i = 1; i < pieces.size(); ++i) {
    CodePiece& last = kept.back();
    if (gap_behind(last, pieces[i]) >= smallest && kept.size() < kMostPieces) {
      kept.push_back(pieces[i]);
    } else {
      last.size = pieces[i].offset + pieces[i].size - last.offset;
    }
  }
  pieces = std::move(kept);
}

bool fill(int descriptor, CopyWriter& writer, const OutputView& output,
          const std::vector<CodePiece>& pieces) {
  const uint64_t size = output.tail_offset.value + output.tail.size();
  if (ftruncate(descriptor, static_cast<off_t>(size)) != 0 || !writer.write_headers()) return false;
  for (const CodePiece& piece : pieces)
    if (!writer.write(piece.offset, piece.offset + piece.size)) return false;
  return write_at(descriptor, output.tail, output.tail_offset.value);
}

}  // namespace

std::vector<CodePiece> pieces_of(const std::vector<PatchView>& patches) {
  std::vector<CodePiece> pieces;
  for (const PatchView& patch : patches) {
    if (!patch.changes()) continue;
    const uint64_t from = align_down(patch.offset.value, kPageSize);
    const uint64_t to = align_up(patch.offset.value + patch.bytes.size(), kPageSize);
    const uint64_t last = pieces.empty() ? 0 : pieces.back().offset + pieces.back().size;
    if (!pieces.empty() && from < last + kWorthwhileGap) {
      pieces.back().size = std::max(last, to) - pieces.back().offset;
    } else {
      pieces.push_back({from, to - from});
    }
  }
  if (pieces.size() > kMostPieces) close_smallest_gaps(pieces);
  return pieces;
}

Result<std::optional<MemoryCopy>> make_memory_copy(const Original& original,
                                                   const OutputView& output) {
  Descriptor file(create());
  if (!file.valid()) return system_error("cannot create", "a memory file", errno);
  std::vector<CodePiece> pieces = pieces_of(output.patches);
  CopyWriter writer(original, file.get(), output);
  if (!fill(file.get(), writer, output, pieces)) {
    if (writer.is_other()) return std::optional<MemoryCopy>{};
    return system_error("cannot write", "a memory file", errno);
  }
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
    return system_error("cannot seal", "a memory file", errno);
  return std::optional(MemoryCopy{std::move(file), std::move(pieces)});
}

}  // namespace sysrewrite
