#include "cli/memory_copy.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>
#include <vector>

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

bool write_part(int descriptor, ByteView bytes, uint64_t from, uint64_t to) {
  const uint64_t end = std::min<uint64_t>(to, bytes.size());
  return from >= end || write_at(descriptor, bytes.subspan(from, end - from), from);
}

// The ELF header and the program headers, by which the copy is read.
bool write_headers(int descriptor, ByteView original) {
  const auto header = load<elf::Ehdr>(original, 0);
  if (!header) return false;  // it was rewritten once, so it has one
  const uint64_t size = uint64_t{header->phnum} * sizeof(elf::Phdr);
  if (!range_fits(header->phoff, size, original.size())) return false;
  return write_part(descriptor, original, 0, kPageSize) &&
         (header->phoff + size <= kPageSize ||
          write_part(descriptor, original, header->phoff, header->phoff + size));
}

// What lies of the patches in [at, at + part.size()). `next` is the first that reaches behind `at`.
void apply(const std::vector<PatchView>& patches, size_t& next, uint64_t at, MutableByteView part) {
  const uint64_t end = at + part.size();
  const auto end_of = [](const PatchView& patch) {
    return patch.offset.value + patch.bytes.size();
  };
  while (next < patches.size() && end_of(patches[next]) <= at) ++next;
  for (size_t i = next; i < patches.size() && patches[i].offset.value < end; ++i) {
    const uint64_t from = std::max(at, patches[i].offset.value);
    const uint64_t to = std::min(end, end_of(patches[i]));
    std::copy_n(
        patches[i].bytes.begin() + static_cast<std::ptrdiff_t>(from - patches[i].offset.value),
        to - from, part.begin() + static_cast<std::ptrdiff_t>(from - at));
  }
}

// Through a buffer: patched in the memory file's own pages, each would be faulted in once more.
bool write_pieces(int descriptor, ByteView original, const OutputView& output,
                  const std::vector<CodePiece>& pieces) {
  constexpr uint64_t kAtOnce = 8 * kPageSize;
  std::vector<std::byte> buffer(kAtOnce);
  const uint64_t limit = std::min<uint64_t>(original.size(), output.tail_offset.value);
  size_t next = 0;
  for (const CodePiece& piece : pieces) {
    const uint64_t end = std::min(piece.offset + piece.size, limit);
    for (uint64_t at = piece.offset; at < end; at += kAtOnce) {
      const ByteView source = original.subspan(at, std::min(kAtOnce, end - at));
      const MutableByteView part = MutableByteView(buffer).first(source.size());
      std::copy(source.begin(), source.end(), part.begin());
      apply(output.patches, next, at, part);
      if (!write_at(descriptor, part, at)) return false;
    }
  }
  return true;
}

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

bool fill(int descriptor, ByteView original, const OutputView& output,
          const std::vector<CodePiece>& pieces) {
  const uint64_t size = output.tail_offset.value + output.tail.size();
  return ftruncate(descriptor, static_cast<off_t>(size)) == 0 &&
         write_headers(descriptor, original) &&
         write_pieces(descriptor, original, output, pieces) &&
         write_at(descriptor, output.tail, output.tail_offset.value);
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

Result<MemoryCopy> make_memory_copy(const InputFile& input, const OutputView& output) {
  Descriptor file(create());
  if (!file.valid()) return system_error("cannot create", "a memory file", errno);
  std::vector<CodePiece> pieces = pieces_of(output.patches);
  if (!fill(file.get(), input.bytes(), output, pieces))
    return system_error("cannot write", "a memory file", errno);
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
    return system_error("cannot seal", "a memory file", errno);
  return MemoryCopy{std::move(file), std::move(pieces)};
}

}  // namespace sysrewrite
