#include "rewriter/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "rewriter/verify_accesses.h"
#include "rewriter/verify_entries.h"
#include "rewriter/verify_labels.h"
#include "rewriter/verify_original.h"
#include "rewriter/verify_patch_points.h"
#include "rewriter/verify_placement.h"
#include "rewriter/verify_reach.h"
#include "rewriter/verify_segment.h"
#include "rewriter/verify_site.h"
#include "rewriter/verify_symbols.h"
#include "rewriter/verify_tables.h"
#include "trampoline/checksum.h"

namespace sysrewrite {

namespace {

class Verifier {
 public:
  explicit Verifier(ByteView output) : output_(output) {}

  Verdict run(std::optional<ByteView> original) {
    if (!read_trailer()) return std::move(verdict_);
    verify_tables(output_, file_, findings());
    count();
    auto image = find_original();
    if (!image) return std::move(verdict_);
    if (verdict_.changed_since) {
      if (original) refuse_comparison();
    } else {
      if (original) compare(*image, *original);
      verify_headers(output_, file_, *image, findings());
    }
    verify_original(*image, findings());
    check_candidates(*image);
    verify_placement(file_, *image, findings());
    check_aliases(*image);
    check_sites(*image);
    return std::move(verdict_);
  }

 private:
  Findings& findings() { return verdict_.findings; }

  bool read_trailer() {
    const auto parsed = RewrittenFile::parse(output_);
    const uint64_t end = output_.size() - std::min(output_.size(), sizeof(Trailer));
    if (parsed.status == TrailerStatus::kAbsent)
      findings().at_offset(end, "the end of the file",
                           "no trailer: it was never rewritten, or has lost its end since (strip "
                           "and objcopy drop it)",
                           "a trailer");
    if (parsed.status == TrailerStatus::kDamaged)
      findings().at_offset(end, "the trailer", parsed.problem, "a trailer that holds");
    if (parsed.status != TrailerStatus::kValid) return false;
    file_ = parsed.file;
    const uint64_t at = file_.meta_offset().value + offsetof(MetaHeader, checksum);
    findings().same_number(at, "the checksum", file_.meta().checksum,
                           file_.checksum().value_or(~file_.meta().checksum));
    return true;
  }

  // strip and objcopy keep a trampoline that is a segment, and write the headers anew.
  std::optional<OriginalImage> find_original() {
    if (!file_.is_segment()) return OriginalImage::restore(output_, file_, findings());
    Findings ignored;
    auto image = OriginalImage::restore(output_, file_, ignored);
    if (image) {
      Checksum whole;
      whole.add(image->bytes());
      if (whole.digest() == file_.input_digest()) return image;
      if (is_as_written(*image)) {
        findings().at_offset(file_.trailer().offset, "the digest of the input",
                             fmt::format("{:#x}", file_.input_digest()),
                             fmt::format("{:#x}, as headers and sections are still those that were "
                                         "written",
                                         whole.digest()));
        return image;
      }
    }
    verdict_.changed_since = true;
    return OriginalImage::restore_code(output_, file_, findings());
  }

  // True where headers and sections follow from the restored input, so that no tool has written
  // them anew.
  bool is_as_written(const OriginalImage& image) const {
    const Decoder decoder;
    const Evidenced in{output_, file_, image, decoder};
    Findings differences;
    std::vector<SiteReading> sites;
    for (uint32_t i = 0; i < file_.site_count(); ++i)
      if (auto site = read_site(in, i, differences)) sites.push_back(std::move(*site));
    verify_headers(output_, file_, image, differences);
    if (sites.size() == file_.site_count()) verify_segment(in, sites, differences);
    return differences.empty();
  }

  void refuse_comparison() {
    findings().at_offset(0, "the restored input",
                         "headers or sections that were written anew since (strip, objcopy)",
                         "what was rewritten; leave --against away to prove the patches alone");
  }

  void count() {
    const MetaHeader& meta = file_.meta();
    verdict_.input_size = meta.input_size;
    verdict_.candidates = meta.candidate_count;
    verdict_.inside = meta.inside_count;
    verdict_.data = meta.data_count;
    verdict_.uncertain = meta.uncertain_count;
    for (uint32_t i = 0; i < file_.site_count(); ++i) {
      const SiteRecord site = file_.site(i);
      verdict_.stub_bytes += site.stub_size;
      switch (site.tier) {
        case Tier::kInstruction:
          ++verdict_.covered;
          break;
        case Tier::kSpringboard:
          ++verdict_.sprung;
          break;
        case Tier::kWindow:
          ++verdict_.windowed;
          break;
        case Tier::kTrap:
          ++verdict_.trapped;
          break;
        case Tier::kNative:
          ++verdict_.native;
          break;
      }
    }
  }

  // With everything recorded put back the output is the original: so it differs from it only where
  // something is recorded, and what is recorded is true.
  void compare(const OriginalImage& image, ByteView original) {
    const ByteView restored = image.bytes();
    if (!findings().same_number(file_.meta_offset().value + offsetof(MetaHeader, input_size),
                                "the input's size", restored.size(), original.size()))
      return;
    const auto [ours, theirs] =
        std::mismatch(restored.begin(), restored.end(), original.begin(), original.end());
    if (ours == restored.end()) return;
    const auto at = static_cast<uint64_t>(ours - restored.begin());
    const uint64_t some = std::min<uint64_t>(8, restored.size() - at);
    findings().at_offset(at, "the restored input", hex_text(restored.subspan(at, some)),
                         hex_text(original.subspan(at, some)) + " as in the original");
  }

