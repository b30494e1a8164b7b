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

// The instructions within `reach` bytes of an address that every decode arrives at, of those that
// get beyond the address: bytes from the first one's start to as far as they were decoded.
// Ascending, and they do not overlap; nothing where too few decodes get so far.
std::optional<std::vector<Instruction>> agreed_instructions(const ElfImage& image,
                                                            const Decoder& decoder, Vaddr address,
                                                            uint64_t reach);

// The start of the one that holds the address, or nothing: the same answer at a tenth of the cost.
std::optional<Vaddr> agreed_start(const ElfImage& image, const Decoder& decoder, Vaddr address,
                                  uint64_t reach);

// As agreed_instructions(), from a few instructions in front alone: behind data, which ends every
// decode from further away. Such decodes have had less code to fall into step with, or none but the
// data.
std::optional<std::vector<Instruction>> nearby_instructions(const ElfImage& image,
                                                            const Decoder& decoder, Vaddr address,
                                                            uint64_t reach);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_AGREEMENT_H_
