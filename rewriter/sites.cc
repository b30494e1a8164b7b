#include "rewriter/sites.h"

#include <algorithm>
#include <cstring>

#include "rewriter/padding.h"

namespace sysrewrite {

namespace {

// A system call's number is put into rax shortly before it; random bytes that happen to decode
// rarely do that.
constexpr size_t kNumberDistance = 16;  // instructions

constexpr int32_t kMostNumber = 1023;

enum class NumberEvidence { kNone, kWritten, kConstant };

// True where a branch leads to what stands behind the instruction, up to the call itself.
bool is_joined(const Neighborhood& around, size_t ended, size_t index) {
  const Vaddr from = around.code[ended].end(), to = around.code[index].address;
  return std::any_of(around.code.begin(), around.code.end(), [from, to](const Instruction& in) {
    return in.direct && in.target >= from && in.target <= to;
  });
}

NumberEvidence number_evidence(const Neighborhood& around, size_t index) {
  const size_t first = index > kNumberDistance ? index - kNumberDistance : 0;
  const bool behind_call = around.code[index].behind_call;
  auto found = NumberEvidence::kNone;
  bool constant_al = false;
  for (size_t i = first; i < index; ++i) {
    const Instruction& in = around.code[i];
    // In front of zeros another function ends. What a system call returns is no number of another,
    // where flow goes on from one to the other; and what a call returns may be one.
    const bool returns = behind_call && in.special == Special::kSyscall;
    // Behind a return or jump, what was set is set for somebody else, unless a branch comes from
    // there, or the jump is a switch's; al, by dietlibc's functions, for the code behind them that
    // makes eax of it.
    const bool ends = !in.falls_through() && in.flow != Flow::kIndirectJump;
    const bool ended = ends && !is_joined(around, i, index);
    if (in.zeros || returns || ended) found = NumberEvidence::kNone;
    if (in.zeros || returns) constant_al = false;
    if (behind_call && in.flow == Flow::kCall) found = NumberEvidence::kWritten;
    if (!in.writes_rax) continue;
    constant_al |= in.constant_al;
    // dietlibc's functions set al and share what makes eax of it.
    const bool constant =
        (in.rax_value >= 0 && in.rax_value <= kMostNumber) || (in.widens_rax && constant_al);
    found = constant ? NumberEvidence::kConstant : NumberEvidence::kWritten;
  }
  return found;
}

// Nothing need follow a call that does not come back: a signal restorer, the last line of a
// program.
bool comes_back(const Neighborhood& around, size_t index) {
  for (size_t i = index; i-- > 0 && index - i <= kNumberDistance;) {
    const Instruction& in = around.code[i];
    if (!in.writes_rax) continue;
    return !may_end_code(in.rax_value);
  }
  return true;
}

// Code that agrees with itself up to the next instruction that ends a path.
bool runs_on(const Neighborhood& around, size_t index) {
  if (!comes_back(around, index)) return true;
  for (size_t i = index + 1; i < around.code.size(); ++i) {
    if (around.code[i].address != around.code[i - 1].end()) return false;
    if (!around.code[i].falls_through()) return true;
  }
  // A function may end in a call that does not come back, as landing pads do (_Unwind_Resume).
  const Instruction& last = around.code.back();
  const bool ends = around.function && around.function->sized && last.flow == Flow::kCall &&
                    last.end() == around.function->end;
  return ends || around.code.size() > index + 8;
}

// Hands on its own arguments, as syscall() does: whatever the number, nothing but a system call
// takes one in r10.
bool hands_on_arguments(const Neighborhood& around, size_t index) {
  const size_t first = index > kNumberDistance ? index - kNumberDistance : 0;
  return std::any_of(around.code.begin() + static_cast<std::ptrdiff_t>(first),
                     around.code.begin() + static_cast<std::ptrdiff_t>(index),
                     [](const Instruction& in) { return in.passes_fourth; });
}

// `exceptional`: in code that the file's own tables leave out, where data is as likely. `checked`:
// the result is compared with the errors; klibc's functions set the number and go to such code.
bool plausible(const Neighborhood& around, size_t index, bool exceptional, bool checked) {
  const NumberEvidence number = number_evidence(around, index);
  const bool hands_on = hands_on_arguments(around, index);
  if (number == NumberEvidence::kNone && !(hands_on && checked)) return false;
  if (exceptional && number != NumberEvidence::kConstant && !hands_on) return false;
  return around.clean && runs_on(around, index);
}

// A window takes at most 4 instructions on each side.
void keep_nearest(std::vector<Instruction>& code, size_t index) {
  constexpr size_t kKept = 6;
  const auto at = code.begin() + static_cast<std::ptrdiff_t>(index);
  const auto first = at - static_cast<std::ptrdiff_t>(std::min(index, kKept));
  const auto last = at + static_cast<std::ptrdiff_t>(std::min(code.size() - index, kKept + 1));
  code = std::vector<Instruction>(first, last);
}

Special special_of(PairKind kind) {
  switch (kind) {
    case PairKind::kSyscall:
      return Special::kSyscall;
    case PairKind::kSysenter:
      return Special::kSysenter;
    case PairKind::kInt80:
      return Special::kInt80;
  }
  return Special::kNone;
}

class Classifier {
 public:
  Classifier(const ElfImage& image, const FunctionIndex& functions, UncertainPolicy uncertain)
      : image_(image), functions_(functions), uncertain_(uncertain), reader_(image, functions) {}

