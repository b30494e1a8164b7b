// Where no function start is known: what decodes from many places agree on.
//
// x86 code falls into step within a few instructions, so decodes from consecutive places have all
// met long before the address that they are asked about; where they have not, nothing is believed.
#ifndef SYSREWRITE_REWRITER_AGREEMENT_H_
#define SYSREWRITE_REWRITER_AGREEMENT_H_

#include <optional>
#include <vector>

#include "rewriter/decoder.h"
#include "rewriter/elf_image.h"

namespace sysrewrite {

// How long instructions are, of those asked about last: who asks about one address after the other
// would have the same bytes decoded a hundred times. Not thread safe.
class StepLengths {
 public:
  explicit StepLengths(const Decoder& decoder) : decoder_(decoder), known_(kKnown) {}

  // Bytes of the instruction that bytes[0], which lies at the address, begins; 0 where it begins
  // none. Always asked with the rest of the same segment.
  uint8_t of(ByteView bytes, Vaddr address);

 private:
  static constexpr size_t kKnown = 1024;
  struct Known {
    std::optional<Vaddr> address;
    uint8_t length = 0;
  };

  const Decoder& decoder_;
  std::vector<Known> known_;  // by the low bits of the address
};

// Starts of the instructions within `reach` bytes of an address that every decode arrives at, of
// those that get beyond the address: bytes from the first one's start to as far as they were
// decoded. Ascending, and the instructions do not overlap; nothing where too few decodes get so
// far.
std::optional<std::vector<Vaddr>> agreed_starts(const ElfImage& image, StepLengths& lengths,
                                                Vaddr address, uint64_t reach);

// The start of the one that holds the address, or nothing.
std::optional<Vaddr> agreed_start(const ElfImage& image, StepLengths& lengths, Vaddr address,
                                  uint64_t reach);

// As agreed_starts(), from a few instructions in front alone: behind data, which ends every decode
// from further away. Such decodes have had less code to fall into step with, or none but the data.
std::optional<std::vector<Vaddr>> nearby_starts(const ElfImage& image, StepLengths& lengths,
                                                Vaddr address, uint64_t reach);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_AGREEMENT_H_
