// --embed=segment: the trampoline as two segments of the program, with sections over every byte of
// them, so that strip and objcopy keep it and ld.so maps it. trampoline/layout.h draws the file.
//
// The program-header table has to grow where it stands, right behind the ELF header: GNU strip
// writes it there wherever it stood before. Behind it there is either room, or there stand notes,
// hash tables and symbols, which nothing refers to but headers and the dynamic section: those move
// into the new segment, all as one piece, and the way to them is changed.
#ifndef SYSREWRITE_REWRITER_EMBEDDING_H_
#define SYSREWRITE_REWRITER_EMBEDDING_H_

#include <optional>
#include <string>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/merged_frames.h"
#include "rewriter/result.h"
#include "rewriter/start.h"
#include "rewriter/stub_sections.h"

namespace sysrewrite {

// Where the parts lie, once the metadata's size is known.
struct EmbeddedPlaces {
  FileOffset data;          // of the writable segment
  uint64_t meta_size = 0;   // bytes
  uint64_t stubs_size = 0;  // bytes, of the executable segment; 0: there is none
};

class Embedding {
 public:
  // Fails where the table cannot grow, or where section headers are missing.
  static Result<Embedding> plan(const ElfImage& image, const StartPlan& start);

  // Has unwinders find the stubs' frames, made for a trampoline at `trampoline`. Comes before
  // everything else. False where they cannot be told.
  bool add_frames(std::vector<WrittenFrame> stubs, Vaddr trampoline);

  // The writable segment: [metadata][moved piece, interpreter path][unwind tables][slot page]. It
  // starts with nothing that another program header names: LLVM's tools would lay it out by that
  // one.
  Vaddr data() const { return data_; }
  uint64_t slot_at(uint64_t meta_size) const;
  Vaddr slot(uint64_t meta_size) const { return data_ + slot_at(meta_size); }

  // What slot_at() will not exceed.
  uint64_t bound(size_t sites, size_t option_bytes) const;

  // What is changed of the input; as many bytes wherever the parts lie. `sections`: see tables().
  std::vector<HeaderEdit> edits(const EmbeddedPlaces& places,
                                const SectionTableBytes& sections) const;
  // The segment's bytes between the metadata and the slot page.
  std::vector<std::byte> piece(const EmbeddedPlaces& places) const;
  // What stands behind the stubs: the section headers, and what of their tables is new. `stubs`
  // becomes the input's sections where they are now, and those of both segments.
  SectionTableBytes tables(const EmbeddedPlaces& places, StubSections stubs) const;

 private:
  Embedding(const ElfImage& image, const StartPlan& start) : image_(&image), start_(&start) {}

  class Planner;

  // In the writable segment.
  uint64_t piece_at(uint64_t meta_size) const;
  uint64_t path_at(uint64_t meta_size) const;
  uint64_t frames_at(uint64_t meta_size) const;
  uint64_t search_at(uint64_t meta_size) const;
  uint64_t frames_end(uint64_t meta_size) const;

  std::vector<elf::Phdr> headers(const EmbeddedPlaces& places) const;
  void move_sections(const EmbeddedPlaces& places, SectionTable& table) const;
  void add_sections(const EmbeddedPlaces& places, SectionTable& table) const;
  // The section of the path that PT_INTERP names.
  bool is_path(const elf::Shdr& section) const;
  bool moves(uint64_t offset, uint64_t size) const {
    return offset >= piece_ && offset - piece_ < piece_size_ &&
           size <= piece_size_ - (offset - piece_);
  }

  const ElfImage* image_;
  const StartPlan* start_;
  Vaddr data_;
  uint64_t piece_ = 0, piece_size_ = 0;  // of the input, to be moved; size 0: nothing
  uint64_t path_size_ = 0;               // bytes; 0: no interpreter is named
  uint64_t table_end_ = 0;               // of the bytes that the longer table takes of the input
  std::vector<size_t> dropped_;          // program headers that say again what another says
  std::optional<MergedFrames> frames_;   // nothing where the stubs have none
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_EMBEDDING_H_
