#include "rewriter/outline.h"

#include <algorithm>

namespace sysrewrite {

Outline::Outline(const Decoder& decoder, ByteView body, Vaddr start)
    : start_(start), lengths_(body.size()) {
  follow_flow(decoder, body);
  drop_overlapping();
  sweep_gaps(decoder, body);
}

uint8_t Outline::encode(const Step& step) {
  return step.indirect_jump ? step.length | kIndirectJump : step.length;
}

namespace {

constexpr int64_t kUnknown = -1;

uint8_t byte_at(ByteView code, size_t i) {
  return i < code.size() ? std::to_integer<uint8_t>(code[i]) : uint8_t{0};
}

// The system call's number, where `mov $N, %eax` or `mov $N, %rax` has just set it.
int64_t number_behind(ByteView code, int64_t before) {
  size_t at = 0;
  if (byte_at(code, 0) == 0xb8) at = 1;
  if (byte_at(code, 0) == 0x48 && byte_at(code, 1) == 0xc7 && byte_at(code, 2) == 0xc0) at = 3;
  const auto number = at == 0 ? std::nullopt : load<uint32_t>(code, at);
  return number ? int64_t{*number} : before;
}

bool is_syscall(ByteView code, const Step& step) {
  return step.length == 2 && byte_at(code, 0) == 0x0f && byte_at(code, 1) == 0x05;
}

// pop %reg: of a call's target, that the return address is wanted, and not to return there.
bool begins_with_pop(ByteView code) {
  const size_t at = byte_at(code, 0) == 0x41 ? 1 : 0;
  return (byte_at(code, at) & 0xf8) == 0x58;
}

bool is_indirect_call(ByteView code) {
  const size_t at = (byte_at(code, 0) & 0xf0) == 0x40 ? 1 : 0;
  return byte_at(code, at) == 0xff && (byte_at(code, at + 1) & 0x38) == 0x10;
}

}  // namespace

void Outline::follow_path(const Decoder& decoder, ByteView body, uint64_t at, uint8_t mark,
                          Work& work) {
  int64_t number = kUnknown;
  while (at < body.size() && lengths_[at] == 0) {
    const ByteView code = body.subspan(at);
    const auto step = decoder.step(code);
    lengths_[at] = step ? encode(*step) | mark : kNoInstruction;
    if (!step) {
      lost_step_ = true;
      return;
    }
    at += step->length;
    // Modulo 2^64, so that a target in front of the function is far behind its end.
    const uint64_t target = at + static_cast<uint64_t>(int64_t{step->distance});
    const bool is_inside = step->direct && target < body.size();
    if (is_inside && lengths_[target] == 0) work.starts.push_back(target);
    if (!step->falls_through) return;
    const bool is_call = is_direct_call(*step, code);
    if (is_call && is_inside && target > at && begins_with_pop(body.subspan(target))) {
      called_over_.push_back({start_ + at, start_ + target});
      return;
    }
    if (is_call || is_indirect_call(code) || (is_syscall(code, *step) && may_end_code(number))) {
      work.behind_calls.push_back(at);
      return;
    }
    number = is_syscall(code, *step) ? kUnknown : number_behind(code, number);
  }
}

void Outline::follow_flow(const Decoder& decoder, ByteView body) {
  Work work{{0}, {}};
  uint8_t mark = kReached;
  for (;;) {
    while (!work.starts.empty()) {
      const uint64_t at = work.starts.back();
      work.starts.pop_back();
      follow_path(decoder, body, at, mark, work);
    }
    if (work.behind_calls.empty()) return;
    mark = kReached | kBehindCall;
    std::swap(work.starts, work.behind_calls);
  }
}

void Outline::drop_overlapping() {
  uint64_t free = 0;  // where the last one that stays ends
  for (uint64_t at = 0; at < lengths_.size(); ++at) {
    if (lengths_[at] == 0) continue;
    const bool reached = (lengths_[at] & kReached) != 0;
    if (reached && at >= free) {
      free = at + (lengths_[at] & kLength);
      indirect_jump_ |= (lengths_[at] & kIndirectJump) != 0;
    } else {
      if (reached) overlapping_.push_back(span_at(at));
      lengths_[at] = 0;
      lost_step_ = true;
    }
  }
}

void Outline::sweep_gaps(const Decoder& decoder, ByteView body) {
  const uint64_t size = lengths_.size();
  std::vector<uint64_t> targets;
  for (uint64_t at = 0; at < size;) {
    if (lengths_[at] != 0) {
      at += lengths_[at] & kLength;
      end_of_code_ = at;
      continue;
    }
    const auto next = std::find_if(lengths_.begin() + static_cast<std::ptrdiff_t>(at),
                                   lengths_.end(), [](uint8_t length) { return length != 0; });
    const auto border = static_cast<uint64_t>(next - lengths_.begin());
    while (at < border) {
      const auto step = decoder.step(body.subspan(at));
      if (!step || at + step->length > border) {
        lost_step_ = true;
        break;
      }
      indirect_jump_ |= step->indirect_jump;
      lengths_[at] = step->length;
      at += step->length;
      end_of_code_ = at;
      const uint64_t target = at + static_cast<uint64_t>(int64_t{step->distance});
      if (step->direct && target < size) targets.push_back(target);
    }
    at = border;
  }
  add_overlapping(decoder, body, std::move(targets));
}

// What flow does not reach may be data, whose branches mean nothing, or the cases of a jump table.
void Outline::add_overlapping(const Decoder& decoder, ByteView body,
                              std::vector<uint64_t> swept_targets) {
  for (const uint64_t target : swept_targets) {
    if (lengths_[target] != 0 || !holding(start_ + target)) continue;
    if (const auto step = decoder.step(body.subspan(target)))
      overlapping_.push_back({start_ + target, step->length, false, false});
  }
  std::sort(overlapping_.begin(), overlapping_.end(),
            [](const Span& a, const Span& b) { return a.address < b.address; });
}

std::vector<Outline::Span> Outline::overlapping(Vaddr from, Vaddr to) const {
  std::vector<Span> found;
  auto span = std::lower_bound(overlapping_.begin(), overlapping_.end(), from.value,
                               [](const Span& s, uint64_t address) {
                                 return s.address.value + kLongestInstruction <= address;
                               });
  for (; span != overlapping_.end() && span->address < to; ++span)
    if (span->end() > from) found.push_back(*span);
  return found;
}

bool Outline::is_called_over(Vaddr address) const {
  return std::any_of(called_over_.begin(), called_over_.end(), [address](const Range& range) {
    return address >= range.from && address < range.to;
  });
}

Outline::Span Outline::span_at(uint64_t offset) const {
  const uint8_t entry = lengths_[offset];
  return {start_ + offset, static_cast<uint8_t>(entry & kLength), (entry & kReached) != 0,
          (entry & kBehindCall) != 0};
}

std::optional<Outline::Span> Outline::holding(Vaddr address) const {
  if (address < start_ || address >= end_of_code()) return std::nullopt;
  const auto offset = static_cast<uint64_t>(address - start_);
  for (uint64_t back = 0; back < kLongestInstruction && back <= offset; ++back) {
    if (lengths_[offset - back] == 0) continue;
    const Span span = span_at(offset - back);
    return address < span.end() ? std::optional(span) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<Outline::Span> Outline::next(Vaddr address) const {
  for (uint64_t at = address < start_ ? 0 : static_cast<uint64_t>(address - start_);
       at < end_of_code_; ++at)
    if (lengths_[at] != 0) return span_at(at);
  return std::nullopt;
}

std::optional<Outline::Span> Outline::previous(Vaddr address) const {
  if (address <= start_) return std::nullopt;
  for (uint64_t at = std::min(static_cast<uint64_t>(address - start_), end_of_code_); at-- > 0;)
    if (lengths_[at] != 0) return span_at(at);
  return std::nullopt;
}

}  // namespace sysrewrite
