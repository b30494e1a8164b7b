#include "rewriter/verify_agreement.h"

#include <algorithm>
#include <array>

namespace sysrewrite {

namespace {

// Where those from nearby have not met, others from further away are asked.
constexpr uint64_t kFarthest = 640;
constexpr uint64_t kDistances[] = {160, 320, kFarthest};
constexpr uint64_t kFewest = 4;  // decodes that arrive

constexpr uint16_t kEnds = UINT16_MAX;  // a decode that does not get there

// Of the decodes that begin in the first bytes: where the instruction starts that holds the byte
// `asked`. Each place is decoded once, from the back, as an attacker has many sites.
std::optional<uint64_t> holder(const Decoder& decoder, ByteView code, uint64_t asked,
                               uint64_t starts) {
  std::array<uint16_t, kFarthest + 1> arrives{};
  for (uint64_t at = asked + 1; at-- > 0;) {
    const auto step = decoder.step(code.subspan(at));
    const uint64_t next = step ? at + step->length : 0;
    arrives[at] = !step ? kEnds : next > asked ? static_cast<uint16_t>(at) : arrives[next];
  }
  uint16_t agreed = kEnds;
  uint64_t arrived = 0;
  for (uint64_t start = 0; start < starts && start <= asked; ++start) {
    if (arrives[start] == kEnds) continue;
    if (arrived++ != 0 && arrives[start] != agreed) return std::nullopt;
    agreed = arrives[start];
  }
  return arrived < kFewest ? std::nullopt : std::optional<uint64_t>(agreed);
}

}  // namespace

std::optional<Vaddr> agreed_holder(const OriginalImage& original, const Decoder& decoder,
                                   Vaddr address) {
  const elf::Phdr* load = original.code_around(address, 1);
  if (load == nullptr) return std::nullopt;
  for (const uint64_t distance : kDistances) {
    const uint64_t back = std::min(distance, address.value - load->vaddr);
    const Vaddr first = address - back;
    const auto at = holder(decoder, original.bytes_from(first), back, distance / 10);
    if (at) return first + *at;
  }
  return std::nullopt;
}

}  // namespace sysrewrite
