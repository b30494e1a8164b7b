#include "rewriter/agreement.h"

#include <algorithm>

namespace sysrewrite {

namespace {

// Decodes from 16 consecutive places, this far in front.
constexpr uint64_t kDistance = 160;
constexpr uint64_t kStarts = 16;
constexpr unsigned kMinimum = 4;  // decodes that must get beyond the address

// Each place is decoded once, however many of the decodes come by.
class Agreement {
 public:
  Agreement(const ElfImage& image, const Decoder& decoder, Vaddr address, uint64_t reach)
      : decoder_(decoder), address_(address), reach_(reach) {
    const Segment* segment = image.executable_segment_of(address);
    if (segment == nullptr) return;
    first_ = address - std::min<uint64_t>(address.value - segment->vaddr.value, kDistance);
    const ByteView bytes = *image.bytes_from(first_);
    const auto length = static_cast<uint64_t>(address - first_) + reach;
    bytes_ = bytes.first(std::min<uint64_t>(bytes.size(), length));
    lengths_.assign(bytes_.size(), kUnknown);
    visits_.assign(bytes_.size(), 0);
  }

  ByteView bytes_at(uint64_t at) const { return bytes_.subspan(at); }
  Vaddr address_of(uint64_t at) const { return first_ + at; }
  uint8_t length_of(uint64_t at) const { return lengths_[at]; }

  // Where the agreed instructions start, counted from the first byte.
  std::optional<std::vector<uint64_t>> starts() {
    const auto asked = static_cast<uint64_t>(address_ - first_);
    unsigned survivors = 0;
    for (uint64_t skip = 0; skip < kStarts && skip <= asked && skip < bytes_.size(); ++skip) {
      if (walk(skip, 0) <= asked) continue;
      walk(skip, 1);
      ++survivors;
    }
    if (survivors < kMinimum) return std::nullopt;
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
  Vaddr first_;
  ByteView bytes_;
  std::vector<uint8_t> lengths_;  // of the instruction at each place; 0: there is none
  std::vector<uint8_t> visits_;   // how many of the decodes that get far enough come by
};

}  // namespace

std::optional<std::vector<Instruction>> agreed_instructions(const ElfImage& image,
                                                            const Decoder& decoder, Vaddr address,
                                                            uint64_t reach) {
  Agreement agreement(image, decoder, address, reach);
  const auto starts = agreement.starts();
  if (!starts) return std::nullopt;
  std::vector<Instruction> code;
  for (const uint64_t at : *starts)
    code.push_back(*decoder.decode(agreement.bytes_at(at), agreement.address_of(at)));
  return code;
}

std::optional<Vaddr> agreed_start(const ElfImage& image, const Decoder& decoder, Vaddr address,
                                  uint64_t reach) {
  Agreement agreement(image, decoder, address, reach);
  const auto starts = agreement.starts();
  if (!starts) return std::nullopt;
  for (const uint64_t at : *starts) {
    const Vaddr start = agreement.address_of(at);
    if (address >= start && address < start + agreement.length_of(at)) return start;
  }
  return std::nullopt;
}

}  // namespace sysrewrite
