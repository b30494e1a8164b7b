#include "rewriter/elf_image.h"

#include <fmt/format.h>

#include <algorithm>

#include "rewriter/read_once.h"

namespace sysrewrite {

namespace {

Error unsupported(std::string message) {
  return {ErrorCode::kUnsupportedFile, std::nullopt, std::move(message)};
}

Error damaged(uint64_t where, std::string message) {
  return {ErrorCode::kDamagedFile, where, std::move(message)};
}

// Its instruction is the same, and what the kernel makes of the call is not. Linux itself does not
// look at EI_OSABI. Source: gABI, chapter 4, "ELF Identification".
const char* other_system(int osabi) {
  switch (osabi) {
    case 2:
      return "NetBSD";
    case 6:
      return "Solaris";
    case 9:
      return "FreeBSD";
    case 12:
      return "OpenBSD";
    case 17:
      return "CloudABI";
    default:
      return nullptr;
  }
}

std::optional<Error> check_ident(ByteView bytes) {
  if (bytes.size() < 4 || std::memcmp(bytes.data(), elf::kMagic, 4) != 0)
    return Error{ErrorCode::kNotElf, 0,
                 "not an ELF file: the first four bytes are not 7f 45 4c 46"};
  if (bytes.size() < sizeof(elf::Ehdr))
    return damaged(0, fmt::format("the ELF header is cut off: {} bytes of 64", bytes.size()));
  const auto ident = [&bytes](size_t i) { return std::to_integer<int>(bytes[i]); };
  if (ident(4) == elf::kClass32)
    return unsupported("a 32-bit ELF file; only 64-bit ones are rewritten");
  if (ident(4) != elf::kClass64)
    return damaged(4, fmt::format("EI_CLASS is {}; expected 2 (64-bit)", ident(4)));
  if (ident(5) == elf::kDataBig) return unsupported("a big-endian ELF file");
  if (ident(5) != elf::kDataLittle)
    return damaged(5, fmt::format("EI_DATA is {}; expected 1 (little endian)", ident(5)));
  if (ident(6) != 1) return damaged(6, fmt::format("EI_VERSION is {}; expected 1", ident(6)));
  if (const char* system = other_system(ident(7)))
    return unsupported(fmt::format(
        "an ELF file for {} (EI_OSABI is {}); only Linux's are rewritten", system, ident(7)));
  return std::nullopt;
}

std::optional<Error> check_type(const elf::Ehdr& header) {
  if (header.machine != elf::kMachineX8664)
    return unsupported(
        fmt::format("an ELF file for machine {}; only x86-64 (62) is rewritten", header.machine));
  switch (header.type) {
    case elf::kTypeExec:
    case elf::kTypeDyn:
      return std::nullopt;
    case elf::kTypeRel:
      return unsupported("a relocatable object (ET_REL); rewrite what the linker makes of it");
    case elf::kTypeCore:
      return unsupported("a core file (ET_CORE)");
    default:
      return unsupported(
          fmt::format("e_type {}; only ET_EXEC (2) and ET_DYN (3) are rewritten", header.type));
  }
}

// In memory and in the file.
bool adjoins(const Segment& last, const Segment& segment) {
  return last.file_size == last.memory_size && last.vaddr + last.file_size == segment.vaddr &&
         last.offset + last.file_size == segment.offset;
}

}  // namespace

class ImageReader {
 public:
  explicit ImageReader(ByteView bytes) { image_.bytes_ = bytes; }

  Result<ElfImage> read() {
    const ByteView bytes = image_.bytes_;
    if (auto error = check_ident(bytes)) return *error;
    image_.header_ = *load<elf::Ehdr>(bytes, 0);
    if (auto error = check_type(image_.header_)) return *error;
    if (auto error = read_program_headers()) return *error;
    if (auto error = read_segments()) return *error;
    if (auto error = check_overlaps()) return *error;
    if (auto error = check_interpreter()) return *error;
    if (auto error = check_dynamic()) return *error;
    read_sections();
    if (auto error = check_read_once(image_)) return *error;
    collect_code_sections();
    read_dynamic();
    image_.kind_ = decide_kind();
    return std::move(image_);
  }

