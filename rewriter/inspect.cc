#include "rewriter/inspect.h"

#include <algorithm>
#include <map>

#include "rewriter/decoder.h"
#include "rewriter/restore.h"
#include "rewriter/symbol_names.h"

namespace sysrewrite {

namespace {

std::vector<CodeLine> lines_of(const Decoder& decoder, ByteView bytes, Vaddr address) {
  std::vector<CodeLine> lines;
  while (!bytes.empty()) {
    const auto in = decoder.decode(bytes, address);
    const size_t length = in ? in->length : 1;
    const ByteView own = bytes.first(length);
    lines.push_back({address, {own.begin(), own.end()}, decoder.format(bytes, address)});
    bytes = bytes.subspan(length);
    address = address + length;
  }
  return lines;
}

// The file before and after, of which one was given and the other made.
class Inspector {
 public:
  Inspector(ByteView original, const Report& report) : original_(original), report_(report) {}

  // What a rewrite with default options would do.
  Result<Inspection> of_input(const OutputBytes& output, bool disassemble) {
    out_.input_size = original_.size();
    out_.output_size = report_.output_size;
    out_.interpreter = report_.interpreter;
    out_.trampoline = report_.trampoline;
    out_.trampoline_size = report_.trampoline_size;
    for (const SiteReport& site : report_.sites) out_.sites.push_back({site, {}, {}, {}, {}, {}});
    if (!disassemble) return finish(nullptr);
    const std::vector<std::byte> whole = materialize(original_, output);
    const auto parsed = RewrittenFile::parse(whole);
    return finish(parsed.status == TrailerStatus::kValid ? &parsed.file : nullptr);
  }

  Result<Inspection> of_output(const RewrittenFile& file, bool changed_since, bool disassemble) {
    const MetaHeader& meta = file.meta();
    out_.rewritten = true;
    out_.input_size = meta.input_size;
    out_.output_size = file.bytes().size();
    out_.format = file.is_litebox() ? Format::kLitebox : Format::kSysrewrite;
    out_.stub = (meta.flags & kMetaPlainStub) != 0 ? StubKind::kPlain : StubKind::kRedzone;
    out_.native_tail = (meta.flags & kMetaNativeTail) != 0;
    out_.embedded = file.is_segment();
    out_.changed_since = changed_since;
    out_.symbols = (meta.flags & kMetaSymbols) != 0;
    out_.interpreter = strings(file.interpreter()).empty() ? "" : strings(file.interpreter())[0];
    out_.loader_options = strings(file.options());
    out_.trampoline = {file.trailer().vaddr};
    out_.trampoline_size = file.trailer().size;
    for (uint32_t i = 0; i < file.site_count(); ++i) add_record(file, file.site(i));
    return finish(disassemble ? &file : nullptr);
  }

 private:
  static std::vector<std::string> strings(ByteView bytes) {
    std::vector<std::string> all;
    std::string next;
    for (const std::byte byte : bytes) {
      if (byte != std::byte{0}) {
        next += static_cast<char>(byte);
        continue;
      }
      all.push_back(std::move(next));
      next.clear();
    }
    return all;
  }

  void add_record(const RewrittenFile& file, const SiteRecord& record) {
    SiteReport site;
    site.address = file.site_vaddr(record);
    site.tier = record.tier;
    site.reason = static_cast<Reason>(record.reason);
    site.window = file.window_vaddr(record);
    site.window_size = record.window;
    if (record.tier != Tier::kNative) site.stub = file.stub_vaddr(record);
    if (record.springboard != kNoSpringboard)
      site.springboard = Vaddr{file.meta().base_vaddr + record.springboard};
    out_.sites.push_back({site, {}, {}, {}, {}, {}});
  }

