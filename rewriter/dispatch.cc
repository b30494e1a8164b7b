#include "rewriter/dispatch.h"

#include <algorithm>
#include <cstring>

#include "rewriter/got_offsets.h"

namespace sysrewrite {

namespace {

// Instructions that are looked at for the jump, and for how many labels that may be so, as a share
// of the code: honest files need next to nothing of it.
constexpr size_t kFollowed = 2048;
constexpr uint64_t kBudgetFactor = 1, kBudgetMinimum = 1 << 20;

bool holds(const Range& range, uint64_t address) {
  return address - range.from.value < range.to.value - range.from.value;
}

// Calls visit(behind, label) for each address in `labels` that a lea may take, and where it ends:
// 8D, then a ModRM byte with mod 00 and rm 101, then the distance.
template <typename Visit>
void for_each_lea(ByteView code, Vaddr start, const Range& labels, Visit visit) {
  constexpr uint64_t kLea = 6;  // without its prefix
  for (uint64_t at = 0; at + kLea <= code.size(); ++at) {
    const void* next = std::memchr(code.data() + at, 0x8d, code.size() - kLea + 1 - at);
    if (next == nullptr) return;
    at = static_cast<uint64_t>(static_cast<const std::byte*>(next) - code.data());
    if ((code[at + 1] & std::byte{0xc7}) != std::byte{0x05}) continue;
    const Vaddr behind = start + at + kLea;
    const Vaddr label = behind + static_cast<uint64_t>(int64_t{*load<int32_t>(code, at + 2)});
    if (holds(labels, label.value)) visit(behind, label);
  }
}

// The same for each word that is one. A word of 64 bits goes on behind its low half.
template <typename Visit>
void for_each_constant(ByteView code, Vaddr start, const Range& labels, Visit visit) {
  const bool beyond_32_bits = labels.to.value > UINT32_MAX;
  for (uint64_t at = 0; at + 4 <= code.size(); ++at) {
    const uint64_t word = *load<uint32_t>(code, at);
    if (holds(labels, word)) visit(start + at + 4, Vaddr{word});
    const auto whole = beyond_32_bits ? load<uint64_t>(code, at) : std::nullopt;
    if (whole && *whole > UINT32_MAX && holds(labels, *whole)) visit(start + at + 8, Vaddr{*whole});
  }
}

// Both, the constants where addresses of the file may stand in its code, and what is counted from
// the global offset table.
template <typename Visit>
void for_each_label(const ElfImage& image, const std::vector<uint64_t>& got, ByteView code,
                    Vaddr start, const Range& labels, Visit visit) {
  for_each_lea(code, start, labels, visit);
  for_each_got_offset(code, start, got, [&](Vaddr behind, Vaddr label) {
    if (holds(labels, label.value)) visit(behind, label);
  });
  if (!image.position_independent()) for_each_constant(code, start, labels, visit);
}

// A jump through a register, or through memory that is not at a fixed distance: what a PLT, or a
// call by -fno-plt, jumps through holds the address of another function.
bool is_computed_jump(const Step& step, ByteView bytes) {
  constexpr size_t kThroughFixed = 6;  // FF 25 and a displacement of 32 bits
  if (!step.indirect_jump || step.length < kThroughFixed) return step.indirect_jump;
  const size_t opcode = step.length - kThroughFixed;
  return bytes[opcode] != std::byte{0xff} || bytes[opcode + 1] != std::byte{0x25};
}

// A call over a few bytes, which no ret comes back from: a thunk that jumps by one
// (-mindirect-branch=thunk).
bool is_thunk(const Step& step, ByteView bytes) {
  constexpr int32_t kThunk = 32;
  return is_direct_call(step, bytes) && step.distance > 0 && step.distance < kThunk;
}

// The nops that assemblers align with: 90 and 0F 1F, with prefixes of operand size and segment.
bool is_nop(ByteView bytes) {
  size_t at = 0;
  while (at < bytes.size() && (bytes[at] == std::byte{0x66} || bytes[at] == std::byte{0x2e})) ++at;
  const ByteView opcode = bytes.subspan(at);
  if (opcode.empty()) return false;
  return opcode[0] == std::byte{0x90} ||
         (opcode.size() > 1 && opcode[0] == std::byte{0x0f} && opcode[1] == std::byte{0x1f});
}

// A register's number, as ModRM, REX and opcodes have it.
using Register = unsigned;

// In which an instruction that ends at bytes[end] puts an address: a lea, or a mov of a constant.
std::optional<Register> taken_into(ByteView bytes, uint64_t end) {
  const auto byte = [&](uint64_t back) { return std::to_integer<unsigned>(bytes[end - back]); };
  if (end >= 7 && (byte(7) & 0xf8) == 0x48 && byte(6) == 0x8d && (byte(5) & 0xc7) == 0x05)
    return (byte(5) >> 3 & 7) | (byte(7) & 4) << 1;
  if (end >= 5 && (byte(5) & 0xf8) == 0xb8)
    return (byte(5) & 7) | (end >= 6 && byte(6) == 0x41 ? 8U : 0U);
  return std::nullopt;
}

// rdi, rsi, rdx, rcx, r8, r9. Source: System V psABI 3.2.3; none of them outlives a call (3.2.1).
bool passes_an_argument(Register reg) {
  return reg == 7 || reg == 6 || reg == 2 || reg == 1 || reg == 8 || reg == 9;
}

// False only for the moves that put the other arguments of a call in place, and only where nothing
// in them is the register.
bool may_use(ByteView in, Register reg) {
  const auto byte = [&in](size_t at) { return std::to_integer<unsigned>(in[at]); };
  const unsigned rex = (byte(0) & 0xf0) == 0x40 ? byte(0) : 0;
  const size_t at = rex != 0 ? 1 : 0;
  if (in.size() < at + 2) return true;
  const unsigned opcode = byte(at), modrm = byte(at + 1), rm = modrm & 7;
  const auto is_it = [&](unsigned low, unsigned bit) {
    return (low | ((rex >> bit & 1) << 3)) == reg;
  };
  if ((opcode & 0xf8) == 0xb8) return is_it(opcode & 7, 0);
  const bool plain = opcode == 0x89 || opcode == 0x8b || opcode == 0x8d || opcode == 0x31;
  if (!plain && opcode != 0xc7) return true;
  if (plain && is_it(modrm >> 3 & 7, 2)) return true;
  if (modrm >> 6 == 3 || rm != 4) return is_it(rm, 0);
  return in.size() < at + 3 || is_it(byte(at + 2) & 7, 0) || is_it(byte(at + 2) >> 3 & 7, 1);
}

}  // namespace

bool DispatchLabels::takes_one(const Function& function, const Range& labels) const {
  const auto bytes = image_.bytes_from(function.start);
  if (!bytes) return false;
  const auto size = static_cast<uint64_t>(function.end - function.start);
  bool found = false;
  for_each_label(image_, got_, bytes->first(std::min<uint64_t>(size, bytes->size())),
                 function.start, labels, [&found](Vaddr, Vaddr) { found = true; });
  return found;
}

DispatchLabels::DispatchLabels(const ElfImage& image, const FunctionIndex& functions,
                               const Decoder& decoder)
    : image_(image),
      functions_(functions),
      decoder_(decoder),
      got_(got_addresses(image)),
      budget_(kBudgetMinimum) {
  for (const Segment& segment : image.segments())
    if (segment.executable()) budget_ += kBudgetFactor * segment.file_size;
}

bool DispatchLabels::near(Vaddr address) {
  read_around(address);
  const auto label = labels_.lower_bound(address.value - std::min(kDistance, address.value));
  return label != labels_.end() && *label <= address.value + kDistance;
}

// The nearest on each side tells: what parts it from the address parts those beyond it, too.
bool DispatchLabels::near_in_function(Vaddr address) {
  read_around(address);
  const auto behind = labels_.upper_bound(address.value);
  if (behind != labels_.end() && *behind - address.value <= kDistance &&
      !functions_.function_starts_in(address + 1, Vaddr{*behind} + 1))
    return true;
  if (behind == labels_.begin()) return false;
  const Vaddr before{*std::prev(behind)};
  return address.value - before.value <= kDistance &&
         !functions_.function_starts_in(before + 1, address + 1);
}

void DispatchLabels::read_around(Vaddr address) {
  const Segment* segment = image_.executable_segment_of(address);
  if (segment == nullptr) return;
  constexpr uint64_t kRead = 2 * kDistance;
  const Vaddr first = address - std::min(kRead + kBack, address.value);
  const Vaddr end = segment->vaddr + segment->file_size;
  const Vaddr from = std::max({segment->vaddr, first, Vaddr{read_to_}});
  const Vaddr to = end - address > int64_t{kRead} ? address + kRead : end;
  if (from < to) read(*segment, from, to);
}

void DispatchLabels::read(const Segment& segment, Vaddr from, Vaddr to) {
  constexpr uint64_t kOverlap = 16;  // what stands across the border
  const Vaddr first = std::max(segment.vaddr, from - std::min(kOverlap, from.value));
  const auto bytes = image_.bytes_from(first);
  read_to_ = to.value;
  if (!bytes) return;
  const Range labels{first - std::min(kDistance, first.value), to + kDistance};
  for_each_label(image_, got_, bytes->first(static_cast<uint64_t>(to - first)), first, labels,
                 [this](Vaddr behind, Vaddr label) { judge(behind, label); });
}

void DispatchLabels::judge(Vaddr behind, Vaddr label) {
  const uint64_t apart = behind > label ? behind.value - label.value : label.value - behind.value;
  if (apart > kDistance || labels_.contains(label.value)) return;
  if (image_.executable_segment_of(label) == nullptr) return;
  if (functions_.start_in(label, label + 1)) return;
  // Within known bounds the function is looked at as a whole (takes_one).
  for (const Vaddr place : {behind - 1, label}) {
    const auto function = functions_.covering(place);
    if (function && function->sized) return;
  }
  if (is_handed_over(behind) || !leads_to_indirect_jump(behind)) return;
  labels_.insert(label.value);
}

// The address goes to a call at once, in a register that nothing else reads and that does not
// outlive the call: it is a function, which somebody is to call back.
bool DispatchLabels::is_handed_over(Vaddr behind) const {
  constexpr uint64_t kBefore = 7;
  constexpr int kOtherArguments = 8;
  const auto taking = image_.bytes_from(behind - kBefore);
  // The bytes in front may be another segment's, with none behind them.
  if (!taking || taking->size() < kBefore) return false;
  const auto reg = taken_into(*taking, kBefore);
  if (!reg || !passes_an_argument(*reg)) return false;
  ByteView code = taking->subspan(kBefore);
  for (int i = 0; i < kOtherArguments; ++i) {
    const auto step = decoder_.step(code);
    if (!step) return false;
    if (is_direct_call(*step, code)) return true;
    if (may_use(code.first(step->length), *reg)) return false;
    code = code.subspan(step->length);
  }
  return false;
}

// Through branches both ways, and past calls, but for one behind which another function starts:
// that one does not return. What is too long to follow may lead there.
bool DispatchLabels::leads_to_indirect_jump(Vaddr from) {
  std::set<uint64_t> seen;
  std::vector<Vaddr> work{from};
  while (!work.empty()) {
    Vaddr at = work.back();
    work.pop_back();
    bool behind_call = false;  // or behind nops behind one
    while (seen.insert(at.value).second) {
      if (seen.size() > kFollowed || budget_ == 0) return true;
      --budget_;
      if (image_.executable_segment_of(at) == nullptr) break;
      if (behind_call && functions_.function_starts_in(at, at + 1)) break;
      const ByteView bytes = *image_.bytes_from(at);
      const auto step = decoder_.step(bytes);
      if (!step) break;
      if (is_computed_jump(*step, bytes) || is_thunk(*step, bytes)) return true;
      behind_call = is_direct_call(*step, bytes) || (behind_call && is_nop(bytes));
      at = at + step->length;
      const Vaddr target = at + static_cast<uint64_t>(int64_t{step->distance});
      if (step->direct && !is_direct_call(*step, bytes)) work.push_back(target);
      if (!step->falls_through) break;
    }
  }
  return false;
}

}  // namespace sysrewrite
