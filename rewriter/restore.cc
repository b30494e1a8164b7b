#include "rewriter/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace sysrewrite {

namespace {

Error damaged(std::optional<uint64_t> where, std::string message) {
  return Error{ErrorCode::kDamagedTrailer, where, std::move(message)};
}

// Collects the original bytes; every place must lie inside the input.
class Restorer {
 public:
  explicit Restorer(const RewrittenFile& file) : file_(file) {}

  std::optional<Error> collect() {
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
    out.tail_offset = {file_.meta().input_size};
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
    if (!offset || !range_fits(offset->value, bytes.size(), file_.meta().input_size))
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
  if (auto error = restorer.collect()) return *error;
  return restorer.take();
}

}  // namespace sysrewrite
