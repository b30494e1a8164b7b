#include "loader/start/image_map.h"

#include <linux/mman.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/start/slot_page.h"

// How an image comes into memory.
//
// Segments have fixed distances to each other and to their trampoline, so the whole span is
// reserved first, without access, and then replaced piece by piece:
//
//      trampoline   (gap)   segment   segment   (hole)   segment
//     |==========|---------|=========|=========|--------|=======|     reserved
//      free again           mapped                               then
//
// MAP_FIXED replaces what it meets, and is used inside this reservation only, which is provably
// ours. What remains of it afterwards is unmapped, as the kernel leaves holes; the trampoline is
// then mapped with MAP_FIXED_NOREPLACE, just as where the kernel has mapped the program. No other
// thread exists yet that could take the place in between.
//
// The trampoline of an ET_DYN image may lie below its first segment, at a "negative" address, so
// distances are measured from the lowest byte of either.

namespace sysrewrite {

namespace {

struct Span {
  Vaddr low, high;  // low may be "negative"; high - low is the size
  uint64_t size() const { return high.value - low.value; }
};

Span span_of(const char* phase, const ProgramFile& file, const ElfImage& image) {
  Span span{image.low(), image.high()};
  if (!file.is_rewritten() || !file.rewritten().has_sites()) return span;
  const Vaddr start = {file.rewritten().trailer().vaddr};
  const Vaddr end = start + file.rewritten().trailer().size;
  if (start - span.low < 0) span.low = start;
  if (end - span.high > 0) span.high = end;
  // Stubs are reached by 32-bit displacements; anything further away is a lie.
  constexpr uint64_t kReach = uint64_t{1} << 33;
  if (span.size() > image.high().value - image.low().value + kReach)
    fail(phase, file.path(), ": the trampoline lies out of reach of the program");
  return span;
}

uint32_t protection_of(const elf::Phdr& segment) {
  return ((segment.flags & elf::kFlagRead) != 0 ? sys::kRead : 0U) |
         ((segment.flags & elf::kFlagWrite) != 0 ? sys::kWrite : 0U) |
         ((segment.flags & elf::kFlagExec) != 0 ? sys::kExec : 0U);
}

// The bias at which the span is reserved.
uint64_t reserve(const char* phase, const ProgramFile& file, const ElfImage& image,
                 const Span& span, uint64_t hint) {
  if (image.has_fixed_address()) {
    const RuntimeAddr start = {span.low.value};
    const int64_t answer = sys::map_anonymous_at(start, span.size(), sys::kNoAccess);
    if (sys::failed(answer))
      fail_errno(answer, phase, "cannot place ", file.path(), " at ", Hex{start.value});
    return 0;
  }
  const uint64_t slack = image.alignment() - kPageSize;
  const uint64_t wanted = align_down(hint - image.low().value, image.alignment());
  const auto size = checked_add(span.size(), slack);
  const int64_t answer =
      size ? sys::map_anonymous(hint == 0 ? 0 : wanted + span.low.value, *size, sys::kNoAccess)
           : -12;  // ENOMEM
  if (sys::failed(answer))
    fail_errno(answer, phase, "cannot reserve ", span.size(), " bytes for ", file.path());
  const auto start = static_cast<uint64_t>(answer);
  const uint64_t bias =
      align_down(start - span.low.value + image.alignment() - 1, image.alignment());
  const uint64_t used = bias + span.low.value;
  sys::unmap({start}, used - start);
  sys::unmap({used + span.size()}, start + *size - (used + span.size()));
  return bias;
}

void map_segment(const char* phase, const ProgramFile& file, const elf::Phdr& segment,
                 uint64_t bias) {
  const uint64_t start = align_down(segment.vaddr + bias, kPageSize);
  const uint64_t in_page = segment.vaddr % kPageSize;
  const uint64_t file_end = segment.vaddr + bias + segment.filesz;
  const uint64_t end = align_up(segment.vaddr + bias + segment.memsz, kPageSize);
  const uint64_t file_pages_end = segment.filesz == 0 ? start : align_up(file_end, kPageSize);
  const uint32_t protection = protection_of(segment);
  if (segment.filesz != 0) {
    const bool is_code = (segment.flags & elf::kFlagExec) != 0;
    const uint64_t size = file_pages_end - start, offset = segment.offset - in_page;
    const int64_t answer = is_code
                               ? file.replace_code({start}, size, protection, MAP_PRIVATE, offset)
                               : sys::replace_file({start}, size, protection, file.fd(), {offset});
    if (sys::failed(answer)) fail_errno(answer, phase, "cannot map a segment of ", file.path());
  }
  if (segment.memsz == segment.filesz) return;
  // What follows the file's part in its last page belongs to something else in the file. The
  // kernel clears it where the segment is writable, and lets it be otherwise.
  if (segment.filesz != 0 && (segment.flags & elf::kFlagWrite) != 0)
    memset(Memory::at<void>({file_end}), 0, file_pages_end - file_end);
  if (end <= file_pages_end) return;
  const int64_t answer = sys::replace_anonymous({file_pages_end}, end - file_pages_end, protection);
  if (sys::failed(answer)) fail_errno(answer, phase, "no memory for a segment of ", file.path());
}

}  // namespace

MappedImage map_image(const char* phase, const ProgramFile& file, const ElfImage& image,
                      uint64_t hint) {
  const Span span = span_of(phase, file, image);
  const uint64_t bias = reserve(phase, file, image, span, hint);
  uint64_t free_from = span.low.value + bias;
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    if (segment.type != elf::kPtLoad || segment.memsz == 0) continue;
    map_segment(phase, file, segment, bias);
    const uint64_t start = align_down(segment.vaddr + bias, kPageSize);
    if (start > free_from) sys::unmap({free_from}, start - free_from);
    free_from = std::max(free_from, align_up(segment.vaddr + bias + segment.memsz, kPageSize));
  }
  sys::unmap({free_from}, span.high.value + bias - free_from);
  return MappedImage(bias);
}

