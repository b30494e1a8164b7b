#include "rewriter/verify_agreement.h"

#include <algorithm>

namespace sysrewrite {

namespace {

// Where those from nearby have not met, others from further away are asked.
constexpr uint64_t kDistances[] = {160, 320, 640};
constexpr uint64_t kFewest = 4;  // decodes that arrive

// Of so many bytes in front of the address, decodes from the first tenth begin apart by one.
std::optional<uint64_t> holder(const Decoder& decoder, ByteView code, uint64_t asked,
                               uint64_t starts) {
  std::optional<uint64_t> agreed;
  uint64_t arrived = 0;
  for (uint64_t start = 0; start < starts && start <= asked; ++start) {
    uint64_t at = start;
    for (;;) {
      const auto step = decoder.step(code.subspan(at));
      if (!step) break;
      if (at + step->length > asked) {
        if (agreed && *agreed != at) return std::nullopt;
        agreed = at;
        ++arrived;
        break;
      }
      at += step->length;
    }
  }
  return arrived < kFewest ? std::nullopt : agreed;
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
