#include "rewriter/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "trampoline/checksum.h"

namespace sysrewrite {

namespace {

Error damaged(std::optional<uint64_t> where, std::string message) {
  return Error{ErrorCode::kDamagedTrailer, where, std::move(message)};
}

// strip and objcopy keep a trampoline that is a segment, but not the headers and sections.
Error changed_since() {
  return damaged(std::nullopt,
                 "headers or sections were written anew since it was rewritten (strip, objcopy): "
                 "the input is not in it any more; take it from its source. inspect and verify "
                 "still read the patches");
}

// What `output` hashes to when it is restored.
uint64_t digest_of(ByteView output, const OutputBytes& restored) {
  Checksum sum;
  uint64_t at = 0;
  for (const BytePatch& patch : restored.patches) {
    sum.add(output.subspan(at, patch.offset.value - at));
    sum.add(patch.bytes);
    at = patch.offset.value + patch.bytes.size();
  }
  sum.add(output.subspan(at, restored.tail_offset.value - at));
  return sum.digest();
}

// Collects the original bytes; every place must lie inside the input.
class Restorer {
 public:
  explicit Restorer(const RewrittenFile& file) : file_(file) {}

  // The code alone, and no segments of ours; everything else stays as it is.
  std::optional<Error> collect_code() {
    end_ = file_.bytes().size();
    for (uint32_t i = 0; i < file_.site_count(); ++i)
      if (auto error = collect_site(file_.site(i))) return error;
    const auto header = *load<elf::Ehdr>(file_.bytes(), 0);
    for (uint64_t i = 0; i < header.phnum; ++i) {
      const uint64_t at = header.phoff + i * sizeof(elf::Phdr);
      const auto segment = *load<elf::Phdr>(file_.bytes(), at);
      const bool own = segment.type == elf::kPtLoad && segment.vaddr >= file_.own_segment().vaddr;
      if (own) patches_.push_back({{at}, std::vector<std::byte>(sizeof(elf::Phdr))});
    }
    return sort();
  }

  std::optional<Error> collect() {
    if (file_.meta().input_size > file_.bytes().size())
      return damaged(std::nullopt, "the file is shorter than the input");
    end_ = file_.meta().input_size;
    for (uint32_t i = 0; i < file_.site_count(); ++i)
      if (auto error = collect_site(file_.site(i))) return error;
    for (uint32_t i = 0; i < file_.edit_count(); ++i) {
      const EditRecord edit = file_.edit(i);
      if (auto error = put(FileOffset{edit.offset}, edit.offset, file_.original_edit(edit)))
        return error;
    }
    return sort();
  }

  OutputBytes take() {
    OutputBytes out;
    out.patches = std::move(patches_);
    out.tail_offset = {end_};
    return out;
  }

 private:
  std::optional<Error> collect_site(const SiteRecord& site) {
    if (site.tier == Tier::kNative) return std::nullopt;
    const Vaddr window = file_.window_vaddr(site);
    if (auto error =
            put(file_.offset_of(window, site.window), window.value, file_.original_window(site)))
      return error;
    if (site.springboard == kNoSpringboard) return std::nullopt;
    const Vaddr board{file_.meta().base_vaddr + site.springboard};
    return put(file_.offset_of(board, kSpringboardSize), board.value,
               file_.original_springboard(site));
  }

  std::optional<Error> put(std::optional<FileOffset> offset, uint64_t where, ByteView bytes) {
    if (!offset || !range_fits(offset->value, bytes.size(), end_))
      return damaged(where, fmt::format("the site table names bytes at {:#x} that are not in the "
                                        "input; nothing can be restored from it",
                                        where));
    patches_.push_back({*offset, {bytes.begin(), bytes.end()}});
    return std::nullopt;
  }

  // Two originals for one byte: nobody could tell which of them is true.
  std::optional<Error> sort() {
    std::sort(patches_.begin(), patches_.end(),
              [](const BytePatch& a, const BytePatch& b) { return a.offset < b.offset; });
    for (size_t i = 1; i < patches_.size(); ++i) {
      const BytePatch& before = patches_[i - 1];
      if (before.offset + before.bytes.size() > patches_[i].offset)
        return damaged(patches_[i].offset.value,
                       fmt::format("two records of the site table overlap at file offset {:#x}; "
                                   "nothing can be restored from it",
                                   patches_[i].offset.value));
    }
    return std::nullopt;
  }

  const RewrittenFile& file_;
  uint64_t end_ = 0;  // of what is kept
  std::vector<BytePatch> patches_;
};

}  // namespace

Result<RewrittenFile> open_rewritten(ByteView output) {
  const auto parsed = RewrittenFile::parse(output);
  if (parsed.status == TrailerStatus::kAbsent)
    return damaged(std::nullopt,
                   "there is no trailer at its end: the file was never rewritten, or has lost its "
                   "end since (strip and objcopy drop it)");
  if (parsed.status == TrailerStatus::kDamaged)
    return damaged(std::nullopt, fmt::format("the file ends in a trailer that does not hold: {}",
                                             parsed.problem));
  const auto found = parsed.file.checksum();
  const uint64_t expected = parsed.file.meta().checksum;
  if (found != expected)
    return damaged(parsed.file.meta_offset().value + offsetof(MetaHeader, checksum),
                   fmt::format("the file was edited since it was rewritten: its checksum is {:#x}, "
                               "and {:#x} was recorded",
                               found.value_or(0), expected));
  return parsed.file;
}

Result<OutputBytes> restore(ByteView output) {
  const auto file = open_rewritten(output);
  if (!file) return file.error();
  Restorer restorer(*file);
  if (auto error = restorer.collect()) return file->is_segment() ? changed_since() : *error;
  OutputBytes restored = restorer.take();
  if (file->is_segment() && digest_of(output, restored) != file->input_digest())
    return changed_since();
  return restored;
}

Result<OutputBytes> restore_code(ByteView output) {
  const auto file = open_rewritten(output);
  if (!file) return file.error();
  Restorer restorer(*file);
  if (auto error = restorer.collect_code()) return *error;
  return restorer.take();
}

}  // namespace sysrewrite
