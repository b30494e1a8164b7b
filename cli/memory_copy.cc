#include "cli/memory_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

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

constexpr uint64_t kMostInOnePiece = uint64_t{4} << 20;  // bytes; 1 ms

// From one file to another, at the same place. False where the system refuses, or a file ends.
bool transfer(int from, int to, uint64_t at, uint64_t end) {
  std::vector<std::byte> buffer(std::min<uint64_t>(end - at, uint64_t{256} << 10));
  while (at < end) {
    const size_t part = std::min<uint64_t>(buffer.size(), end - at);
    const ssize_t got = pread(from, buffer.data(), part, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    if (!write_at(to, ByteView(buffer).first(static_cast<size_t>(got)), at)) return false;
    at += static_cast<uint64_t>(got);
  }
  return true;
}

// What there is in a memory file, between its holes.
bool transfer_all(int from, int to, uint64_t size) {
  for (uint64_t at = 0; at < size;) {
    const off_t data = lseek(from, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) return errno == ENXIO;  // nothing more
    const off_t hole = lseek(from, data, SEEK_HOLE);
    if (hole < 0) return false;
    const uint64_t end = std::min(static_cast<uint64_t>(hole), size);
    if (!transfer(from, to, static_cast<uint64_t>(data), end)) return false;
    at = end;
  }
  return true;
}

// Of the executable segments that pieces lie in, whole pages; of them alone where that is too
// large.
CodePiece around(const std::vector<CodePiece>& pieces, int copy) {
  const uint64_t first = pieces.front().offset, last = pieces.back().offset + pieces.back().size;
  uint64_t from = first, to = last;
  std::array<std::byte, kPageSize> page{};
  if (pread(copy, page.data(), page.size(), 0) < static_cast<ssize_t>(sizeof(elf::Ehdr)))
    return {from, to - from};
  const auto header = load<elf::Ehdr>(page, 0);
  for (uint64_t i = 0; i < header->phnum && header->phentsize == sizeof(elf::Phdr); ++i) {
    const auto segment = load<elf::Phdr>(page, header->phoff + i * sizeof(elf::Phdr));
    if (!segment) break;
    const auto end = checked_add(segment->offset, segment->filesz);
    if (segment->type != elf::kPtLoad || (segment->flags & elf::kFlagExec) == 0 || !end ||
        segment->offset >= last || *end <= first || *end - segment->offset > kMostInOnePiece)
      continue;
    from = std::min(from, align_down(segment->offset, kPageSize));
    to = std::max(to, align_up(*end, kPageSize));
  }
  return to - from > kMostInOnePiece ? CodePiece{first, last - first} : CodePiece{from, to - from};
}

bool seal(int file) {
  return fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0;
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
  if (!seal(file.get())) return system_error("cannot seal", "a memory file", errno);
  return std::optional(MemoryCopy{std::move(file), std::move(pieces)});
}

std::optional<MemoryCopy> in_one_piece(const MemoryCopy& copy, const Original& original) {
  const off_t size = lseek(copy.file.get(), 0, SEEK_END);
  if (copy.pieces.empty() || size < 0) return std::nullopt;
  const CodePiece all = around(copy.pieces, copy.file.get());
  if (all.size > kMostInOnePiece || all == copy.pieces.front()) return std::nullopt;
  Descriptor file(create());
  const bool is_made = file.valid() && ftruncate(file.get(), size) == 0 &&
                       transfer(original.descriptor, file.get(), all.offset,
                                std::min(original.size, all.offset + all.size)) &&
                       transfer_all(copy.file.get(), file.get(), static_cast<uint64_t>(size)) &&
                       seal(file.get());
  if (!is_made) return std::nullopt;
  return MemoryCopy{std::move(file), {all}};
}

}  // namespace sysrewrite
