// Reading what stands at the end of a rewritten file, as hostile input.
//
// The loader, `sysrewrite` (to know a rewritten input), verify and inspect read trailers through
// this and nothing else. Nothing is allocated, nothing is thrown, every offset is checked against
// the buffer before it is used. Thread safe: all functions are pure.
#ifndef SYSREWRITE_TRAMPOLINE_REWRITTEN_FILE_H_
#define SYSREWRITE_TRAMPOLINE_REWRITTEN_FILE_H_

#include <optional>

#include "trampoline/address.h"
#include "trampoline/bytes.h"
#include "trampoline/elf_types.h"
#include "trampoline/layout.h"

namespace sysrewrite {

enum class TrailerStatus {
  kAbsent,   // never rewritten, or cut off since
  kDamaged,  // there is a magic, but what it says does not hold
  kValid,
};

// A segment whose last bytes can be a slot page: writable, of whole pages, and without bss.
bool may_hold_trailer(const elf::Phdr& phdr);

// A validated view of a rewritten file; `bytes` must outlive it.
class RewrittenFile {
 public:
  struct Parsed;  // below: status, the reason in words where damaged, the file where valid

  // Reads the trailer, at the file's end or in a segment of its own, and the metadata, and checks
  // every range in them. The checksum is not
  // computed here (see checksum()), since not everybody has the whole file in memory.
  static Parsed parse(ByteView bytes);

  ByteView bytes() const { return bytes_; }  // the whole file
  const Trailer& trailer() const { return trailer_; }
  const MetaHeader& meta() const { return meta_; }
  FileOffset meta_offset() const { return {meta_offset_}; }
  bool is_litebox() const { return (meta_.flags & kMetaLitebox) != 0; }
  // Of --embed=segment. trailer().offset is then where the program headers put the slot page.
  bool is_segment() const { return (meta_.flags & kMetaSegment) != 0; }
  // Where is_segment(): what the whole input hashes to.
  uint64_t input_digest() const { return input_digest_; }
  // Where is_segment(): the writable segment, up to the stubs.
  const elf::Phdr& own_segment() const { return own_segment_; }
  bool has_sites() const { return trailer_.size != 0; }

  // From the start of the trampoline to the first stub.
  StubOffset first_stub() const { return {is_litebox() ? 8 : kPageSize}; }

  uint32_t site_count() const { return meta_.sites.count; }
  // `index` below site_count().
  SiteRecord site(uint32_t index) const;
  Vaddr site_vaddr(const SiteRecord& site) const { return {meta_.base_vaddr + site.site}; }
  Vaddr window_vaddr(const SiteRecord& site) const { return site_vaddr(site) - site.before; }
  Vaddr stub_vaddr(const SiteRecord& site) const { return {trailer_.vaddr + site.stub}; }
  // The window's bytes before the patch, and the springboard's (empty where there is none).
  ByteView original_window(const SiteRecord& site) const;
  ByteView original_springboard(const SiteRecord& site) const;
  // `index` below site.displaced.
  DisplacedRecord displaced(const SiteRecord& site, uint32_t index) const;

  uint32_t edit_count() const { return meta_.edits.count; }
  EditRecord edit(uint32_t index) const;
  ByteView original_edit(const EditRecord& edit) const;

  ByteView trampoline() const;
  ByteView metadata() const;
  ByteView options() const;
  ByteView interpreter() const;  // with its NUL; empty: none was set

  // Where an address of the image stands in the file, by the program headers of the output; nothing
  // where no PT_LOAD's file part holds all `size` bytes.
  std::optional<FileOffset> offset_of(Vaddr vaddr, uint64_t size) const;

  // The sum that checksum.h describes; nothing where a window lies outside the file. The file is
  // whole where this equals meta().checksum.
  std::optional<uint64_t> checksum() const;

 private:
  ByteView bytes_;
  Trailer trailer_{};
  MetaHeader meta_{};
  uint64_t meta_offset_ = 0;
  uint64_t input_digest_ = 0;
  elf::Phdr own_segment_{};
  elf::Ehdr ehdr_{};
  friend class TrailerReader;

  ByteView in_metadata(uint64_t offset, uint64_t size) const;
  ByteView program_headers() const;
};

struct RewrittenFile::Parsed {
  TrailerStatus status = TrailerStatus::kAbsent;
  const char* problem = "";  // a sentence for people, where kDamaged
  RewrittenFile file;        // where kValid
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_REWRITTEN_FILE_H_