namespace {

void fill_own_segment(const ProgramFile& file, const MappedImage& image, RuntimeAddr callback) {
  const RewrittenFile& rewritten = file.rewritten();
  const elf::Phdr& own = rewritten.own_segment();
  if (rewritten.has_sites())
    *Memory::at<SlotPage>(image.at({rewritten.trailer().vaddr})) = slot_page(callback.value);
  const int64_t answer = sys::protect(image.at({own.vaddr}), own.filesz, sys::kRead);
  if (sys::failed(answer))
    fail_errno(answer, "trampoline", "cannot protect the slot of ", file.path());
}

}  // namespace

void map_trampoline(const ProgramFile& file, const MappedImage& image, RuntimeAddr callback,
                    TrampolinePlace place) {
  if (file.rewritten().is_segment()) return fill_own_segment(file, image, callback);
  if (!file.rewritten().has_sites()) return;
  const char* const phase = "trampoline";
  const Trailer& trailer = file.rewritten().trailer();
  const RuntimeAddr slot = image.at({trailer.vaddr});
  const RuntimeAddr stubs = slot + kPageSize;
  const uint64_t stubs_size = trailer.size - kPageSize;
  const auto map = place == TrampolinePlace::kHeld ? sys::replace_file : sys::map_file_at;
  int64_t answer = map(slot, kPageSize, sys::kRead | sys::kWrite, file.code_fd(), {trailer.offset});
  if (sys::failed(answer))
    fail_errno(answer, phase, "cannot map the slot of ", file.path(), " at ", Hex{slot.value});
  *Memory::at<SlotPage>(slot) = slot_page(callback.value);
  answer = sys::protect(slot, kPageSize, sys::kRead);
  if (sys::failed(answer)) fail_errno(answer, phase, "cannot protect the slot of ", file.path());
  answer =
      map(stubs, stubs_size, sys::kRead | sys::kExec, file.code_fd(), {trailer.offset + kPageSize});
  if (sys::failed(answer))
    fail_errno(answer, phase, "cannot map the stubs of ", file.path(), " at ", Hex{stubs.value});
}

}  // namespace sysrewrite
