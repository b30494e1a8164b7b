#include "rewriter/code_reader.h"

#include <algorithm>

#include "rewriter/eh_frame.h"

namespace sysrewrite {

namespace {

// A short jump reaches 128 bytes back and 127 ahead of its end; a springboard is 5 long, and one
// more instruction in front tells whether the padding is dead.
constexpr uint64_t kReach = 128 + 5 + 15;

// An unsized function (a bare entry point) is believed only near its start.
constexpr uint64_t kUnsizedTrust = 4096;

constexpr size_t kRecentFunctions = 16;
constexpr size_t kDescribedInstructions = 1024;

// Of the code's size, and a little for small files: what decoding functions may cost in all. Honest
// files need a fraction of it. Functions that overlap by the thousand would be decoded anew for
// each of them, and cost the square.
constexpr uint64_t kBudgetFactor = 16, kBudgetMinimum = 1 << 20;

bool is_padding(const Instruction& in) {
  return !in.reached && (in.special == Special::kNop || in.special == Special::kInt3);
}

constexpr uint64_t kFunctionAlignment = 16;

// The last of an odd number of zeros is read together with what follows.
bool ends_at_function(const Instruction& zeros) {
  const uint64_t beyond = zeros.end().value % kFunctionAlignment;
  return beyond == 0 || beyond == kFunctionAlignment - 1;
}

}  // namespace

bool is_clean(const std::vector<Instruction>& code) {
  bool dead = true;  // behind a jump or return, and zeros after that
  for (size_t i = 0; i < code.size(); ++i) {
    const Instruction& in = code[i];
    if (in.unlikely) return false;
    if (i > 0 && code[i - 1].end() != in.address) dead = true;
    const bool last = i + 1 == code.size() || code[i + 1].address != in.end();
    if (in.zeros && !(dead && (last || code[i + 1].zeros || ends_at_function(in)))) return false;
    if (!in.zeros) dead = !in.falls_through();
  }
  return true;
}

CodeReader::CodeReader(const ElfImage& image, const FunctionIndex& functions)
    : image_(image),
      functions_(functions),
      lengths_(decoder_),
      dispatch_labels_(image, functions, decoder_),
      described_(kDescribedInstructions),
      budget_(kBudgetMinimum) {
  for (const Segment& segment : image.segments())
    if (segment.executable()) budget_ += kBudgetFactor * segment.file_size;
}

const Instruction* Neighborhood::holding(Vaddr address) const {
  auto after = std::upper_bound(code.begin(), code.end(), address,
                                [](Vaddr a, const Instruction& i) { return a < i.address; });
  if (after == code.begin()) return nullptr;
  --after;
  return address < after->end() ? &*after : nullptr;
}

std::optional<size_t> Neighborhood::index_of(Vaddr address) const {
  const auto found = std::lower_bound(code.begin(), code.end(), address,
                                      [](const Instruction& i, Vaddr a) { return i.address < a; });
  if (found == code.end() || found->address != address) return std::nullopt;
  return static_cast<size_t>(found - code.begin());
}

std::optional<Neighborhood> CodeReader::around(Vaddr address) {
  if (auto known = from_known_start(address)) return known;
  return by_agreement(address);
}

std::optional<Function> CodeReader::believed_function(Vaddr address) const {
  auto function = functions_.covering(address);
  if (!function || function->sized) return function;
  if (address.value - function->start.value > kUnsizedTrust) return std::nullopt;
  function->end = std::min(function->end, function->start + 4 * kUnsizedTrust);
  return function;
}

// The function's bytes, paid for; nothing where the budget does not hold them.
std::optional<ByteView> CodeReader::pay_for(const Function& function) {
  const auto bytes = image_.bytes_from(function.start);
  if (!bytes) return std::nullopt;
  const auto size = static_cast<uint64_t>(function.end - function.start);
  const ByteView body = bytes->first(std::min<uint64_t>(size, bytes->size()));
  if (body.size() > budget_) return std::nullopt;
  budget_ -= body.size();
  return body;
}

const Outline* CodeReader::outline(const Function& function) {
  const auto size = static_cast<uint64_t>(function.end - function.start);
  for (const Outline& known : recent_)
    if (known.start() == function.start && known.size() == size) return &known;
  const auto body = pay_for(function);
  if (!body) return nullptr;
  if (recent_.size() == kRecentFunctions) recent_.pop_front();
  return &recent_.emplace_back(decoder_, *body, function.start);
}

std::optional<Holder> CodeReader::holder_of(Vaddr address) {
  if (const auto function = believed_function(address)) {
    const Outline* known = outline(*function);
    if (known != nullptr && known->end_of_code() > address) {
      const auto span = known->holding(address);
      if (!span) return std::nullopt;
      auto holder = span->reached || function->sized
                        ? Holder{span->address, span->end(), Trust::kKnownStart, span->reached}
                        : agreed(address);
      if (holder) holder->called_over = known->is_called_over(address);
      return holder;
    }
  }
  return agreed(address);
}

std::optional<Holder> CodeReader::agreed(Vaddr address) {
  const auto start = agreed_holder(address);
  if (!start) return std::nullopt;
  const auto step = decoder_.step(*image_.bytes_from(*start));
  return Holder{*start, *start + step->length, Trust::kAgreement, false};
}

// Sites lie close together, and each asks for what lies around it.
Instruction CodeReader::describe(const Outline::Span& span) {
  Instruction& known = described_[span.address.value % described_.size()];
  if (known.length == 0 || known.address != span.address)
    known = *decoder_.decode(*image_.bytes_from(span.address), span.address);
  Instruction in = known;
  in.reached = span.reached;
  in.behind_call = span.behind_call;
  return in;
}

// The instructions with a byte in [from, to).
std::vector<Instruction> CodeReader::describe(const Outline& function, Vaddr from, Vaddr to) {
  std::vector<Instruction> code;
  auto span = function.holding(from);
  if (!span) span = function.next(from);
  for (; span && span->address < to; span = function.next(span->end()))
    code.push_back(describe(*span));
  return code;
}

std::optional<Neighborhood> CodeReader::from_known_start(Vaddr address) {
  const auto function = believed_function(address);
  if (!function) return std::nullopt;
  const Outline* known = outline(*function);
  if (known == nullptr || known->end_of_code() <= address) return std::nullopt;
  if (!function->sized) {
    // What flow from a bare entry point does not reach belongs to functions that nothing names.
    const auto span = known->holding(address);
    if (!span || !span->reached) return std::nullopt;
  }
  Neighborhood out;
  out.function = *function;
  out.indirect_jump = known->indirect_jump();
  const Vaddr from = address - std::min(kReach, address.value), to = address + kReach;
  out.code = describe(*known, from, to);
  out.overlapping = known->overlapping(from, to);
  out.clean = is_clean(out.code);
  return out;
}

// A function that takes the address of a label of its own may compute others from it; the tables
// that compilers write are found by a scan (address_scan.cc). Its own start counts where it jumps
// indirectly: else a function that names itself hands itself to somebody. Behind a bare entry point
// other functions follow, whose labels are their own.
Reason CodeReader::label_objection(const Function& function) {
  const Outline* known = outline(function);
  if (known == nullptr) return Reason::kFunctionHasIndirectJump;  // the budget is spent
  const bool jumps = known->indirect_jump();
  if (jumps && known->lost_step()) return Reason::kFunctionHasIndirectJump;
  if (!jumps && !function.sized) return Reason::kNone;
  const Range labels{function.start + (jumps ? 0 : 1), function.end};
  return !pay_for(function) || dispatch_labels_.takes_one(function, labels)
             ? Reason::kFunctionHasIndirectJump
             : Reason::kNone;
}

// Landing pads are listed in the LSDA, whose bytes are paid for like the function's.
const CodeReader::HiddenEntries& CodeReader::hidden_entries(const Function& function) {
  for (const HiddenEntries& known : recent_entries_)
    if (known.start == function.start && known.end == function.end) return known;
  HiddenEntries entries{function.start, function.end, {}, label_objection(function)};
  if (function.lsda) {
    const auto pads = read_landing_pads(image_, function.start, *function.lsda, budget_);
    if (!pads && entries.opaque == Reason::kNone) entries.opaque = Reason::kFunctionHasLandingPads;
    for (const Vaddr pad : pads.value_or(std::vector<Vaddr>{})) entries.pads.push_back(pad.value);
    std::sort(entries.pads.begin(), entries.pads.end());
  }
  if (recent_entries_.size() == kRecentFunctions) recent_entries_.pop_front();
  return recent_entries_.emplace_back(std::move(entries));
}

void CodeReader::add_hidden_entries(Neighborhood& around) {
  const HiddenEntries& entries = hidden_entries(*around.function);
  around.hidden_entries = entries.pads;
  if (entries.opaque != Reason::kNone) around.opaque = entries.opaque;
}

// Padding behind a function's end is no concern of that function's labels: who entered it would run
// on into the next function.
bool CodeReader::entered_unseen(const Range& padding) {
  const auto by = [&](const Function& function) {
    const HiddenEntries& entries = hidden_entries(function);
    if (entries.opaque != Reason::kNone) return true;
    const auto pad = std::lower_bound(entries.pads.begin(), entries.pads.end(), padding.from.value);
    return pad != entries.pads.end() && *pad < padding.to.value;
  };
  const auto inside = functions_.all_sized_covering(padding.from);
  if (!inside || std::any_of(inside->begin(), inside->end(), by)) return true;
  const auto bare = believed_function(padding.from);
  if (bare && !bare->sized && by(*bare)) return true;
  if (!inside->empty()) return false;
  const auto ending_here = functions_.all_sized_covering(padding.from - 1);
  return (!ending_here || ending_here->empty()) && dispatch_labels_.near_in_function(padding.from);
}

void CodeReader::widen(Neighborhood& around, Vaddr address) {
  const bool bounded = around.function && around.function->sized;
  if (!bounded && dispatch_labels_.near(address)) around.opaque = Reason::kFunctionHasIndirectJump;
  if (around.trust != Trust::kKnownStart || around.code.empty()) return;
  add_hidden_entries(around);
  const Vaddr start = around.code.front().address, end = around.code.back().end();
  if (start + kReach > address && start == around.function->start) add_before(start, around.code);
  if (end < address + kReach) add_behind(end, around.code);
}

// The functions in front: only those whose own decode ends where the next one begins, or in
// padding.
void CodeReader::add_before(Vaddr address, std::vector<Instruction>& code) {
  const Vaddr limit = address - std::min<uint64_t>(kReach, address.value);
  Vaddr border = address;
  while (border > limit && border.value != 0) {
    const auto function = functions_.covering(border - 1);
    const bool inside = function && function->start < border && function->sized;
    std::vector<Instruction> part;
    const auto from = inside ? describe_end_of(*function, limit, border, part)
                             : describe_gap_before(limit, border, part);
    if (!from) return;
    code.insert(code.begin(), part.begin(), part.end());
    border = *from;
  }
}

// Both answer where `part`, which ends at the border, begins; nothing where the code does not fit.
std::optional<Vaddr> CodeReader::describe_end_of(const Function& function, Vaddr limit,
                                                 Vaddr border, std::vector<Instruction>& part) {
  const Outline* known = outline(function);
  if (known == nullptr || known->lost_step() || function.end > border) return std::nullopt;
  part = describe(*known, limit, border);
  // Padding that reaches in from further away is seen whole, with what it stands behind.
  for (auto span = known->previous(part.empty() ? border : part.front().address); span;
       span = known->previous(span->address)) {
    part.insert(part.begin(), describe(*span));
    if (!is_padding(part.front())) break;
  }
  return function.start;
}

std::optional<Vaddr> CodeReader::describe_gap_before(Vaddr limit, Vaddr border,
                                                     std::vector<Instruction>& part) {
  const auto start =
      functions_.previous_start(border - 1, limit - std::min<uint64_t>(4096, limit.value));
  if (!start || *start >= border) return std::nullopt;
  const auto previous = functions_.covering(*start);
  if (!previous || !previous->sized || previous->end > border) return std::nullopt;
  part = decode_gap(previous->end, border);
  if (part.empty() || part.back().end() != border) return std::nullopt;
  return previous->end;
}

void CodeReader::add_behind(Vaddr address, std::vector<Instruction>& code) {
  const Vaddr limit = address + kReach;
  Vaddr border = address;
  while (border < limit) {
    const auto function = functions_.covering(border);
    std::vector<Instruction> part;
    if (function && function->start == border && function->sized) {
      const Outline* known = outline(*function);
      if (known == nullptr || known->lost_step()) return;
      part = describe(*known, border, limit);
      while (!part.empty() && is_padding(part.back())) {
        const auto span = known->next(part.back().end());
        if (!span) break;
        part.push_back(describe(*span));
      }
    } else {
      part = decode_gap(border, functions_.next_start(border, limit));
    }
    if (part.empty()) return;
    code.insert(code.end(), part.begin(), part.end());
    border = part.back().end();
  }
}

// Between two functions only padding is believed: nops and int3.
std::vector<Instruction> CodeReader::decode_gap(Vaddr from, Vaddr to) const {
  const auto bytes = image_.bytes_from(from);
  if (!bytes || to <= from) return {};
  const auto size = std::min<uint64_t>(static_cast<uint64_t>(to - from), bytes->size());
  std::vector<Instruction> code = decoder_.decode_all(bytes->first(size), from);
  const auto other = std::find_if(code.begin(), code.end(), [](const Instruction& i) {
    return i.special != Special::kNop && i.special != Special::kInt3;
  });
  code.erase(other, code.end());
  return code;
}

std::optional<Neighborhood> CodeReader::by_agreement(Vaddr address) {
  const auto starts = agreed_starts(image_, lengths_, address, kReach);
  return starts ? std::optional(agreed_code(*starts)) : std::nullopt;
}

std::optional<Neighborhood> CodeReader::nearby(Vaddr address, uint64_t reach) {
  const auto starts = nearby_starts(image_, lengths_, address, reach);
  return starts ? std::optional(agreed_code(*starts)) : std::nullopt;
}

Neighborhood CodeReader::agreed_code(const std::vector<Vaddr>& starts) {
  Neighborhood out;
  out.trust = Trust::kAgreement;
  for (const Vaddr start : starts) {
    out.code.push_back(describe({start}));
    out.indirect_jump |= out.code.back().flow == Flow::kIndirectJump;
  }
  out.clean = is_clean(out.code);
  add_overlapping(out);
  return out;
}

void CodeReader::add_overlapping(Neighborhood& around) const {
  for (const Instruction& in : around.code) {
    if (!in.direct) continue;
    const Instruction* holder = around.holding(in.target);
    if (holder == nullptr || holder->address == in.target) continue;
    if (const auto step = decoder_.step(*image_.bytes_from(in.target)))
      around.overlapping.push_back({in.target, step->length, false});
  }
}

// Whether any bytes within its reach are one, whatever they are meant to be.
bool CodeReader::short_branch_to(Vaddr address) const {
  constexpr uint64_t kBack = 129, kAhead = 126;
  const Segment* segment = image_.executable_segment_of(address);
  if (segment == nullptr) return false;
  const Vaddr first = std::max(segment->vaddr, address - std::min(kBack, address.value));
  const ByteView bytes = *image_.bytes_from(first);
  const uint64_t size = std::min<uint64_t>(bytes.size(), address.value - first.value + kAhead + 2);
  for (uint64_t at = 0; at + 2 <= size; ++at) {
    const auto opcode = std::to_integer<unsigned>(bytes[at]);
    if ((opcode & 0xf0) != 0x70 && opcode != 0xeb && (opcode & 0xfc) != 0xe0) continue;
    if (first + at + 2 + static_cast<uint64_t>(int64_t{*load<int8_t>(bytes, at + 1)}) == address)
      return true;
  }
  return false;
}

std::vector<Outline::Span> CodeReader::other_readings(Vaddr pair) {
  const Vaddr end = pair + 2;
  const auto function = believed_function(pair);
  const Outline* known = function ? outline(*function) : nullptr;
  if (known != nullptr && known->end_of_code() > pair) return known->overlapping(pair, end);
  // Nearly all pairs that nothing is known of are accidents, which no branch seems to lead to.
  const auto around = short_branch_to(pair) ? by_agreement(pair) : std::nullopt;
  std::vector<Outline::Span> found;
  if (!around) return found;
  for (const Outline::Span& span : around->overlapping)
    if (span.address < end && span.end() > pair) found.push_back(span);
  return found;
}

std::optional<Vaddr> CodeReader::known_holder(Vaddr address) {
  if (functions_.knows(address, address + 1)) {
    const auto holder = holder_of(address);
    if (holder && holder->trust == Trust::kKnownStart && holder->reached) return holder->start;
  }
  return agreed_holder(address);
}

std::optional<Vaddr> CodeReader::agreed_holder(Vaddr address) {
  return agreed_start(image_, lengths_, address, kReach);
}

}  // namespace sysrewrite
