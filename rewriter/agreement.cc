#include "rewriter/agreement.h"

#include <algorithm>

namespace sysrewrite {

namespace {

// Decodes from so many consecutive places, so far in front. Where those disagree, or too few get
// there (in a row of five-byte jumps only every fifth place is a start, and the others end soon),
// more are asked from further away: they have longer to meet.
struct Attempt {
  uint64_t distance, starts;
  unsigned minimum;  // decodes that must get beyond the address
};
constexpr Attempt kAttempts[] = {{160, 16, 4}, {320, 32, 4}, {640, 64, 4}};
constexpr Attempt kNearby = {96, 64, 24};

// Where decodes from different places meet they go on as one, so each place is visited once.
class Agreement {
 public:
  Agreement(const ElfImage& image, StepLengths& lengths, Vaddr address, uint64_t reach,
            Attempt attempt)
      : known_(lengths), address_(address), reach_(reach), attempt_(attempt) {
    const Segment* segment = image.executable_segment_of(address);
    if (segment == nullptr) return;
    first_ = address - std::min<uint64_t>(address.value - segment->vaddr.value, attempt.distance);
    rest_ = *image.bytes_from(first_);
    const auto length = static_cast<uint64_t>(address - first_) + reach;
    size_ = std::min<uint64_t>(rest_.size(), length);
    lengths_.assign(size_, 0);
    walks_.assign(size_, kNoWalk);
    visits_.assign(size_, 0);
  }

  // Nothing where they disagree about what holds the address.
  std::optional<std::vector<Vaddr>> starts() {
    const auto asked = static_cast<uint64_t>(address_ - first_);
    const unsigned survivors = count_survivors(asked);
    if (survivors < attempt_.minimum) return std::nullopt;
    std::vector<Vaddr> agreed;
    bool holds = false;
    uint64_t free = 0;  // where the last one ends
    for (uint64_t at = 0; at < size_; ++at) {
      if (visits_[at] != survivors) continue;
      if (at < free) return std::nullopt;
      if (at + lengths_[at] + reach_ <= asked || at >= asked + reach_) continue;
      agreed.push_back(first_ + at);
      free = at + lengths_[at];
      holds = holds || (asked >= at && asked < free);
    }
    return holds ? std::optional(std::move(agreed)) : std::nullopt;
  }

 private:
  static constexpr uint8_t kNoWalk = 0xff;

  // How many decodes get beyond the address; visits_ is then how many of them come by each place.
  unsigned count_survivors(uint64_t asked) {
    std::vector<uint64_t> ends;  // of the walks so far
    unsigned survivors = 0;
    for (uint64_t skip = 0; skip < attempt_.starts && skip <= asked && skip < size_; ++skip) {
      ends.push_back(walk(skip, ends));
      if (ends.back() <= asked) continue;
      ++visits_[skip];
      ++survivors;
    }
    for (uint64_t at = 0; at < size_; ++at) {
      const uint64_t next = at + lengths_[at];
      if (visits_[at] == 0 || next >= size_) continue;
      if (lengths_[next] != 0) visits_[next] = static_cast<uint8_t>(visits_[next] + visits_[at]);
    }
    return survivors;
  }

  // Goes from a place to the end of the bytes or to the first that are no instruction, or to where
  // another walk has been, and returns where that ends, or ended.
  uint64_t walk(uint64_t at, const std::vector<uint64_t>& ends) {
    const auto self = static_cast<uint8_t>(ends.size());
    while (at < size_) {
      if (walks_[at] != kNoWalk) return walks_[at] == self ? at : ends[walks_[at]];
      const uint8_t length = known_.of(rest_.subspan(at), first_ + at);
      if (length == 0 || length > size_ - at) break;
      walks_[at] = self;
      lengths_[at] = length;
      at += length;
    }
    return at;
  }

  StepLengths& known_;
  Vaddr address_;
  uint64_t reach_;
  Attempt attempt_;
  Vaddr first_;
  ByteView rest_;  // of the segment, from first_
  uint64_t size_ = 0;
  std::vector<uint8_t> lengths_;  // of the instruction at each place that was visited; else 0
  std::vector<uint8_t> walks_;    // which of them came by first
  std::vector<uint8_t> visits_;   // how many of the decodes that get far enough come by
};

}  // namespace

uint8_t StepLengths::of(ByteView bytes, Vaddr address) {
  Known& known = known_[address.value % kKnown];
  if (known.address != address) {
    const auto step = decoder_.step(bytes);
    known = {address, step ? step->length : uint8_t{0}};
  }
  return known.length;
}

std::optional<std::vector<Vaddr>> agreed_starts(const ElfImage& image, StepLengths& lengths,
                                                Vaddr address, uint64_t reach) {
  for (const Attempt& attempt : kAttempts)
    if (auto starts = Agreement(image, lengths, address, reach, attempt).starts()) return starts;
  return std::nullopt;
}

std::optional<Vaddr> agreed_start(const ElfImage& image, StepLengths& lengths, Vaddr address,
                                  uint64_t reach) {
  const auto starts = agreed_starts(image, lengths, address, reach);
  if (!starts) return std::nullopt;
  return *(std::upper_bound(starts->begin(), starts->end(), address) - 1);
}

std::optional<std::vector<Vaddr>> nearby_starts(const ElfImage& image, StepLengths& lengths,
                                                Vaddr address, uint64_t reach) {
  return Agreement(image, lengths, address, reach, kNearby).starts();
}

}  // namespace sysrewrite
