#include <fmt/format.h>

#include <algorithm>

#include "rewriter/verify_site.h"
#include "trampoline/stub.h"

namespace sysrewrite {

namespace {

class StubProof {
 public:
  StubProof(const Evidenced& in, const SiteReading& site, Findings& findings)
      : in_(in), site_(site), findings_(findings), at_(site.stub) {}

  void check() {
    const auto stub = slice(in_.file.trampoline(), site_.record.stub, site_.record.stub_size);
    if (!stub) return;  // parsing has refused it
    rest_ = *stub;
    const bool good = check_copies(site_.before) && check_core() && check_copies(site_.behind);
    if (good) check_jump_back();
  }

 private:
  ByteView take(size_t size) {
    const ByteView part = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(part.size());
    at_ = at_ + part.size();
    return part;
  }

  bool check_copies(const std::vector<Instruction>& run) {
    for (const Instruction& in : run)
      if (!check_copy(in)) return false;
    return true;
  }

  // Decoded anew: the same instruction, with the same operands, to the same addresses. All bytes
  // but those of a RIP-relative displacement are the same, and nothing else of a movable
  // instruction depends on where it runs.
  bool check_copy(const Instruction& in) {
    const Vaddr at = at_;
    const auto copy = in_.decoder.decode(rest_, at);
    const ByteView original = in_.original.bytes_from(in.address).first(in.length);
    const ByteView found = take(in.length);
    bool same = copy && copy->length == in.length && copy->displacement == in.displacement &&
                copy->target == in.target && copy->direct == in.direct;
    for (size_t i = 0; same && i < in.length; ++i) {
      const bool displacement =
          in.rip_relative() && i >= in.displacement && i < in.displacement + sizeof(int32_t);
      same = displacement || original[i] == found[i];
    }
    if (same) return true;
    findings_.at_address(at, fmt::format("the copy of the instruction at {:#x}", in.address.value),
                         fmt::format("`{}` ({})", in_.decoder.format(found, at), hex_text(found)),
                         fmt::format("`{}`", in_.decoder.format(original, in.address)));
    return false;
  }

  bool check_core() {
    const uint32_t flags = in_.file.meta().flags;
    const Vaddr at = at_;
    const auto core = make_stub_core(
        (flags & kMetaPlainStub) != 0 ? StubKind::kPlain : StubKind::kRedzone,
        (flags & kMetaNativeTail) != 0, at, {in_.file.trailer().vaddr}, site_.syscall.end());
    if (!core) {
      findings_.at_address(at, "the core of a stub", "a site or slot out of reach", "within 2 GiB");
      return false;
    }
    return findings_.same_bytes(at, "the core of a stub", take(core->size),
                                ByteView(core->bytes).first(core->size));
  }

  void check_jump_back() {
    const Vaddr at = at_;
    const auto jump = make_jump(at, site_.end);
    if (!jump)
      findings_.at_address(at, "the jump back to the program", "a window out of reach",
                           "one within 2 GiB");
    else
      findings_.same_bytes(at, "the jump back to the program", rest_, *jump);
  }

  const Evidenced& in_;
  const SiteReading& site_;
  Findings& findings_;
  Vaddr at_;
  ByteView rest_;
};

// The run of padding in front of a springboard, as the most of all decodes see it that start up to
// 256 bytes before: code falls into step after a few instructions, so nearly all of them agree.
// Over bytes that are no instruction (a table in front of the function) they go on one byte later,
// as disassemblers do: a decode that stopped there would leave the word to the few that start
// behind, most of them in the middle of an instruction.
class PaddingReader {
 public:
  PaddingReader(const Evidenced& in, Vaddr springboard) {
    const elf::Phdr* load = in.original.code_around(springboard, kSpringboardSize);
    start_ = springboard;
    if (load == nullptr) return;
    const uint64_t back = std::min(kBack, springboard.value - load->vaddr);
    start_ = springboard - back;
    board_ = back;
    const ByteView code = in.original.bytes_from(start_);
    for (uint64_t at = 0; at < back + kSpringboardSize; ++at)
      steps_.push_back(in.decoder.decode(code.subspan(at), start_ + at));
  }