 private:
  std::optional<Error> read_program_headers() {
    const elf::Ehdr& header = image_.header_;
    if (header.phnum == 0)
      return damaged(56, "there are no program headers, so nothing of the file would be mapped");
    if (header.phnum == 0xffff) return unsupported("more than 65534 program headers (PN_XNUM)");
    if (header.phentsize != sizeof(elf::Phdr))
      return damaged(54, fmt::format("e_phentsize is {}; expected 56", header.phentsize));
    const uint64_t size = uint64_t{header.phnum} * sizeof(elf::Phdr);
    if (header.phnum > elf::kMostProgramHeaders)
      return unsupported(
          fmt::format("{} program headers; the kernel loads at most 1170", header.phnum));
    if (!range_fits(header.phoff, size, image_.bytes_.size()))
      return damaged(32,
                     fmt::format("the program headers ({} bytes at offset {:#x}) leave the file "
                                 "of {} bytes",
                                 size, header.phoff, image_.bytes_.size()));
    for (uint64_t i = 0; i < header.phnum; ++i)
      image_.phdrs_.push_back(
          *load<elf::Phdr>(image_.bytes_, header.phoff + i * sizeof(elf::Phdr)));
    return std::nullopt;
  }

  std::optional<Error> read_segments() {
    for (size_t i = 0; i < image_.phdrs_.size(); ++i) {
      const elf::Phdr& phdr = image_.phdrs_[i];
      if (phdr.type != elf::kPtLoad) continue;
      const uint64_t where = image_.header_.phoff + i * sizeof(elf::Phdr);
      if (auto error = check_segment(phdr, where)) return error;
      if (phdr.memsz == 0) continue;
      const Segment segment{{phdr.vaddr}, phdr.memsz, {phdr.offset}, phdr.filesz, phdr.flags};
      if (image_.segments_.empty()) {
        image_.segments_.push_back(segment);
        continue;
      }
      if (auto error = check_order(image_.segments_.back(), segment, where)) return error;
      add(segment);
    }
    if (image_.segments_.empty())
      return damaged(image_.header_.phoff, "there is no PT_LOAD, so nothing of the file is mapped");
    return std::nullopt;
  }

  static std::optional<Error> check_order(const Segment& last, const Segment& segment,
                                          uint64_t where) {
    const Vaddr end = last.vaddr + last.memory_size;
    if (segment.vaddr < end)
      return damaged(where, fmt::format("the segment at {:#x} does not follow the one at {:#x}; "
                                        "PT_LOAD entries must ascend and not overlap",
                                        segment.vaddr.value, last.vaddr.value));
    const bool has_code = segment.executable() || last.executable();
    if (!has_code || segment.file_size == 0 || last.file_size == 0) return std::nullopt;
    // The kernel maps whole pages, each over what was there: code of the first one would be
    // something else in memory.
    const bool shares_page = align_down(segment.vaddr.value, kPageSize) < end.value;
    const bool same_place =
        segment.vaddr.value - segment.offset.value == last.vaddr.value - last.offset.value;
    if (shares_page && !same_place)
      return unsupported(
          fmt::format("the segments at {:#x} and {:#x}, one of them code, share a "
                      "page of memory, and map different pages of the file there",
                      last.vaddr.value, segment.vaddr.value));
    const bool both = segment.executable() && last.executable();
    if (both && segment.vaddr == end && !adjoins(last, segment))
      return unsupported(
          fmt::format("the segments of code at {:#x} and {:#x} adjoin in memory, "
                      "and not in the file",
                      last.vaddr.value, segment.vaddr.value));
    return std::nullopt;
  }

  void add(const Segment& segment) {
    Segment& last = image_.segments_.back();
    if (!last.executable() || !segment.executable() || !adjoins(last, segment)) {
      image_.segments_.push_back(segment);
      return;
    }
    image_.seams_.push_back(segment.vaddr.value);
    last.memory_size += segment.memory_size;
    last.file_size += segment.file_size;
  }

