#include "rewriter/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "rewriter/lost_trailer.h"
#include "rewriter/payload.h"
#include "rewriter/selection.h"
#include "rewriter/stub_frames.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite {

namespace {

Report describe(const ElfImage& image, const Sites& sites, const Plan& plan, const Layout& layout,
                const StartPlan& start, const OutputBytes& output) {
  Report report;
  report.kind = image.kind();
  report.start = start.change;
  report.interpreter = start.interpreter;
  report.input_size = image.bytes().size();
  report.output_size = output.tail_offset.value + output.tail.size();
  report.trampoline = layout.trampoline;
  report.trampoline_size = layout.size;
  report.candidates = sites.all;
  report.other_calls = sites.others;
  auto stub = layout.stubs.begin();
  for (const PlannedSite& planned : plan.sites) {
    SiteReport site{planned.site->instruction.address,
                    planned.tier(),
                    planned.reason,
                    planned.site->evidence,
                    planned.window(),
                    planned.window_size(),
                    {},
                    {}};
    if (site.tier != Tier::kNative) site.stub = layout.trampoline + (stub++)->offset.value;
    if (const auto* board = std::get_if<SpringboardJump>(&planned.fate))
      site.springboard = board->springboard;
    report.sites.push_back(site);
  }
  return report;
}

std::optional<Error> check_options(const Options& options) {
  if (options.format == Format::kLitebox && options.native_tail)
    return Error{ErrorCode::kOptions, std::nullopt,
                 "a litebox file holds no syscall instruction, so it cannot have native tails; add "
                 "--no-native-tail"};
  if (options.embed && options.format == Format::kLitebox)
    return Error{ErrorCode::kOptions, std::nullopt,
                 "LiteBox's loader finds the trampoline at the file's end, not in a segment; leave "
                 "--embed away"};
  return std::nullopt;
}

// Only where there is something to embed.
Result<std::optional<Embedding>> plan_embedding(const ElfImage& image, const Sites& sites,
                                                const StartPlan& start, const Options& options) {
  const bool needed = !sites.syscalls.empty() || start.change != StartChange::kNone;
  if (!options.embed || !needed) return std::optional<Embedding>();
  auto embedding = Embedding::plan(image, start);
  if (!embedding) return embedding.error();
  return std::optional<Embedding>(std::move(*embedding));
}

Placement choose_placement(const ElfImage& image, const std::optional<Embedding>& embedding,
                           size_t sites, const Options& options) {
  const uint64_t bound = trampoline_bound(sites);
  if (!embedding) return Placement::choose(image, options.format, bound);
  size_t option_bytes = 0;
  for (const std::string& option : options.loader_options) option_bytes += option.size() + 1;
  return Placement::behind(image, embedding->bound(sites, option_bytes), bound);
}

std::optional<Error> refuse_unpatchable(const Plan& plan, const Options& options) {
  if (options.on_unpatchable != OnUnpatchable::kFail) return std::nullopt;
  for (const PlannedSite& site : plan.sites) {
    if (site.tier() != Tier::kTrap && site.tier() != Tier::kNative) continue;
    if (!is_selected(options, site.site->instruction.address)) continue;  // as was asked for
    const uint64_t address = site.site->instruction.address.value;
    return Error{ErrorCode::kUnpatchable, address,
                 fmt::format("no jump fits at {:#x}: {}; --on-unpatchable=trap poisons it, keep "
                             "leaves it native",
                             address, reason_text(site.reason))};
  }
  return std::nullopt;
}

// What does not hold of an input that carries our trailer, or null.
const char* trailer_problem(const RewrittenFile::Parsed& parsed) {
  if (parsed.status == TrailerStatus::kDamaged) return parsed.problem;
  const bool whole = parsed.file.checksum() == parsed.file.meta().checksum;
  return whole ? nullptr : "its checksum is not the file's, which was edited since";
}

// 32-bit offsets in the site table.
std::optional<Error> check_span(const ElfImage& image) {
  uint64_t first = UINT64_MAX, last = 0;
  for (const Segment& segment : image.segments()) {
    if (!segment.executable()) continue;
    first = std::min(first, segment.vaddr.value);
    last = std::max(last, segment.vaddr.value + segment.file_size);
  }
  if (last > first && last - first >= kNoSpringboard)
    return Error{ErrorCode::kUnsupportedFile, first,
                 "the executable segments lie more than 4 GiB apart"};
  return std::nullopt;
}

Error lost_trailer(uint64_t at, const std::string& trace) {
  return {
      ErrorCode::kDamagedTrailer, at,
      fmt::format("it was rewritten and has lost its end since (strip and objcopy drop it): {}; "
                  "strip the original, and rewrite that; or, where nobody rewrote it, --force",
                  trace)};
}

std::optional<Error> refuse_lost_trailer(const ElfImage& image, const FunctionIndex& functions,
                                         const std::vector<RewriteTrace>& suspects) {
  if (const auto trace = find_trace(image, functions, suspects)) {
    const char* form = trace->kind == TraceKind::kLeadsOut
                           ? "the jump at {:#x} leads out of the file"
                           : "the bytes f1 f4 at {:#x} stand for a system call, and trap";
    return lost_trailer(trace->at.value, fmt::format(fmt::runtime(form), trace->at.value));
  }
  if (const auto path = interpreter_of_rewritten(image))
    return lost_trailer(image.find_header(elf::kPtInterp)->offset,
                        fmt::format("its interpreter is {}", *path));
  return std::nullopt;
}

FunctionIndex index_functions(const ElfImage& image, const std::vector<Candidate>& candidates,
                              const std::vector<RewriteTrace>& traces) {
  if (candidates.empty() && traces.empty()) return {};
  std::vector<Vaddr> addresses;
  addresses.reserve(candidates.size() + traces.size());
  for (const Candidate& candidate : candidates) addresses.push_back(candidate.address);
  for (const RewriteTrace& trace : traces) addresses.push_back(trace.at);
  std::sort(addresses.begin(), addresses.end());
  return FunctionIndex::build_near(image, addresses);
}

std::vector<Vaddr> addresses_of(const std::vector<Site>& sites) {
  std::vector<Vaddr> addresses;
  addresses.reserve(sites.size());
  for (const Site& site : sites) addresses.push_back(site.instruction.address);
  return addresses;
}

enum class Origin { kUnknown, kRestored };

// The input carries no trailer.
Result<Rewritten> rewrite_input(ByteView input, const Options& asked, Origin origin) {
  if (auto error = check_options(asked)) return *error;

  // Headers that can be relied on.
  auto image = ElfImage::parse(input);
  if (!image) return image.error();
  if (auto error = check_span(*image)) return *error;
  const auto resolved = resolve_selectors(*image, asked);
  if (!resolved) return resolved.error();
  const Options& options = *resolved;
  if (auto error = refuse_payload(*image, options)) return *error;

  // What its headers become. Afterwards: this can no longer fail.
  auto start = plan_start(*image, options);
  if (!start) return start.error();

  // Every pair of bytes that may be a system call, and what each of them is.
  const std::vector<Candidate> candidates = find_candidates(*image);
  std::vector<RewriteTrace> traces;
  const bool asks_for_traces = origin == Origin::kUnknown && !options.accept_traces;
  if (asks_for_traces) traces = suspect_traces(*image);
  const FunctionIndex functions = index_functions(*image, candidates, traces);
  if (asks_for_traces)
    if (auto error = refuse_lost_trailer(*image, functions, traces)) return *error;
  const Sites sites = classify(*image, candidates, functions, options.uncertain);
  if (auto error = refuse_unmatched(options, addresses_of(sites.syscalls))) return *error;

  // Where the trampoline goes. Afterwards: this, too, can no longer fail.
  auto embedding = plan_embedding(*image, sites, *start, options);
  if (!embedding) return embedding.error();

  // What speaks against a patch, over the whole file but only about the bytes in question: first
  // the little that tier A asks for, which settles most sites, then everything about the rest.
  const Placement placement = choose_placement(*image, *embedding, sites.syscalls.size(), options);
  Evidence evidence = gather_evidence(*image, functions, patch_ranges(sites), inner_bytes(sites));
  const auto contested = contested_sites(sites, functions, evidence, placement, options);
  deepen_evidence(*image, contested_ranges(contested), evidence);

  // Each site's fate. Afterwards: only section headers that cannot be added to can fail.
  const Plan plan = make_plan(sites, functions, evidence, placement, options);
  if (auto error = refuse_unpatchable(plan, options)) return *error;

  // Addresses, what debuggers are told of them, then bytes.
  Layout layout = lay_out(plan, placement, options);
  const bool embedded = *embedding && (layout.size != 0 || start->change != StartChange::kNone);
  std::vector<WrittenFrame> frames;
  if (embedded || options.symbols) frames = stub_frames(*image, layout, options);
  const size_t framed = frames.size();
  const bool merged =
      embedded && (*embedding)->add_frames(std::exchange(frames, {}), layout.trampoline);
  const auto sections = plan_stub_sections(*image, layout, frames, embedded, options);
  if (!sections) return sections.error();
  Decisions decided{*image, sites, plan, *start, options, *sections};
  if (embedded) {
    decided.embedding = &**embedding;
    const Vaddr slot = (*embedding)->slot(metadata_size(decided, layout));
    if (layout.size != 0) layout.trampoline = slot;
  }
  Rewritten rewritten;
  rewritten.output = assemble(decided, layout);
  rewritten.report = describe(*image, sites, plan, layout, *start, rewritten.output);
  rewritten.report.symbols = *sections && (*sections)->named;
  if (merged || (*sections && (*sections)->framed)) rewritten.report.framed_stubs = framed;
  return rewritten;
}

}  // namespace

