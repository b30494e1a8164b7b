#include "trampoline/rewritten_file.h"

#include "trampoline/checksum.h"

namespace sysrewrite {

namespace {

bool same_magic(const char (&a)[8], const char (&b)[8]) {
  return std::memcmp(a, b, 8) == 0;
}

uint64_t blob_size(const SiteRecord& site) {
  return displaced_in_blob(site, site.displaced) - site.blob;
}

}  // namespace

// Checks one after the other, each relying on those before it; the first that fails names itself.
class TrailerReader {
 public:
  explicit TrailerReader(ByteView bytes) { file_.bytes_ = bytes; }

  RewrittenFile::Parsed read() {
    if (!find_at_end() && !find_in_segment()) return {};
    const char* problem = check_all();
    if (problem != nullptr) return {TrailerStatus::kDamaged, problem, {}};
    return {TrailerStatus::kValid, "", file_};
  }

 private:
  ByteView bytes() const { return file_.bytes_; }
  // At the file's end.
  uint64_t trailer_offset() const { return bytes().size() - sizeof(Trailer); }

  bool find_at_end() {
    if (bytes().size() < sizeof(Trailer)) return false;
    file_.trailer_ = *load<Trailer>(bytes(), trailer_offset());
    litebox_ = same_magic(file_.trailer_.magic, kLiteboxMagic);
    return litebox_ || same_magic(file_.trailer_.magic, kTrailerMagic);
  }

  bool find_in_segment() {
    if (check_elf_header() != nullptr) return false;
    const ByteView table = file_.program_headers();
    for (uint64_t at = 0; at < table.size(); at += sizeof(elf::Phdr)) {
      const elf::Phdr phdr = *load<elf::Phdr>(table, at);
      if (!may_hold_trailer(phdr) || !range_fits(phdr.offset, phdr.filesz, bytes().size()))
        continue;
      const auto trailer = *load<Trailer>(bytes(), phdr.offset + phdr.filesz - sizeof(Trailer));
      if (!same_magic(trailer.magic, kSegmentMagic)) continue;
      file_.trailer_ = trailer;
      file_.own_segment_ = phdr;
      return true;
    }
    return false;
  }

  bool in_segment() const { return file_.own_segment_.filesz != 0; }

  const char* check_all() {
    if (const char* problem = check_elf_header()) return problem;
    if (const char* problem = in_segment() ? check_segment() : check_trampoline()) return problem;
    if (const char* problem = in_segment() ? check_segment_metadata() : check_metadata())
      return problem;
    if (const char* problem = check_ranges()) return problem;
    if (const char* problem = check_sites()) return problem;
    return check_edits();
  }

  const char* check_elf_header() {
    const auto ehdr = load<elf::Ehdr>(bytes(), 0);
    if (!ehdr || std::memcmp(ehdr->ident, elf::kMagic, 4) != 0) return "there is no ELF header";
    file_.ehdr_ = *ehdr;
    if (ehdr->phentsize != sizeof(elf::Phdr)) return "e_phentsize is not 56";
    // They are looked through for each site.
    if (ehdr->phnum > elf::kMostProgramHeaders) return "there are more program headers than 1170";
    const uint64_t size = uint64_t{ehdr->phnum} * sizeof(elf::Phdr);
    if (!range_fits(ehdr->phoff, size, bytes().size())) return "the program headers leave the file";
    return nullptr;
  }

  const char* check_trampoline() const {
    const Trailer& trailer = file_.trailer_;
    if (trailer.size == 0) {
      if (litebox_ && (trailer.offset != 0 || trailer.vaddr != 0))
        return "a trailer of size 0 must have offset and address 0";
      return nullptr;
    }
    if (!is_aligned(trailer.offset, kPageSize))
      return "the trampoline's offset is not page-aligned";
    if (!is_aligned(trailer.vaddr, kPageSize))
      return "the trampoline's address is not page-aligned";
    if (!range_fits(trailer.offset, trailer.size, trailer_offset()))
      return "the trampoline leaves the file";
    if (litebox_ && trailer.offset + trailer.size != trailer_offset())
      return "the trampoline does not end at the trailer";
    if (!litebox_ && !is_aligned(trailer.size, kPageSize))
      return "the trampoline's size is not a multiple of the page size";
    if (trailer.size < (litebox_ ? 8 : 2 * kPageSize)) return "the trampoline is too small";
    if (trailer.size > (uint64_t{1} << 31)) return "the trampoline is larger than 2 GiB";
    return nullptr;
  }

