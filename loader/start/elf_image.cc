#include "loader/start/elf_image.h"

#include <cstring>

#include "loader/report.h"
#include "loader/start/program_file.h"

namespace sysrewrite {

namespace {

// The kernel takes no larger table (fs/binfmt_elf.c, load_elf_phdrs()).
constexpr uint64_t kMaxHeaderBytes = 65536;
// The end of user space with four-level page tables: Linux gives more only on request.
constexpr uint64_t kAddressSpaceEnd = 0x7ffffffff000;

bool is_load(const elf::Phdr& header) {
  return header.type == elf::kPtLoad && header.memsz != 0;
}

}  // namespace

ElfImage ElfImage::read(const char* phase, const ProgramFile& file) {
  const ByteView bytes = file.bytes();
  ElfImage image;
  image.bytes_ = bytes;
  image.file_size_ = file.size();
  const auto header = load<elf::Ehdr>(bytes, 0);
  if (!header || memcmp(header->ident, elf::kMagic, sizeof(elf::kMagic)) != 0)
    fail(phase, file.path(), ": not an ELF file");
  if (header->ident[4] != elf::kClass64 || header->ident[5] != elf::kDataLittle ||
      header->machine != elf::kMachineX8664)
    fail(phase, file.path(), ": not an x86-64 program");
  if (header->type != elf::kTypeExec && header->type != elf::kTypeDyn)
    fail(phase, file.path(), ": not an executable (e_type ", uint64_t{header->type}, ")");
  if (header->phentsize != sizeof(elf::Phdr))
    fail(phase, file.path(), ": e_phentsize is ", uint64_t{header->phentsize}, ", not 56");
  const uint64_t table = uint64_t{header->phnum} * sizeof(elf::Phdr);
  if (table == 0 || table > kMaxHeaderBytes || !range_fits(header->phoff, table, bytes.size()))
    fail(phase, file.path(), ": the program headers leave the file");
  image.header_ = *header;
  image.measure();
  return image;
}

elf::Phdr ElfImage::header(uint32_t index) const {
  return load<elf::Phdr>(bytes_, header_.phoff + uint64_t{index} * sizeof(elf::Phdr))
      .value_or(elf::Phdr{});
}

void ElfImage::measure() {
  bool first = true;
  for (uint32_t i = 0; i < header_count(); ++i) {
    const elf::Phdr segment = header(i);
    if (!is_load(segment)) continue;
    if (first) low_ = {align_down(segment.vaddr, kPageSize)};
    first = false;
    high_ = {align_up(segment.vaddr + segment.memsz, kPageSize)};
    // As the kernel does, other values than powers of two are not heeded.
    const bool is_power = segment.align != 0 && (segment.align & (segment.align - 1)) == 0;
    if (is_power && segment.align > alignment_) alignment_ = segment.align;
  }
}

void ElfImage::check_segments(const char* phase, const ProgramFile& file) const {
  uint64_t next_free = 0;
  for (uint32_t i = 0; i < header_count(); ++i) {
    const elf::Phdr segment = header(i);
    if (!is_load(segment)) continue;
    const char* problem = nullptr;
    if (segment.filesz > segment.memsz) problem = " has more bytes in the file than in memory";
    if (!range_fits(segment.offset, segment.filesz, file_size_)) problem = " leaves the file";
    if (!range_fits(segment.vaddr, segment.memsz, kAddressSpaceEnd))
      problem = " leaves the address space";
    else if (segment.vaddr < next_free)
      problem = " overlaps the one before it, or is out of order";
    if (segment.filesz != 0 && !is_aligned(segment.offset - segment.vaddr, kPageSize))
      problem = " has an offset that does not fit its address";
    if (problem != nullptr) fail(phase, file.path(), ": segment ", uint64_t{i}, problem);
    next_free = segment.vaddr + segment.memsz;
  }
  if (next_free == 0) fail(phase, file.path(), ": there is no segment to load");
  if (alignment_ > kAddressSpaceEnd) fail(phase, file.path(), ": a segment's alignment is absurd");
}

void ElfImage::check_entry(const char* phase, const ProgramFile& file) const {
  if (entry() < low_ || entry() >= high_)
    fail(phase, file.path(), ": the entry point lies in no segment");
}

bool ElfImage::vaddr_of(FileOffset offset, uint64_t size, elf::Phdr* segment, Vaddr* vaddr) const {
  for (uint32_t i = 0; i < header_count(); ++i) {
    *segment = header(i);
    if (!is_load(*segment) || offset.value < segment->offset) continue;
    if (!range_fits(offset.value - segment->offset, size, segment->filesz)) continue;
    *vaddr = {segment->vaddr + (offset.value - segment->offset)};
    return true;
  }
  return false;
}

bool ElfImage::wants_executable_stack() const {
  constexpr uint32_t kPtGnuStack = 0x6474e551;
  for (uint32_t i = 0; i < header_count(); ++i)
    if (header(i).type == kPtGnuStack) return (header(i).flags & elf::kFlagExec) != 0;
  return false;
}

// Source: linux, fs/binfmt_elf.c, load_elf_binary().
SegmentBounds ElfImage::bounds(uint64_t bias, uint64_t size) const {
  SegmentBounds bounds{~uint64_t{0}, 0, 0, 0};
  for (uint32_t i = 0; i < header_count(); ++i) {
    const elf::Phdr segment = header(i);
    if (segment.type != elf::kPtLoad || segment.offset >= size) continue;
    const uint64_t start = segment.vaddr;
    const uint64_t end = start + segment.filesz;
    const bool is_code = (segment.flags & elf::kFlagExec) != 0;
    if (is_code && start < bounds.start_code) bounds.start_code = start;
    if (is_code && end > bounds.end_code) bounds.end_code = end;
    if (start > bounds.start_data) bounds.start_data = start;
    if (end > bounds.end_data) bounds.end_data = end;
  }
  return {bounds.start_code + bias, bounds.end_code + bias, bounds.start_data + bias,
          bounds.end_data + bias};
}

}  // namespace sysrewrite