namespace {

bool was_left_incomplete(const RewrittenFile& file) {
  if (file.meta().uncertain_count != 0) return true;
  for (uint32_t i = 0; i < file.site_count(); ++i)
    if (file.site(i).tier == Tier::kNative) return true;
  return false;
}

}  // namespace

Result<Rewritten> rewrite(ByteView input, const Options& asked) {
  // A file that carries our trailer has been through here.
  const auto previous = RewrittenFile::parse(input);
  if (previous.status == TrailerStatus::kAbsent)
    return rewrite_input(input, asked, Origin::kUnknown);
  if (auto error = check_options(asked)) return *error;
  if (const char* problem = trailer_problem(previous))
    return Error{ErrorCode::kDamagedTrailer, std::nullopt,
                 fmt::format("the file ends in a trailer that does not hold: {}; restore it from "
                             "its source and rewrite that",
                             problem)};
  Rewritten same;
  same.report.already_rewritten = true;
  same.report.was_incomplete = was_left_incomplete(previous.file);
  same.report.input_size = same.report.output_size = input.size();
  return same;
}

Result<Rewritten> rewrite_restored(ByteView original, const Options& asked) {
  return rewrite_input(original, asked, Origin::kRestored);
}

size_t Report::count(Tier tier) const {
  return static_cast<size_t>(std::count_if(sites.begin(), sites.end(),
                                           [tier](const SiteReport& s) { return s.tier == tier; }));
}

size_t Report::count(CandidateClass wanted) const {
  return static_cast<size_t>(
      std::count_if(candidates.begin(), candidates.end(),
                    [wanted](const ClassifiedCandidate& c) { return c.kind == wanted; }));
}

bool Report::incomplete() const {
  return was_incomplete || count(Tier::kNative) != 0 || count(CandidateClass::kUncertain) != 0;
}

}  // namespace sysrewrite