  // Everything by address: the offsets are those of today's program headers.
  const char* check_segment() {
    Trailer& trailer = file_.trailer_;
    const elf::Phdr& own = file_.own_segment_;
    const uint64_t slot = own.vaddr + own.filesz - kPageSize;
    if (trailer.offset != 0) return "a trailer in a segment must have offset 0";
    trailer.offset = own.offset + own.filesz - kPageSize;
    if (trailer.size == 0)
      return trailer.vaddr == 0 ? nullptr : "a trailer of size 0 must have address 0";
    if (trailer.vaddr != slot) return "the slot's page is not at the end of its segment";
    if (trailer.size < 2 * kPageSize || !is_aligned(trailer.size, kPageSize))
      return "the trampoline's size is not a multiple of the page size, with one stub or more";
    if (trailer.size > (uint64_t{1} << 31)) return "the trampoline is larger than 2 GiB";
    const ByteView table = file_.program_headers();
    for (uint64_t at = 0; at < table.size(); at += sizeof(elf::Phdr)) {
      const elf::Phdr code = *load<elf::Phdr>(table, at);
      if (code.type != elf::kPtLoad || code.vaddr != slot + kPageSize) continue;
      const bool holds = code.flags == (elf::kFlagRead | elf::kFlagExec) &&
                         code.filesz == trailer.size - kPageSize && code.memsz == code.filesz &&
                         code.offset == trailer.offset + kPageSize;
      if (!holds) return "the segment of the stubs is not what the trailer says";
      if (!range_fits(code.offset, code.filesz, bytes().size())) return "the stubs leave the file";
      return nullptr;
    }
    return "the stubs have no segment";
  }

  const char* check_segment_metadata() {
    const elf::Phdr& own = file_.own_segment_;
    const uint64_t slot = file_.trailer_.offset;
    const auto locator =
        *load<SegmentLocator>(bytes(), slot + kPageSize - sizeof(Trailer) - sizeof(SegmentLocator));
    if (!same_magic(locator.magic, kMetaMagic)) return "the metadata locator is missing";
    if (locator.meta_vaddr < own.vaddr || locator.meta_vaddr - own.vaddr >= slot - own.offset)
      return "the metadata lies outside its segment";
    file_.input_digest_ = locator.input_digest;
    file_.meta_offset_ = own.offset + (locator.meta_vaddr - own.vaddr);
    const auto meta = load<MetaHeader>(bytes(), file_.meta_offset_);
    if (!meta || !same_magic(meta->magic, kMetaMagic)) return "the metadata is missing";
    if (meta->meta_size < sizeof(MetaHeader) ||
        !range_fits(file_.meta_offset_, meta->meta_size, slot))
      return "the metadata leaves its segment";
    if ((meta->flags & kMetaSegment) == 0 || (meta->flags & kMetaLitebox) != 0)
      return "trailer and metadata name different formats";
    file_.meta_ = *meta;
    return nullptr;
  }

  const char* check_metadata() {
    const Trailer& trailer = file_.trailer_;
    uint64_t end = trailer_offset();
    if (litebox_) {
      const uint64_t border = trailer.size == 0 ? end : trailer.offset;
      if (border < sizeof(MetaLocator)) return "the metadata locator is missing";
      end = border - sizeof(MetaLocator);
      const auto locator = load<MetaLocator>(bytes(), end);
      if (!locator || !same_magic(locator->magic, kMetaMagic))
        return "the metadata locator is missing";
      file_.meta_offset_ = locator->meta_offset;
    } else {
      file_.meta_offset_ = trailer.offset + trailer.size;
    }
    const auto meta = load<MetaHeader>(bytes(), file_.meta_offset_);
    if (!meta || file_.meta_offset_ > end || !same_magic(meta->magic, kMetaMagic))
      return "the metadata is missing";
    if (meta->meta_size < sizeof(MetaHeader) ||
        !range_fits(file_.meta_offset_, meta->meta_size, end))
      return "the metadata leaves the file";
    if (!litebox_ && file_.meta_offset_ + meta->meta_size != end)
      return "the metadata does not end at the trailer";
    // Between metadata and locator there is padding to a page at most: else another file's.
    const uint64_t most_padding = trailer.size == 0 ? 0 : kPageSize - 1;
    if (litebox_ && end - (file_.meta_offset_ + meta->meta_size) > most_padding)
      return "the metadata does not end at its locator";
    if (((meta->flags & kMetaLitebox) != 0) != litebox_ || (meta->flags & kMetaSegment) != 0)
      return "trailer and metadata name different formats";
    if (meta->input_size > file_.meta_offset_) return "the input's size leaves the file";
    if (trailer.size != 0 && meta->input_size > trailer.offset)
      return "the trampoline overlaps the input";
    file_.meta_ = *meta;
    return nullptr;
  }