  std::optional<Error> check_segment(const elf::Phdr& phdr, uint64_t where) const {
    if (phdr.filesz > phdr.memsz)
      return damaged(where, fmt::format("p_filesz {:#x} is larger than p_memsz {:#x}", phdr.filesz,
                                        phdr.memsz));
    const auto end = checked_add(phdr.vaddr, phdr.memsz);
    if (!end || *end > kHighestUserAddress)
      return damaged(where, fmt::format("a segment at {:#x} of {:#x} bytes leaves the user address "
                                        "space",
                                        phdr.vaddr, phdr.memsz));
    // The kernel looks no further at one that maps nothing. Source: linux, fs/binfmt_elf.c.
    if (phdr.memsz == 0) return std::nullopt;
    if (!range_fits(phdr.offset, phdr.filesz, image_.bytes_.size()))
      return damaged(where,
                     fmt::format("a segment ({:#x} bytes at offset {:#x}) leaves the file of "
                                 "{} bytes: is it truncated?",
                                 phdr.filesz, phdr.offset, image_.bytes_.size()));
    if ((phdr.align & (phdr.align - 1)) != 0)
      return damaged(where, fmt::format("p_align {:#x} is not a power of two", phdr.align));
    if (phdr.align > kHighestUserAddress)
      return damaged(where,
                     fmt::format("p_align {:#x} is larger than the address space", phdr.align));
    if ((phdr.vaddr - phdr.offset) % kPageSize != 0)
      return damaged(where, fmt::format("p_vaddr {:#x} and p_offset {:#x} differ within a page, so "
                                        "the kernel could not map it",
                                        phdr.vaddr, phdr.offset));
    return std::nullopt;
  }

  // A patch of code must not show up in a second mapping of the same bytes as data.
  std::optional<Error> check_overlaps() const {
    for (const Segment& code : image_.segments_) {
      if (!code.executable() || code.file_size == 0) continue;
      for (const Segment& other : image_.segments_) {
        if (&other == &code || other.file_size == 0) continue;
        if (code.offset < other.offset + other.file_size &&
            other.offset < code.offset + code.file_size)
          return damaged(
              code.offset.value,
              fmt::format("the executable segment at {:#x} shares bytes of the file with "
                          "the segment at {:#x}",
                          code.vaddr.value, other.vaddr.value));
      }
    }
    return std::nullopt;
  }

  // A path written over them would make another file of this one.
  bool overlaps_headers(uint64_t offset, uint64_t size) const {
    const elf::Ehdr& header = image_.header_;
    const uint64_t table_end = header.phoff + header.phnum * sizeof(elf::Phdr);
    return offset < sizeof(elf::Ehdr) || (offset < table_end && header.phoff < offset + size);
  }

  std::optional<Error> check_interpreter() const {
    int count = 0;
    for (const elf::Phdr& phdr : image_.phdrs_) {
      if (phdr.type != elf::kPtInterp) continue;
      const auto path = slice(image_.bytes_, phdr.offset, phdr.filesz);
      if (++count > 1) return damaged(image_.header_.phoff, "there is more than one PT_INTERP");
      if (!path || path->size() < 2 || path->size() > 4096 || path->back() != std::byte{0})
        return damaged(
            phdr.offset,
            phdr.filesz == 0
                ? "PT_INTERP is empty: these are debugging symbols alone (objcopy "
                  "--only-keep-debug), or the file was rewritten and then stripped "
                  "(strip and objcopy drop the trampoline); rewrite the original"
                : "PT_INTERP does not hold a path of 1 to 4095 bytes that ends in NUL: it "
                  "is damaged, or was rewritten and then stripped (eu-strip and dwz "
                  "leave the header without its path); rewrite the original");
      if (overlaps_headers(phdr.offset, phdr.filesz))
        return damaged(phdr.offset, "PT_INTERP overlaps the ELF header or the program headers");
    }
    return std::nullopt;
  }

  // Loaders would not agree on which one counts.
  std::optional<Error> check_dynamic() const {
    const auto count =
        std::count_if(image_.phdrs_.begin(), image_.phdrs_.end(),
                      [](const elf::Phdr& phdr) { return phdr.type == elf::kPtDynamic; });
    if (count > 1) return damaged(image_.header_.phoff, "there is more than one PT_DYNAMIC");
    return std::nullopt;
  }

