#include "rewriter/verify_flow.h"

#include <algorithm>

namespace sysrewrite {

namespace {

unsigned byte_of(ByteView code, size_t at) {
  return at < code.size() ? std::to_integer<unsigned>(code[at]) : 0U;
}

bool is_indirect_call(ByteView code) {
  const size_t at = (byte_of(code, 0) & 0xf0) == 0x40 ? 1 : 0;
  return byte_of(code, at) == 0xff && (byte_of(code, at + 1) & 0x38) == 0x10;
}

bool begins_with_pop(ByteView code) {
  return (byte_of(code, byte_of(code, 0) == 0x41 ? 1 : 0) & 0xf8) == 0x58;
}

bool is_syscall(const Step& step, ByteView code) {
  return step.length == 2 && byte_of(code, 0) == 0x0f && byte_of(code, 1) == 0x05;
}

// What `mov $N, %eax` and `mov $N, %rax` put there; else `before`.
int64_t number_behind(ByteView code, int64_t before) {
  const bool wide =
      byte_of(code, 0) == 0x48 && byte_of(code, 1) == 0xc7 && byte_of(code, 2) == 0xc0;
  if (byte_of(code, 0) != 0xb8 && !wide) return before;
  const auto number = load<uint32_t>(code, wide ? 3 : 1);
  return number ? int64_t{*number} : before;
}

template <typename T>
void sort_unique(std::vector<T>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

}  // namespace

FunctionFlow::FunctionFlow(const Decoder& decoder, ByteView body, Vaddr start)
    : decoder_(decoder), body_(body), start_(start), lengths_(body.size()) {
  // All that needs no call to come back first: what is behind one then is only what nothing else
  // leads to.
  Work starts{0}, behind_calls;
  for (uint8_t mark = 0;; mark = kBehindCall) {
    while (!starts.empty()) {
      const uint64_t at = starts.back();
      starts.pop_back();
      follow(at, mark, starts, behind_calls);
    }
    if (behind_calls.empty()) break;
    std::swap(starts, behind_calls);
  }
  merge_called_over();
  std::replace(lengths_.begin(), lengths_.end(), kNone, uint8_t{0});
  sweep();
}

void FunctionFlow::follow(uint64_t at, uint8_t mark, Work& starts, Work& behind_calls) {
  int64_t number = -1;
  while (at < body_.size() && lengths_[at] == 0) {
    const ByteView code = body_.subspan(at);
    const auto step = decoder_.step(code);
    lengths_[at] = step ? static_cast<uint8_t>(step->length | mark) : kNone;
    if (!step) return;
    at += step->length;
    // Modulo 2^64: a target in front of the function is far behind its end.
    const uint64_t target = at + static_cast<uint64_t>(int64_t{step->distance});
    const bool inside = step->direct && target < body_.size();
    if (inside) starts.push_back(target);
    if (!step->falls_through) return;
    const bool call = is_direct_call(*step, code);
    if (call && inside && target > at && begins_with_pop(body_.subspan(target))) {
      called_over_.emplace_back(at, target);
      return;
    }
    if (call || is_indirect_call(code) || (is_syscall(*step, code) && may_end_code(number))) {
      behind_calls.push_back(at);
      return;
    }
    number = is_syscall(*step, code) ? -1 : number_behind(code, number);
  }
}

// An attacker's may be as many as the function has bytes: they are searched, not gone through.
void FunctionFlow::merge_called_over() {
  sort_unique(called_over_);
  size_t kept = 0;
  for (const auto& range : called_over_) {
    if (kept != 0 && range.first <= called_over_[kept - 1].second)
      called_over_[kept - 1].second = std::max(called_over_[kept - 1].second, range.second);
    else
      called_over_[kept++] = range;
  }
  called_over_.resize(kept);
}

// From the end of what flow reaches to the begin of what it reaches next.
void FunctionFlow::sweep() {
  const uint64_t size = lengths_.size();
  for (uint64_t at = 0; at < size;) {
    if (lengths_[at] != 0) {
      at += lengths_[at] & kLength;
      continue;
    }
    const auto from = lengths_.begin() + static_cast<std::ptrdiff_t>(at);
    const auto next = std::find_if(from, lengths_.end(), [](uint8_t l) { return l != 0; });
    const auto border = static_cast<uint64_t>(next - lengths_.begin());
    sweep_gap(at, border);
    at = border;
  }
  sort_unique(swept_targets_);
}

void FunctionFlow::sweep_gap(uint64_t at, uint64_t border) {
  while (at < border) {
    const auto step = decoder_.step(body_.subspan(at));
    if (!step || at + step->length > border) return;
    lengths_[at] = static_cast<uint8_t>(step->length | kSwept);
    at += step->length;
    const uint64_t target = at + static_cast<uint64_t>(int64_t{step->distance});
    if (step->direct && target < body_.size()) swept_targets_.push_back(target);
  }
}

std::vector<FunctionFlow::Reached> FunctionFlow::reached_in(Vaddr from, Vaddr to) const {
  std::vector<Reached> found;
  const uint64_t first = from < start_ ? 0 : static_cast<uint64_t>(from - start_);
  const uint64_t end = to < start_ ? 0 : std::min<uint64_t>(to.value - start_.value, body_.size());
  for (uint64_t at = first - std::min(first, uint64_t{kLongestInstruction - 1}); at < end; ++at) {
    const uint64_t length = lengths_[at] & kLength;
    if (length != 0 && at + length > first && (lengths_[at] & kSwept) == 0)
      found.push_back(
          {start_ + at, static_cast<uint8_t>(length), (lengths_[at] & kBehindCall) != 0});
  }
  return found;
}

std::optional<Vaddr> FunctionFlow::swept_holder(Vaddr address) const {
  const uint64_t at = address.value - start_.value;
  if (at >= lengths_.size()) return std::nullopt;
  for (uint64_t back = 0; back < kLongestInstruction && back <= at; ++back) {
    const uint8_t entry = lengths_[at - back];
    if (entry == 0) continue;
    const bool holds = (entry & kSwept) != 0 && (entry & kLength) > back;
    return holds ? std::optional(address - back) : std::nullopt;
  }
  return std::nullopt;
}

bool FunctionFlow::is_called_over(Vaddr address) const {
  const uint64_t at = address.value - start_.value;
  const auto after =
      std::upper_bound(called_over_.begin(), called_over_.end(), at,
                       [](uint64_t a, const auto& range) { return a < range.first; });
  return after != called_over_.begin() && at < (after - 1)->second;
}

bool FunctionFlow::is_read_otherwise(Vaddr from, Vaddr to) const {
  const uint64_t first = from.value - start_.value, end = to.value - start_.value;
  auto target = std::lower_bound(swept_targets_.begin(), swept_targets_.end(),
                                 first - std::min(first, uint64_t{kLongestInstruction - 1}));
  for (; target != swept_targets_.end() && *target < end; ++target) {
    if ((lengths_[*target] & kLength) != 0) continue;
    const auto step = decoder_.step(body_.subspan(*target));
    if (step && *target + step->length > first) return true;
  }
  return false;
}

}  // namespace sysrewrite