  bool fits(const MetaRange& range, uint64_t element) const {
    return range_fits(range.offset, range.count * element, file_.meta_.meta_size) &&
           (range.count == 0 || range.offset >= sizeof(MetaHeader));
  }

  const char* check_ranges() const {
    const MetaHeader& meta = file_.meta_;
    if (!fits(meta.sites, sizeof(SiteRecord))) return "the site table leaves the metadata";
    if (!fits(meta.edits, sizeof(EditRecord))) return "the edit table leaves the metadata";
    if (!fits(meta.blob, 1)) return "the blob leaves the metadata";
    if (!fits(meta.phdrs, sizeof(elf::Phdr))) return "the program headers leave the metadata";
    if (!fits(meta.interp, 1)) return "the interpreter path leaves the metadata";
    if (!fits(meta.options, 1)) return "the options leave the metadata";
    if (meta.interp.count != 0 && file_.interpreter().back() != std::byte{0})
      return "the interpreter path does not end in NUL";
    if (meta.options.count != 0 && file_.options().back() != std::byte{0})
      return "the options do not end in NUL";
    if (meta.sites.count != meta.instruction_count) return "the site counts disagree";
    return nullptr;
  }

  const char* check_sites() {
    uint64_t next_free = 0;
    for (uint32_t i = 0; i < file_.site_count(); ++i) {
      const SiteRecord site = file_.site(i);
      if (site.site < next_free) return "the sites are not in ascending order";
      next_free = uint64_t{site.site} + 2;
      if (!range_fits(site.blob, blob_size(site), file_.meta_.blob.count))
        return "a site's original bytes leave the blob";
      originals_ += blob_size(site);
      if (site.tier == Tier::kNative) {
        if (site.window != 0) return "a native site has a window";
        continue;
      }
      if (site.window < uint32_t{site.before} + 2 || site.before > site.site)
        return "a window does not hold its syscall";
      if (site.stub < file_.first_stub().value ||
          !range_fits(site.stub, site.stub_size, file_.trailer_.size))
        return "a stub leaves the trampoline";
      if (site.enter >= site.stub_size) return "a stub's entry lies outside it";
    }
    return nullptr;
  }

  const char* check_edits() {
    for (uint32_t i = 0; i < file_.edit_count(); ++i) {
      const EditRecord edit = file_.edit(i);
      if (!range_fits(edit.offset, edit.size, file_.meta_.input_size))
        return "an edit leaves the input";
      if (!range_fits(edit.blob, edit.size, file_.meta_.blob.count))
        return "an edit's original bytes leave the blob";
      originals_ += edit.size;
    }
    // Whoever copies or adds up what all records name takes no more than the file's size.
    if (originals_ > file_.meta_.blob.count) return "records share their original bytes";
    return nullptr;
  }