  // Where the run begins; nothing where most decodes say that the springboard is no padding, or
  // that something runs into it.
  std::optional<Vaddr> begin() const {
    std::vector<unsigned> votes(2 * board_ + 2);
    for (uint64_t start = 0; start < board_; ++start)
      if (const auto run = run_from(start)) ++votes[2 * run->from + (run->dead ? 1 : 0)];
    const auto best = std::max_element(votes.begin(), votes.end());
    const auto index = static_cast<uint64_t>(best - votes.begin());
    if (*best == 0 || index % 2 == 0) return std::nullopt;
    return start_ + index / 2;
  }

  // The same by the decode from the begin of a function alone, which has the word where there are
  // too few for a vote, near the begin of a segment.
  std::optional<Vaddr> begin_by(Vaddr function) const {
    if (board_ == kBack || function < start_ || function >= start_ + board_) return std::nullopt;
    const auto run = run_from(static_cast<uint64_t>(function - start_));
    return run && run->dead ? std::optional(start_ + run->from) : std::nullopt;
  }

  // The first place that was looked at.
  Vaddr first() const { return start_; }

 private:
  static constexpr uint64_t kBack = 256;

  struct Run {
    uint64_t from;  // behind the last instruction that is no padding, from start_
    bool dead;      // that instruction does not fall through, and the springboard is padding
  };

  // Nothing where the decode meets padding alone.
  std::optional<Run> run_from(uint64_t at) const {
    std::optional<Run> run;
    while (at < board_ + kSpringboardSize) {
      const auto& in = steps_[at];
      if (!in) {
        run.reset();
        ++at;
        continue;
      }
      at += in->length;
      if (in->special != Special::kNop && in->special != Special::kInt3)
        run = Run{std::min(at, board_), at <= board_ && !in->falls_through()};
    }
    return run;
  }

  Vaddr start_;
  uint64_t board_ = 0;  // from start_
  std::vector<std::optional<Instruction>> steps_;
};

std::optional<Vaddr> data_among(const KnownFunctions& functions, const CodeSections& sections,
                                Vaddr board) {
  for (Vaddr at = board; at < board + kSpringboardSize; at = at + 1)
    if (functions.is_object(at) || !sections.may_hold(at.value)) return at;
  return std::nullopt;
}

// By the site's function, or by the one that ends in front of the padding.
std::optional<Vaddr> begin_by_function(const PaddingReader& padding,
                                       const KnownFunctions& functions, const SiteReading& site) {
  if (const auto own = functions.innermost(site.site))
    if (const auto begin = padding.begin_by({own->start})) return begin;
  for (Vaddr at = *site.springboard; at > padding.first(); at = at - 1)
    if (const auto function = functions.innermost(at - 1))
      return padding.begin_by({function->start});
  return std::nullopt;
}

}  // namespace

void verify_stub(const Evidenced& in, const SiteReading& site, StubOffset offset,
                 Findings& findings) {
  if (site.record.stub != offset.value)
    return findings.at_address(site.site, "where a stub stands",
                               fmt::format("{:#x}", site.record.stub),
                               fmt::format("{:#x}, behind the one before", offset.value));
  StubProof(in, site, findings).check();
}

void verify_springboard(const Evidenced& in, const KnownFunctions& functions,
                        const CodeSections& sections, SiteReading& site, Findings& findings) {
  const Vaddr board = *site.springboard;
  site.padding = board;
  const auto offset = in.file.offset_of(board, kSpringboardSize);
  const auto jump = make_jump(board, site.stub);
  if (!offset) return;  // found when it was put back
  if (!jump)
    return findings.at_address(board, "a springboard", "a stub out of reach", "one within 2 GiB");
  findings.same_bytes(board, "a springboard", in.output.subspan(offset->value, kSpringboardSize),
                      *jump);
  if (const auto data = data_among(functions, sections, board))
    return findings.at_address(*data, "a byte of a springboard",
                               "that a symbol or the section headers call it data", "padding");
  const PaddingReader padding(in, board);
  auto begin = padding.begin();
  if (!begin) begin = begin_by_function(padding, functions, site);
  if (begin) {
    site.padding = *begin;
    return;
  }
  // It may lie where only the output has a segment, and the original none.
  const ByteView original = in.original.bytes_from(board);
  findings.at_address(board, "the original bytes of a springboard",
                      hex_text(original.first(std::min(original.size(), kSpringboardSize))),
                      "nop or int3 behind an instruction that does not fall through");
}

}  // namespace sysrewrite