  void add(const Candidate& candidate) {
    ClassifiedCandidate out;
    out.candidate = candidate;
    std::optional<Site> site;
    if (image_.crosses_seam(candidate.address, candidate.address + 2))
      out.evidence = CandidateEvidence::kTwoSegments;
    else if (functions_.is_object(candidate.address))
      judge_object(out);
    else
      site = judge(out);
    if (out.candidate.kind != PairKind::kSyscall) {
      if (out.kind == CandidateClass::kInstruction) sites_.others.push_back(out);
      return;
    }
    const bool patchable = out.evidence != CandidateEvidence::kTwoSegments;
    if (out.kind == CandidateClass::kUncertain && uncertain_ != UncertainPolicy::kLeave &&
        patchable)
      site = insist(out);
    // A prefix, too, may lie in front of the seam.
    if (site && image_.crosses_seam(site->instruction.address, site->instruction.end())) {
      out.kind = CandidateClass::kUncertain;
      out.evidence = CandidateEvidence::kTwoSegments;
      site.reset();
    }
    if (site) sites_.syscalls.push_back(std::move(*site));
    sites_.all.push_back(out);
  }

  Sites take() { return std::move(sites_); }

 private:
  // The pair ends the instruction: a prefix may stand in front of it, nothing behind.
  static bool is_call(const Instruction& in, const Candidate& candidate) {
    return in.special == special_of(candidate.kind) && in.end() == candidate.address + 2;
  }

  bool may_be_call(const Holder& holder, const Candidate& candidate) const {
    if (holder.end != candidate.address + 2) return false;
    const auto in = reader_.decoder().decode(*image_.bytes_from(holder.start), holder.start);
    return in && is_call(*in, candidate);
  }

  // A type is easily got wrong in assembly; that flow arrives is no accident.
  void judge_object(ClassifiedCandidate& out) {
    const auto holder = reader_.holder_of(out.candidate.address);
    const bool reached_call = holder && holder->reached && may_be_call(*holder, out.candidate);
    out.kind = reached_call ? CandidateClass::kUncertain : CandidateClass::kData;
    out.evidence =
        reached_call ? CandidateEvidence::kReachedObject : CandidateEvidence::kObjectSymbol;
  }

  // True where another instruction that overlaps the holder says of the pair what it does not.
  bool contradicted(const Holder& holder, const Candidate& candidate) {
    const bool call = may_be_call(holder, candidate);
    const auto others = reader_.other_readings(candidate.address);
    return std::any_of(others.begin(), others.end(), [&](const Outline::Span& other) {
      return call != may_be_call({other.address, other.end()}, candidate);
    });
  }