  void read_sections() {
    const elf::Ehdr& header = image_.header_;
    if (header.shoff == 0 || header.shentsize != sizeof(elf::Shdr)) return;
    const auto first = load<elf::Shdr>(image_.bytes_, header.shoff);
    if (!first) return;
    const bool counts = header.shnum == 0 && first->type == elf::kShtNull;
    const uint64_t count = counts ? first->size : header.shnum;
    const auto size = checked_multiply(count, sizeof(elf::Shdr));
    if (!size || !range_fits(header.shoff, *size, image_.bytes_.size())) return;
    for (uint64_t i = 0; i < count; ++i)
      image_.sections_.push_back(
          *load<elf::Shdr>(image_.bytes_, header.shoff + i * sizeof(elf::Shdr)));
    image_.names_index_ = header.shstrndx == elf::kShnXIndex ? first->link : header.shstrndx;
  }

  void collect_code_sections() {
    constexpr uint64_t kCode = elf::kShfAlloc | elf::kShfExecInstr;
    auto& found = image_.code_sections_;
    for (const elf::Shdr& section : image_.sections_)
      if (const auto end = checked_add(section.addr, section.size);
          end && (section.flags & kCode) == kCode)
        found.push_back({section.addr, *end});
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.start < b.start; });
    uint64_t reach = 0;
    for (auto& section : found) section.reach = reach = std::max(reach, section.reach);
    const uint64_t entry = image_.header_.entry;
    if (entry != 0 && image_.outside_code_sections({entry})) found.clear();
  }

  // By address and to its end, as ld.so and programs do: p_offset and p_filesz are read by nobody
  // that runs the file.
  void read_dynamic() {
    const elf::Phdr* phdr = image_.find_header(elf::kPtDynamic);
    if (phdr == nullptr) return;
    const auto table = image_.bytes_from({phdr->vaddr});
    if (!table) return;
    for (uint64_t at = 0; range_fits(at, sizeof(elf::Dyn), table->size()); at += sizeof(elf::Dyn)) {
      const auto entry = *load<elf::Dyn>(*table, at);
      if (entry.tag == elf::kDtNull) return;
      image_.dynamic_.push_back(entry);
    }
  }

  // libc.so.6 and ld.so can be executed, but are mapped by ld.so all the same: a DT_SONAME without
  // DF_1_PIE tells them from programs.
  ImageKind decide_kind() const {
    const bool interpreter = image_.find_header(elf::kPtInterp) != nullptr;
    const auto program = interpreter ? ImageKind::kDynamicExecutable : ImageKind::kStaticExecutable;
    if (image_.header_.type == elf::kTypeExec) return program;
    if ((image_.dynamic(elf::kDtFlags1).value_or(0) & elf::kDf1Pie) != 0) return program;
    if (is_interpreter(interpreter)) return ImageKind::kInterpreter;
    if (image_.dynamic(elf::kDtSoname)) return ImageKind::kSharedObject;
    return interpreter ? program : ImageKind::kSharedObject;
  }

  // Whoever loads libraries needs none itself, and has an entry point, which ordinary libraries do
  // not (an old ld wrote the start of .text there, into libraries that need others).
  bool is_interpreter(bool has_one) const {
    if (has_one || image_.dynamic_.empty() || image_.dynamic(elf::kDtNeeded)) return false;
    // None, although the file's first bytes may lie in a segment of code at address 0.
    if (image_.header_.entry == 0) return false;
    return image_.executable_segment_of({image_.header_.entry}) != nullptr;
  }

  // Source: Documentation/arch/x86/x86_64/mm.rst, 4-level paging.
  static constexpr uint64_t kHighestUserAddress = 0x7ffffffff000;

  ElfImage image_;
};

Result<ElfImage> ElfImage::parse(ByteView bytes) {
  return ImageReader(bytes).read();
}

const elf::Phdr* ElfImage::find_header(uint32_t type) const {
  const auto found = std::find_if(phdrs_.begin(), phdrs_.end(),
                                  [type](const elf::Phdr& phdr) { return phdr.type == type; });
  return found == phdrs_.end() ? nullptr : &*found;
}

