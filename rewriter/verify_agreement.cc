#include "rewriter/verify_agreement.h"

#include <algorithm>
#include <array>

namespace sysrewrite {

namespace {

// Decodes from so many consecutive places, so far in front, of which so many must arrive.
struct Attempt {
  uint64_t distance, starts, fewest;
};
constexpr uint64_t kFarthest = 640;
// Where those from nearby have not met, others from further away are asked.
constexpr Attempt kAttempts[] = {{160, 16, 4}, {320, 32, 4}, {kFarthest, 64, 4}};
// Data in front ends all those; what begins behind it may be enough, if many agree.
constexpr Attempt kNearby{96, 64, 24};

constexpr uint16_t kEnds = UINT16_MAX;  // a decode that does not get there

// What the decodes that arrive at an address agree on. Each place is decoded once, from the back,
// as an attacker has many sites.
class Agreement {
 public:
  Agreement(const OriginalImage& original, const Decoder& decoder, Vaddr address, Attempt attempt)
      : attempt_(attempt) {
    const elf::Phdr* load = original.code_around(address, 1);
    if (load == nullptr) return;
    asked_ = std::min(attempt.distance, address.value - load->vaddr);
    first_ = address - asked_;
    const ByteView code = original.bytes_from(first_);
    for (uint64_t at = asked_ + 1; at-- > 0;) {
      const auto step = decoder.step(code.subspan(at));
      lengths_[at] = step ? step->length : uint8_t{0};
      const uint64_t next = at + lengths_[at];
      arrives_[at] = !step ? kEnds : next > asked_ ? static_cast<uint16_t>(at) : arrives_[next];
    }
    agree();
  }

  // The start of the instruction that holds the address.
  std::optional<Vaddr> holder() const { return holder_; }

  // `place` lies in front of the address.
  bool all_come_by(Vaddr place) const {
    if (!holder_ || place < first_) return false;
    const auto asked = static_cast<uint64_t>(place - first_);
    std::array<bool, kFarthest + 1> comes_by{};
    for (uint64_t at = asked + 1; at-- > 0;) {
      const uint64_t next = at + lengths_[at];
      comes_by[at] = at == asked || (lengths_[at] != 0 && next <= asked && comes_by[next]);
    }
    for (uint64_t start = 0; start < attempt_.starts && start <= asked_; ++start)
      if (arrives_[start] != kEnds && !comes_by[start]) return false;
    return true;
  }

 private:
  void agree() {
    uint16_t agreed = kEnds;
    uint64_t arrived = 0;
    for (uint64_t start = 0; start < attempt_.starts && start <= asked_; ++start) {
      if (arrives_[start] == kEnds) continue;
      if (arrived++ != 0 && arrives_[start] != agreed) return;
      agreed = arrives_[start];
    }
    if (arrived >= attempt_.fewest) holder_ = first_ + agreed;
  }

  Attempt attempt_;
  Vaddr first_;
  uint64_t asked_ = 0;  // from first_
  std::array<uint8_t, kFarthest + 1> lengths_{};
  std::array<uint16_t, kFarthest + 1> arrives_{};  // the start of what holds the address
  std::optional<Vaddr> holder_;
};

}  // namespace

std::optional<Vaddr> agreed_holder(const OriginalImage& original, const Decoder& decoder,
                                   Vaddr address) {
  for (const Attempt& attempt : kAttempts)
    if (const auto at = Agreement(original, decoder, address, attempt).holder()) return at;
  return std::nullopt;
}

bool all_come_by(const OriginalImage& original, const Decoder& decoder, Vaddr address,
                 Vaddr place) {
  for (const Attempt& attempt : kAttempts) {
    const Agreement agreement(original, decoder, address, attempt);
    if (!agreement.holder()) continue;
    if (agreement.all_come_by(place)) return true;
    break;
  }
  return Agreement(original, decoder, address, kNearby).all_come_by(place);
}

}  // namespace sysrewrite