  // Most candidates are accidents inside another instruction, which is seen without describing any:
  // only what may be a call has its surroundings decoded.
  std::optional<Site> judge(ClassifiedCandidate& out) {
    const auto holder = reader_.holder_of(out.candidate.address);
    const bool reached = holder && holder->reached;
    if (!reached && image_.outside_code_sections(out.candidate.address)) {
      out.kind = CandidateClass::kData;
      out.evidence = CandidateEvidence::kDataSection;
      return std::nullopt;
    }
    if (!holder) return judge_nearby(out);
    out.holder = holder->start;
    if (contradicted(*holder, out.candidate)) {
      out.evidence = CandidateEvidence::kTwoReadings;
      return std::nullopt;
    }
    if (holder->called_over) {
      out.evidence = CandidateEvidence::kCalledOver;
      return std::nullopt;
    }
    const bool call = may_be_call(*holder, out.candidate);
    if (!reached && holder->trust == Trust::kKnownStart && !confirmed(*holder, out.candidate))
      return judge_nearby(out);
    out.evidence =
        reached ? CandidateEvidence::kFunctionDecode : CandidateEvidence::kAgreementDecode;
    if (call) return judge_call(out);
    out.kind = CandidateClass::kInside;
    return std::nullopt;
  }

  // Data in front, as GHC's tables and Free Pascal's strings, ends all decodes from further away.
  // What starts behind it is enough to see that a pair is no call, and too little to see one, but
  // for a call whose result is compared with what only system calls return.
  std::optional<Site> judge_nearby(ClassifiedCandidate& out) {
    constexpr uint64_t kReach = 64;
    const Vaddr pair = out.candidate.address;
    auto around = reader_.nearby(pair, kReach);
    if (!around) return std::nullopt;
    const Instruction in = *around->holding(pair);
    if (is_call(in, out.candidate)) {
      const size_t index = *around->index_of(in.address);
      if (!checks_error(in.end()) || !plausible(*around, index, false, true)) return std::nullopt;
      out.holder = in.address;
      out.evidence = CandidateEvidence::kErrorCheck;
      return accept(out, in, std::move(*around));
    }
    if (in.special != Special::kNone || in.unlikely || may_be_asked_for(pair)) return std::nullopt;
    out.holder = in.address;
    out.kind = CandidateClass::kInside;
    out.evidence = CandidateEvidence::kNearbyDecode;
    return std::nullopt;
  }

  // cmp $-4095, %rax, or $-4096: what a libc does with a call's result, and random data does not.
  bool checks_error(Vaddr behind) const {
    constexpr uint8_t kCompare[] = {0x48, 0x3d}, kHigh[] = {0xf0, 0xff, 0xff};
    const auto bytes = image_.bytes_from(behind);
    if (!bytes || bytes->size() < 6) return false;
    const uint8_t low = std::to_integer<uint8_t>((*bytes)[2]);
    return std::memcmp(bytes->data(), kCompare, sizeof(kCompare)) == 0 && low <= 1 &&
           std::memcmp(bytes->data() + 3, kHigh, sizeof(kHigh)) == 0;
  }

  // True where some decode that begins with a system call's number arrives at the pair.
  bool may_be_asked_for(Vaddr pair) const {
    constexpr uint64_t kDistance = 48;
    for (uint64_t back = 1; back <= std::min(kDistance, pair.value); ++back) {
      const auto bytes = image_.bytes_from(pair - back);
      if (!bytes) return false;
      const auto number = reader_.decoder().decode(*bytes, pair - back);
      if (!number || number->rax_value < 0 || number->rax_value > kMostNumber) continue;
      uint64_t at = number->length;
      while (at < back) {
        const auto step = reader_.decoder().step(bytes->subspan(at));
        if (!step) break;
        at += step->length;
      }
      if (at == back) return true;
    }
    return false;
  }

  // Flow from a known start does not arrive: a second opinion, from decodes that know nothing of
  // any function, must say the same.
  bool confirmed(const Holder& holder, const Candidate& candidate) {
    return reader_.agreed_holder(candidate.address) == holder.start;
  }

  // Hand-written code is often left out by unwind tables, and its labels are no functions; where a
  // function without a size begins a little in front of it, it stands among code.
  bool follows_bare_entry(const Instruction& in) const {
    const auto function = reader_.believed_function(in.address);
    return function && !function->sized;
  }