  RewrittenFile file_;
  bool litebox_ = false;
  uint64_t originals_ = 0;  // bytes of all records
};

bool may_hold_trailer(const elf::Phdr& phdr) {
  return phdr.type == elf::kPtLoad && (phdr.flags & elf::kFlagWrite) != 0 &&
         phdr.filesz == phdr.memsz && phdr.filesz >= 2 * kPageSize &&
         is_aligned(phdr.offset, kPageSize) && is_aligned(phdr.vaddr, kPageSize) &&
         is_aligned(phdr.filesz, kPageSize);
}

RewrittenFile::Parsed RewrittenFile::parse(ByteView bytes) {
  return TrailerReader(bytes).read();
}

ByteView RewrittenFile::in_metadata(uint64_t offset, uint64_t size) const {
  return slice(metadata(), offset, size).value_or(ByteView{});
}

SiteRecord RewrittenFile::site(uint32_t index) const {
  return load<SiteRecord>(metadata(), meta_.sites.offset + uint64_t{index} * sizeof(SiteRecord))
      .value_or(SiteRecord{});
}

ByteView RewrittenFile::original_window(const SiteRecord& site) const {
  return in_metadata(uint64_t{meta_.blob.offset} + site.blob, site.window);
}

ByteView RewrittenFile::original_springboard(const SiteRecord& site) const {
  if (site.springboard == kNoSpringboard) return {};
  return in_metadata(meta_.blob.offset + springboard_in_blob(site), kSpringboardSize);
}

DisplacedRecord RewrittenFile::displaced(const SiteRecord& site, uint32_t index) const {
  return load<DisplacedRecord>(metadata(), meta_.blob.offset + displaced_in_blob(site, index))
      .value_or(DisplacedRecord{});
}

EditRecord RewrittenFile::edit(uint32_t index) const {
  return load<EditRecord>(metadata(), meta_.edits.offset + uint64_t{index} * sizeof(EditRecord))
      .value_or(EditRecord{});
}

ByteView RewrittenFile::original_edit(const EditRecord& edit) const {
  return in_metadata(uint64_t{meta_.blob.offset} + edit.blob, edit.size);
}

ByteView RewrittenFile::trampoline() const {
  return slice(bytes_, trailer_.offset, trailer_.size).value_or(ByteView{});
}

ByteView RewrittenFile::metadata() const {
  return slice(bytes_, meta_offset_, meta_.meta_size).value_or(ByteView{});
}

ByteView RewrittenFile::options() const {
  return in_metadata(meta_.options.offset, meta_.options.count);
}

ByteView RewrittenFile::interpreter() const {
  return in_metadata(meta_.interp.offset, meta_.interp.count);
}

ByteView RewrittenFile::program_headers() const {
  return slice(bytes_, ehdr_.phoff, uint64_t{ehdr_.phnum} * sizeof(elf::Phdr)).value_or(ByteView{});
}

std::optional<FileOffset> RewrittenFile::offset_of(Vaddr vaddr, uint64_t size) const {
  const ByteView table = program_headers();
  for (uint64_t at = 0; at < table.size(); at += sizeof(elf::Phdr)) {
    const auto phdr = load<elf::Phdr>(table, at);
    if (!phdr || phdr->type != elf::kPtLoad || vaddr.value < phdr->vaddr) continue;
    if (!range_fits(vaddr.value - phdr->vaddr, size, phdr->filesz)) continue;
    const auto offset = checked_add(phdr->offset, vaddr.value - phdr->vaddr);
    if (!offset || !range_fits(*offset, size, bytes_.size())) return std::nullopt;
    return FileOffset{*offset};
  }
  return std::nullopt;
}

std::optional<uint64_t> RewrittenFile::checksum() const {
  Checksum sum;
  if (!is_segment()) {
    sum.add(bytes_.first(sizeof(elf::Ehdr)));
    sum.add(program_headers());
  }
  for (uint32_t i = 0; i < site_count(); ++i) {
    const SiteRecord record = site(i);
    const auto window = offset_of(window_vaddr(record), record.window);
    if (!window) return std::nullopt;
    sum.add(bytes_.subspan(window->value, record.window));
    if (record.springboard == kNoSpringboard) continue;
    const auto springboard = offset_of({meta_.base_vaddr + record.springboard}, kSpringboardSize);
    if (!springboard) return std::nullopt;
    sum.add(bytes_.subspan(springboard->value, kSpringboardSize));
  }
  for (uint32_t i = 0; i < edit_count() && !is_segment(); ++i) {
    const EditRecord record = edit(i);
    sum.add(bytes_.subspan(record.offset, record.size));
  }
  // Without a site a segment still has its slot page, which holds the trailer.
  sum.add(is_segment() && !has_sites() ? bytes_.subspan(trailer_.offset, kPageSize) : trampoline());
  MetaHeader header = meta_;
  header.checksum = 0;
  sum.add(as_byte_view(&header, sizeof(header)));
  sum.add(metadata().subspan(sizeof(MetaHeader)));
  if (!is_segment()) sum.add(as_byte_view(&trailer_, sizeof(trailer_)));
  return sum.digest();
}

}  // namespace sysrewrite
