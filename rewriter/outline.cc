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

void Outline::follow_flow(const Decoder& decoder, ByteView body) {
  std::vector<uint64_t> work{0};
  while (!work.empty()) {
    uint64_t at = work.back();
    work.pop_back();
    while (at < body.size() && lengths_[at] == 0) {
      const auto step = decoder.step(body.subspan(at));
      lengths_[at] = step ? encode(*step) | kReached : kNoInstruction;
      if (!step) {
        lost_step_ = true;
        break;
      }
      at += step->length;
      // Modulo 2^64, so that a target in front of the function is far behind its end.
      const uint64_t target = at + static_cast<uint64_t>(int64_t{step->distance});
      if (step->direct && target < body.size() && lengths_[target] == 0) work.push_back(target);
      if (!step->falls_through) break;
    }
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
      overlapping_.push_back({start_ + target, step->length, false});
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

Outline::Span Outline::span_at(uint64_t offset) const {
  const uint8_t entry = lengths_[offset];
  return {start_ + offset, static_cast<uint8_t>(entry & kLength), (entry & kReached) != 0};
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