  // `file`: what to disassemble, or null.
  Result<Inspection> finish(const RewrittenFile* file) {
    const auto image = ElfImage::parse(original_);
    if (!image) return image.error();
    const SymbolNames names(*image);
    out_.kind = image->kind();
    std::map<Vaddr, CandidateEvidence> evidence;
    for (const ClassifiedCandidate& pair : report_.candidates)
      evidence[pair.candidate.address] = pair.evidence;
    for (size_t i = 0; i < out_.sites.size(); ++i) {
      InspectedSite& inspected = out_.sites[i];
      inspected.symbol = names.name_of(inspected.site.address);
      // With a prefix the pair stands behind the instruction's start.
      const auto pair = evidence.lower_bound(inspected.site.address);
      if (pair != evidence.end()) inspected.site.evidence = pair->second;
      if (file != nullptr) disassemble(*image, *file, static_cast<uint32_t>(i), inspected);
    }
    for (ClassifiedCandidate pair : report_.candidates) {
      if (is_site(pair.candidate.address)) pair.kind = CandidateClass::kInstruction;
      out_.pairs.push_back({pair, names.name_of(pair.candidate.address)});
    }
    for (const InspectedSite& inspected : out_.sites) ++out_.tiers[inspected.site.tier];
    for (const InspectedPair& pair : out_.pairs) ++out_.classes[pair.pair.kind];
    for (const ClassifiedCandidate& other : report_.other_calls)
      out_.other_calls.push_back({other, names.name_of(other.candidate.address)});
    return std::move(out_);
  }

  // The table's word, not the analysis': a user may have asked for uncertain ones to be patched.
  bool is_site(Vaddr pair) const {
    const auto after = std::upper_bound(
        out_.sites.begin(), out_.sites.end(), pair,
        [](Vaddr a, const InspectedSite& inspected) { return a < inspected.site.address; });
    if (after == out_.sites.begin()) return false;
    const Vaddr site = (after - 1)->site.address;
    if (pair.value - site.value >= kLongestInstruction) return false;
    return pair == site || report_kind(pair) == CandidateClass::kInstruction;
  }

  CandidateClass report_kind(Vaddr pair) const {
    const auto it = std::lower_bound(
        report_.candidates.begin(), report_.candidates.end(), pair,
        [](const ClassifiedCandidate& c, Vaddr a) { return c.candidate.address < a; });
    return it->kind;
  }

  void disassemble(const ElfImage& image, const RewrittenFile& file, uint32_t index,
                   InspectedSite& out) const {
    const SiteRecord record = file.site(index);
    if (record.tier == Tier::kNative) {
      const auto bytes = image.bytes_from(out.site.address);
      const auto in = bytes ? decoder_.decode(*bytes, out.site.address) : std::nullopt;
      if (in) out.before = lines_of(decoder_, bytes->first(in->length), out.site.address);
      return;
    }
    const Vaddr window = out.site.window;
    out.before = lines_of(decoder_, file.original_window(record), window);
    out.after = lines_of(decoder_, patched(file, window, record.window), window);
    if (out.site.springboard)
      out.springboard = lines_of(decoder_, patched(file, *out.site.springboard, kSpringboardSize),
                                 *out.site.springboard);
    out.stub = lines_of(
        decoder_, slice(file.trampoline(), record.stub, record.stub_size).value_or(ByteView{}),
        out.site.stub);
  }

  static ByteView patched(const RewrittenFile& file, Vaddr address, uint64_t size) {
    const auto offset = file.offset_of(address, size);
    return offset ? file.bytes().subspan(offset->value, size) : ByteView{};
  }

  ByteView original_;
  const Report& report_;
  Decoder decoder_;
  Inspection out_;
};

}  // namespace

Result<Inspection> inspect(ByteView file, bool disassemble, Options options) {
  options.force = true;  // a payload keeps nothing from being looked at
  if (RewrittenFile::parse(file).status == TrailerStatus::kAbsent) {
    const auto rewritten = rewrite(file, options);
    if (!rewritten) return rewritten.error();
    return Inspector(file, rewritten->report).of_input(rewritten->output, disassemble);
  }
  const auto output = open_rewritten(file);
  if (!output) return output.error();
  auto undone = restore(file);
  const bool changed_since = !undone && output->is_segment();
  if (changed_since) undone = restore_code(file);
  if (!undone) return undone.error();
  const std::vector<std::byte> original = materialize(file, *undone);
  const auto rewritten = rewrite_restored(original, options);
  if (!rewritten) return rewritten.error();
  return Inspector(original, rewritten->report).of_output(*output, changed_since, disassemble);
}

}  // namespace sysrewrite
