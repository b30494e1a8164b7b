#include "loader/engine/hook_image.h"

#include <cstring>

namespace sysrewrite {

namespace {

// The kernel takes no larger table (fs/binfmt_elf.c, load_elf_phdrs()).
constexpr uint64_t kMostHeaderBytes = 65536;
// More than any hook has use for, and little enough that sums of addresses stay sums.
constexpr uint64_t kMostSpan = uint64_t{1} << 30;

// Source: System V gABI, "Dynamic Section"; glibc, elf/elf.h.
constexpr uint32_t kPtGnuStack = 0x6474e551, kPtGnuRelro = 0x6474e552;
constexpr int64_t kDtPltrel = 20, kDtPreinitArraySize = 33, kDtInitArraySize = 27,
                  kDtFiniArraySize = 28, kDtRelrEntry = 37;

constexpr char kConstructors[] =
    "has constructors, which nobody would run; compile with -nostdlib, and do their work in "
    "sysload_hook_init";
constexpr char kDestructors[] =
    "has destructors, which nobody would run; compile with -nostdlib, and use the hook's finishing";

}  // namespace

bool HookImage::read(ByteView bytes, Refusal& why) {
  bytes_ = bytes;
  elf::Ehdr header{};
  return read_header(header, why) && read_segments(header, why) && check_relro(why) &&
         read_dynamic(why) && check_needed(why) && check_relocations(why) && find_init(why);
}

bool HookImage::read_header(elf::Ehdr& header, Refusal& why) const {
  const auto found = load<elf::Ehdr>(bytes_, 0);
  if (!found || memcmp(found->ident, elf::kMagic, sizeof(elf::kMagic)) != 0)
    return why.say("not an ELF file");
  header = *found;
  if (header.ident[4] != elf::kClass64 || header.ident[5] != elf::kDataLittle ||
      header.machine != elf::kMachineX8664)
    return why.say("not for x86-64");
  if (header.type == elf::kTypeRel)
    return why.say("an object file, not a shared object; link it with -shared");
  if (header.type != elf::kTypeDyn)
    return why.say("not a shared object (e_type ", uint64_t{header.type},
                   "); compile with -shared -fPIC");
  if (header.phentsize != sizeof(elf::Phdr))
    return why.say("e_phentsize is ", uint64_t{header.phentsize}, ", not 56");
  const uint64_t table = uint64_t{header.phnum} * sizeof(elf::Phdr);
  if (table == 0 || table > kMostHeaderBytes || !range_fits(header.phoff, table, bytes_.size()))
    return why.say("the program headers leave the file");
  return true;
}

bool HookImage::read_segments(const elf::Ehdr& header, Refusal& why) {
  for (uint32_t i = 0; i < header.phnum; ++i) {
    const auto found = load<elf::Phdr>(bytes_, header.phoff + uint64_t{i} * sizeof(elf::Phdr));
    if (!found) return why.say("the program headers leave the file");
    const elf::Phdr& segment = *found;
    if (segment.type == elf::kPtLoad && segment.memsz != 0 && !add_segment(segment, why))
      return false;
    if (segment.type == elf::kPtTls)
      return why.say(
          "has thread-local variables, and %fs is the program's; use the thread's data instead");
    if (segment.type == kPtGnuStack && (segment.flags & elf::kFlagExec) != 0)
      return why.say("wants an executable stack, which it does not get; link with -z noexecstack");
    if (segment.type == elf::kPtDynamic) dynamic_ = segment;
    if (segment.type == kPtGnuRelro) relro_ = segment;
  }
  return segment_count_ != 0 || why.say("there is no segment to load");
}

bool HookImage::add_segment(const elf::Phdr& segment, Refusal& why) {
  if (segment_count_ == kMostSegments) return why.say("has more than 16 segments to load");
  const char* problem = nullptr;
  const auto end = checked_add(segment.vaddr, segment.memsz);
  const auto page_end = end ? checked_align_up(*end, kPageSize) : std::nullopt;
  if (segment.filesz > segment.memsz) problem = " has more bytes in the file than in memory";
  if (!range_fits(segment.offset, segment.filesz, bytes_.size())) problem = " leaves the file";
  if (segment.filesz != 0 && !is_aligned(segment.offset - segment.vaddr, kPageSize))
    problem = " has an offset that does not fit its address";
  if ((segment.flags & elf::kFlagWrite) != 0 && (segment.flags & elf::kFlagExec) != 0)
    problem = " is both writable and executable";
  const Vaddr start = {align_down(segment.vaddr, kPageSize)};
  if (segment_count_ == 0) low_ = high_ = start;
  if (start < high_) problem = " shares a page with the one before it, or is out of order";
  if (!page_end || *page_end - low_.value > kMostSpan) problem = " lies too far from the first";
  const bool is_power = segment.align != 0 && (segment.align & (segment.align - 1)) == 0;
  if (is_power && segment.align > kMostSpan) problem = " has an absurd alignment";
  if (problem != nullptr) return why.say("segment ", uint64_t{segment_count_}, problem);
  if (is_power && segment.align > alignment_) alignment_ = segment.align;
  high_ = {*page_end};
  segments_[segment_count_++] = segment;
  return true;
}

// The same pages as ld.so protects: whole ones only. lld lets the header reach to the end of the
// page that its segment ends in.
bool HookImage::check_relro(Refusal& why) {
  if (relro_.memsz == 0) return true;
  for (uint32_t i = 0; i < segment_count_; ++i) {
    const elf::Phdr& segment = segments_[i];
    const uint64_t end = (segment.vaddr + segment.memsz + kPageSize - 1) & ~(kPageSize - 1);
    if ((segment.flags & elf::kFlagWrite) == 0 || relro_.vaddr < segment.vaddr) continue;
    if (!range_fits(relro_.vaddr - segment.vaddr, relro_.memsz, end - segment.vaddr)) continue;
    relro_start_ = {align_down(relro_.vaddr, kPageSize)};
    relro_end_ = {align_down(relro_.vaddr + relro_.memsz, kPageSize)};
    return true;
  }
  return why.say("PT_GNU_RELRO lies in no writable segment");
}

bool HookImage::read_dynamic(Refusal& why) {
  if (dynamic_.filesz == 0) return why.say("has no dynamic section; compile with -shared");
  const auto table = view(dynamic_.vaddr, dynamic_.filesz);
  if (!table) return why.say("the dynamic section leaves its segment");
  for (uint64_t at = 0;; at += sizeof(elf::Dyn)) {
    const auto entry = load<elf::Dyn>(*table, at);
    if (!entry || entry->tag == elf::kDtNull) return true;
    if (!read_entry(*entry, why)) return false;
  }
}

bool HookImage::read_entry(const elf::Dyn& entry, Refusal& why) {
  switch (entry.tag) {
    case elf::kDtNeeded:
      if (!has_needed_) needed_ = entry.value;
      has_needed_ = true;
      return true;
    case elf::kDtInit:
    case kDtInitArraySize:
    case kDtPreinitArraySize:
      return entry.value == 0 || has_needed_ || why.say(kConstructors);
    case elf::kDtFini:
    case kDtFiniArraySize:
      return entry.value == 0 || has_needed_ || why.say(kDestructors);
    case elf::kDtRelsz:
      return entry.value == 0 || why.say("has relocations without addends (DT_REL)");
    case kDtPltrel:
      return entry.value == elf::kDtRela || why.say("DT_PLTREL is not DT_RELA");
    case elf::kDtSyment:
      return entry.value == sizeof(elf::Sym) || why.say("DT_SYMENT is not 24");
    case elf::kDtRelaent:
      return entry.value == sizeof(elf::Rela) || why.say("DT_RELAENT is not 24");
    case kDtRelrEntry:
      return entry.value == sizeof(uint64_t) || why.say("DT_RELRENT is not 8");
    case elf::kDtStrtab:
      strings_.address = entry.value;
      return true;
    case elf::kDtStrsz:
      strings_.size = entry.value;
      return true;
    case elf::kDtSymtab:
      symbols_ = entry.value;
      return true;
    case elf::kDtHash:
      hash_ = entry.value;
      return true;
    case elf::kDtGnuHash:
      gnu_hash_ = entry.value;
      return true;
    case elf::kDtRela:
      rela_.address = entry.value;
      return true;
    case elf::kDtRelasz:
      rela_.size = entry.value;
      return true;
    case elf::kDtJmprel:
      jump_slots_.address = entry.value;
      return true;
    case elf::kDtPltrelsz:
      jump_slots_.size = entry.value;
      return true;
    case elf::kDtRelr:
      relr_.address = entry.value;
      return true;
    case elf::kDtRelrsz:
      relr_.size = entry.value;
      return true;
    default:
      return true;
  }
}

bool HookImage::check_needed(Refusal& why) const {
  if (!has_needed_) return true;
  const ByteView library = name(needed_);
  return library.empty() ? why.say("needs a library; compile with -nostdlib")
                         : why.say("needs ", library, "; compile with -nostdlib");
}

}  // namespace sysrewrite