  // Every pair of bytes that could be a system call was counted.
  void check_candidates(const OriginalImage& image) {
    uint64_t pairs = 0;
    image.for_each_pair([&pairs](Vaddr) { ++pairs; });
    findings().same_number(file_.meta_offset().value + offsetof(MetaHeader, candidate_count),
                           "the number of `0f 05` pairs", file_.meta().candidate_count, pairs);
  }

  // A patch of code that a second segment maps too would change that one as well.
  void check_aliases(const OriginalImage& image) {
    std::vector<elf::Phdr> loads = image.loads();
    std::sort(loads.begin(), loads.end(),
              [](const elf::Phdr& a, const elf::Phdr& b) { return a.offset < b.offset; });
    const elf::Phdr* reaching = nullptr;  // the one whose file part ends last
    for (const elf::Phdr& load : loads) {
      if (load.filesz == 0) continue;
      const bool code =
          reaching != nullptr && ((load.flags | reaching->flags) & elf::kFlagExec) != 0;
      if (code && file_.has_sites() && load.offset < reaching->offset + reaching->filesz)
        findings().at_offset(load.offset, "two segments, one of them code",
                             "that they map the same bytes of the file", "bytes of their own");
      if (reaching == nullptr || load.offset + load.filesz > reaching->offset + reaching->filesz)
        reaching = &load;
    }
  }

  void check_sites(const OriginalImage& image) {
    const Decoder decoder;
    const Evidenced in{output_, file_, image, decoder};
    const KnownFunctions functions(image);
    const CodeSections sections(image);
    std::vector<SiteReading> sites;
    StubOffset next = file_.first_stub();
    for (uint32_t i = 0; i < file_.site_count(); ++i) {
      auto site = read_site(in, i, findings());
      const SiteRecord record = file_.site(i);
      if (site && record.tier != Tier::kNative) {
        verify_window(in, *site, findings());
        verify_stub(in, *site, next, findings());
        if (site->springboard) verify_springboard(in, functions, sections, *site, findings());
      }
      if (record.tier != Tier::kNative) next = {uint64_t{record.stub} + record.stub_size};
      if (site) sites.push_back(std::move(*site));
    }
    check_rest_of_trampoline(next);
    check_overlaps(sites);
    verify_headers_untouched(image, sites, findings());
    verify_entries(image, decoder, functions, sites, findings());
    verify_labels(image, functions, sites, findings());
    verify_accesses(in, functions, sites, findings());
    verdict_.unvouched = verify_reach(in, functions, sections, sites, findings());
    verify_patch_points(in, sites, findings());
    if (!file_.is_segment())
      verify_symbols(in, sites, findings());
    else if (!verdict_.changed_since && sites.size() == file_.site_count())
      verify_segment(in, sites, findings());
  }

  // Slot and slot page are zero, and behind the last stub there is int3 to the end.
  void check_rest_of_trampoline(StubOffset end) {
    const ByteView trampoline = file_.trampoline();
    // A segment without a stub has its slot page all the same, which ends in the trailer.
    if (trampoline.empty() && !file_.is_segment()) return;
    const uint64_t at = file_.trailer().offset;
    const uint64_t behind = file_.is_segment() ? kSegmentEndSize : 0;
    findings().zeros(output_, at, at + file_.first_stub().value - behind, "the slot");
    if (trampoline.empty()) return;
    const uint64_t expected = file_.is_litebox() ? end.value : align_up(end.value, kPageSize);
    findings().same_number(output_.size() - sizeof(Trailer) + offsetof(Trailer, size),
                           "the trampoline's size", trampoline.size(), expected);
    for (uint64_t i = end.value; i < trampoline.size(); ++i) {
      if (trampoline[i] == std::byte{0xcc}) continue;
      findings().at_offset(at + i, "the end of the trampoline", hex_text(trampoline.subspan(i, 1)),
                           "cc");
      return;
    }
  }

  // Windows, springboards and the syscalls of native sites have no byte in common.
  void check_overlaps(const std::vector<SiteReading>& sites) {
    std::vector<std::pair<Vaddr, Vaddr>> spans;
    for (const SiteReading& site : sites) {
      spans.emplace_back(site.window, site.end);
      if (site.springboard)
        spans.emplace_back(*site.springboard, *site.springboard + kSpringboardSize);
    }
    std::sort(spans.begin(), spans.end());
    for (size_t i = 1; i < spans.size(); ++i)
      if (spans[i].first < spans[i - 1].second)
        findings().at_address(
            spans[i].first, "two patches",
            fmt::format("that the one at {:#x} reaches into this one", spans[i - 1].first.value),
            "that they have no byte in common");
  }

  ByteView output_;
  RewrittenFile file_;
  Verdict verdict_;
};

}  // namespace

Verdict verify(ByteView output, std::optional<ByteView> original) {
  return Verifier(output).run(original);
}

}  // namespace sysrewrite