  // Where flow does not arrive, the code around a call must make sense too.
  std::optional<Site> judge_call(ClassifiedCandidate& out) {
    auto around = reader_.around(out.candidate.address);
    const Instruction* in = around ? around->holding(out.candidate.address) : nullptr;
    if (in == nullptr || !is_call(*in, out.candidate)) {
      out.evidence = CandidateEvidence::kNoAgreement;  // the reader's budget is spent
      return std::nullopt;
    }
    if (!in->reached || in->behind_call) {
      const bool exceptional = around->trust == Trust::kAgreement &&
                               functions_.unwind_covers_most() && !follows_bare_entry(*in);
      const size_t index = *around->index_of(in->address);
      if (!plausible(*around, index, exceptional, checks_error(in->end()))) {
        out.evidence = in->reached ? CandidateEvidence::kImplausibleBehindCall
                                   : CandidateEvidence::kImplausible;
        return std::nullopt;
      }
    }
    return accept(out, *in, std::move(*around));
  }

  Site accept(ClassifiedCandidate& out, Instruction instruction, Neighborhood around) {
    out.kind = CandidateClass::kInstruction;
    if (out.candidate.kind == PairKind::kSyscall) reader_.widen(around, instruction.address);
    Site site;
    site.instruction = instruction;
    site.evidence = out.evidence;
    site.padding = find_dead_padding(around, functions_, reader_);
    keep_nearest(around.code, *around.index_of(instruction.address));
    site.around = std::move(around);
    site.index = *site.around.index_of(instruction.address);
    return site;
  }

  // On request: taken for an instruction, with nothing known around it.
  std::optional<Site> insist(ClassifiedCandidate& out) {
    out.kind = CandidateClass::kInstruction;
    Site site;
    site.instruction.address = out.candidate.address;
    site.instruction.length = 2;
    site.instruction.special = Special::kSyscall;
    site.around.trust = Trust::kAgreement;
    if (uncertain_ == UncertainPolicy::kPatch)
      if (auto around = reader_.around(out.candidate.address))
        if (around->index_of(out.candidate.address)) site.around = std::move(*around);
    if (!site.around.index_of(out.candidate.address)) site.around.code = {site.instruction};
    site.around.overlapping = reader_.other_readings(out.candidate.address);
    site.padding = find_dead_padding(site.around, functions_, reader_);
    keep_nearest(site.around.code, *site.around.index_of(out.candidate.address));
    site.index = *site.around.index_of(out.candidate.address);
    site.evidence = out.evidence;
    return site;
  }

  const ElfImage& image_;
  const FunctionIndex& functions_;
  UncertainPolicy uncertain_;
  CodeReader reader_;
  Sites sites_;
};

}  // namespace

const char* evidence_text(CandidateEvidence evidence) {
  switch (evidence) {
    case CandidateEvidence::kFunctionDecode:
      return "decoded from the start of its function";
    case CandidateEvidence::kAgreementDecode:
      return "no known start; decodes from many places agree, and the code around makes sense";
    case CandidateEvidence::kNearbyDecode:
      return "no known start; decodes from nearby agree, and none that sets a number arrives";
    case CandidateEvidence::kErrorCheck:
      return "no known start; decodes from nearby agree, and its result is checked for an error";
    case CandidateEvidence::kObjectSymbol:
      return "a data symbol covers it";
    case CandidateEvidence::kDataSection:
      return "it lies in a section that holds no code";
    case CandidateEvidence::kNoAgreement:
      return "no known start, and decodes from different places disagree";
    case CandidateEvidence::kImplausible:
      return "no known start; decodes agree, but the code around makes no sense";
    case CandidateEvidence::kImplausibleBehindCall:
      return "control flow arrives only where a call comes back, and the code around makes no "
             "sense";
    case CandidateEvidence::kCalledOver:
      return "a call leads to the code behind it, which takes its address";
    case CandidateEvidence::kTwoReadings:
      return "two instructions overlap here, and only one of them is a system call";
    case CandidateEvidence::kReachedObject:
      return "a data symbol covers it, but control flow leads to it";
    case CandidateEvidence::kTwoSegments:
      return "its two bytes lie in two segments";
  }
  return "";
}

size_t Sites::count(CandidateClass kind) const {
  return static_cast<size_t>(std::count_if(
      all.begin(), all.end(), [kind](const ClassifiedCandidate& c) { return c.kind == kind; }));
}

Sites classify(const ElfImage& image, const std::vector<Candidate>& candidates,
               const FunctionIndex& functions, UncertainPolicy uncertain) {
  Classifier classifier(image, functions, uncertain);
  for (const Candidate& candidate : candidates) classifier.add(candidate);
  return classifier.take();
}

}  // namespace sysrewrite
