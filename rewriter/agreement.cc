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

// Each place is decoded once, however many of the decodes come by.
class Agreement {
 public:
  Agreement(const ElfImage& image, const Decoder& decoder, Vaddr address, uint64_t reach,
            Attempt attempt)
      : decoder_(decoder), address_(address), reach_(reach), attempt_(attempt) {
    const Segment* segment = image.executable_segment_of(address);
    if (segment == nullptr) return;
    first_ = address - std::min<uint64_t>(address.value - segment->vaddr.value, attempt.distance);
    const ByteView bytes = *image.bytes_from(first_);
    const auto length = static_cast<uint64_t>(address - first_) + reach;
    bytes_ = bytes.first(std::min<uint64_t>(bytes.size(), length));
    lengths_.assign(bytes_.size(), kUnknown);
    visits_.assign(bytes_.size(), 0);
  }

  ByteView bytes_at(uint64_t at) const { return bytes_.subspan(at); }
  Vaddr address_of(uint64_t at) const { return first_ + at; }

  // Where the agreed instructions start, counted from the first byte.
  std::optional<std::vector<uint64_t>> starts() {
    const auto asked = static_cast<uint64_t>(address_ - first_);
    unsigned survivors = 0;
    for (uint64_t skip = 0; skip < attempt_.starts && skip <= asked && skip < bytes_.size();
         ++skip) {
      if (walk(skip, 0) <= asked) continue;
      walk(skip, 1);
      ++survivors;
    }
    if (survivors < attempt_.minimum) return std::nullopt;
    std::vector<uint64_t> agreed;
    uint64_t free = 0;  // where the last one ends
    for (uint64_t at = 0; at < bytes_.size(); ++at) {
      if (visits_[at] != survivors) continue;
      if (at < free) return std::nullopt;
      if (at + lengths_[at] + reach_ <= asked || at >= asked + reach_) continue;
      agreed.push_back(at);
      free = at + lengths_[at];
    }
    const auto holds = [&](uint64_t at) { return asked >= at && asked - at < lengths_[at]; };
    if (std::none_of(agreed.begin(), agreed.end(), holds)) return std::nullopt;
    return agreed;
  }

  // Of the one that holds the address.
  std::optional<Vaddr> start() {
    for (const uint64_t at : starts().value_or(std::vector<uint64_t>{}))
      if (address_ >= address_of(at) && address_ < address_of(at) + lengths_[at])
        return address_of(at);
    return std::nullopt;
  }

 private:
  static constexpr uint8_t kUnknown = 0xff;

  // Decodes from a place to the end of the bytes or to the first that are no instruction, and
  // returns where that is.
  uint64_t walk(uint64_t at, uint8_t count) {
    while (at < bytes_.size()) {
      if (lengths_[at] == kUnknown) {
        const auto step = decoder_.step(bytes_.subspan(at));
        lengths_[at] = step ? step->length : uint8_t{0};
      }
      if (lengths_[at] == 0) break;
      visits_[at] = static_cast<uint8_t>(visits_[at] + count);
      at += lengths_[at];
    }
    return at;
  }

  const Decoder& decoder_;
  Vaddr address_;
  uint64_t reach_;
  Attempt attempt_;
  Vaddr first_;
  ByteView bytes_;
  std::vector<uint8_t> lengths_;  // of the instruction at each place; 0: there is none
  std::vector<uint8_t> visits_;   // how many of the decodes that get far enough come by
};

}  // namespace

namespace {

std::optional<std::vector<Instruction>> instructions(const ElfImage& image, const Decoder& decoder,
                                                     Vaddr address, uint64_t reach,
                                                     const Attempt& attempt) {
  Agreement agreement(image, decoder, address, reach, attempt);
  const auto starts = agreement.starts();
  if (!starts) return std::nullopt;
  std::vector<Instruction> code;
  for (const uint64_t at : *starts)
    code.push_back(*decoder.decode(agreement.bytes_at(at), agreement.address_of(at)));
  return code;
}

}  // namespace

std::optional<std::vector<Instruction>> agreed_instructions(const ElfImage& image,
                                                            const Decoder& decoder, Vaddr address,
                                                            uint64_t reach) {
  for (const Attempt& attempt : kAttempts)
    if (auto code = instructions(image, decoder, address, reach, attempt)) return code;
  return std::nullopt;
}

std::optional<Vaddr> agreed_start(const ElfImage& image, const Decoder& decoder, Vaddr address,
                                  uint64_t reach) {
  for (const Attempt& attempt : kAttempts)
    if (const auto start = Agreement(image, decoder, address, reach, attempt).start()) return start;
  return std::nullopt;
}

std::optional<std::vector<Instruction>> nearby_instructions(const ElfImage& image,
                                                            const Decoder& decoder, Vaddr address,
                                                            uint64_t reach) {
  return instructions(image, decoder, address, reach, kNearby);
}

}  // namespace sysrewrite