std::optional<ByteView> ElfImage::interpreter() const {
  const elf::Phdr* phdr = find_header(elf::kPtInterp);
  if (phdr == nullptr) return std::nullopt;
  return slice(bytes_, phdr->offset, phdr->filesz);
}

std::optional<uint64_t> ElfImage::dynamic(int64_t tag) const {
  const auto last = std::find_if(dynamic_.rbegin(), dynamic_.rend(),
                                 [tag](const elf::Dyn& entry) { return entry.tag == tag; });
  return last == dynamic_.rend() ? std::nullopt : std::optional(last->value);
}

std::string ElfImage::section_name(const elf::Shdr& section) const {
  if (names_index_ >= sections_.size()) return {};
  const elf::Shdr& names = sections_[names_index_];
  const auto table = slice(bytes_, names.offset, names.size);
  if (!table || section.name >= table->size()) return {};
  std::string name;
  for (const std::byte c : table->subspan(section.name)) {
    if (c == std::byte{0} || name.size() >= 256) break;
    name.push_back(static_cast<char>(c));
  }
  return name;
}

bool ElfImage::outside_code_sections(Vaddr address) const {
  if (code_sections_.empty()) return false;
  const auto behind = std::partition_point(
      code_sections_.begin(), code_sections_.end(),
      [address](const CodeSection& section) { return section.start <= address.value; });
  return behind == code_sections_.begin() || address.value >= (behind - 1)->reach;
}

bool ElfImage::crosses_seam(Vaddr from, Vaddr to) const {
  const auto seam = std::upper_bound(seams_.begin(), seams_.end(), from.value);
  return seam != seams_.end() && *seam < to.value;
}

ByteView ElfImage::words_of(const Segment& segment) const {
  constexpr uint64_t kMore = sizeof(uint64_t) - 1;
  const auto next =
      std::upper_bound(segments_.begin(), segments_.end(), segment.vaddr,
                       [](Vaddr address, const Segment& other) { return address < other.vaddr; });
  const bool more = next != segments_.end() && adjoins(segment, *next);
  return bytes_.subspan(segment.offset.value,
                        segment.file_size + (more ? std::min(kMore, next->file_size) : 0));
}

std::optional<FileOffset> ElfImage::offset_of(Vaddr address, uint64_t size) const {
  for (const Segment& segment : segments_)
    if (segment.holds(address, size)) return segment.offset + (address.value - segment.vaddr.value);
  return std::nullopt;
}

std::optional<ByteView> ElfImage::bytes_from(Vaddr address) const {
  for (const Segment& segment : segments_) {
    if (!segment.holds(address)) continue;
    const uint64_t skip = address.value - segment.vaddr.value;
    return bytes_.subspan(segment.offset.value + skip, segment.file_size - skip);
  }
  return std::nullopt;
}

const Segment* ElfImage::executable_segment_of(Vaddr address) const {
  for (const Segment& segment : segments_)
    if (segment.executable() && segment.holds(address)) return &segment;
  return nullptr;
}

Vaddr ElfImage::lowest() const {
  return segments_.front().vaddr;
}

Vaddr ElfImage::highest_end() const {
  return segments_.back().vaddr + segments_.back().memory_size;
}

std::optional<FileOffset> ElfImage::payload() const {
  uint64_t end = header_.phoff + header_.phnum * sizeof(elf::Phdr);
  for (const elf::Phdr& phdr : phdrs_)
    if (range_fits(phdr.offset, phdr.filesz, bytes_.size()))
      end = std::max(end, phdr.offset + phdr.filesz);
  if (!sections_.empty()) end = std::max(end, header_.shoff + sections_.size() * sizeof(elf::Shdr));
  for (const elf::Shdr& section : sections_)
    if (section.type != elf::kShtNobits && range_fits(section.offset, section.size, bytes_.size()))
      end = std::max(end, section.offset + section.size);
  const ByteView rest = bytes_.subspan(std::min<uint64_t>(end, bytes_.size()));
  const bool padding =
      std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; });
  if (padding) return std::nullopt;
  return FileOffset{end};
}

}  // namespace sysrewrite
