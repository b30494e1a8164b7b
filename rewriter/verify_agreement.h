// What decodes from many places in front of an address agree on, as verify finds it.
//
// Code falls into step within a few instructions, whatever byte of it a decode begins with. So
// those from consecutive places a good way in front have met before they arrive, if there is code
// between.
#ifndef SYSREWRITE_REWRITER_VERIFY_AGREEMENT_H_
#define SYSREWRITE_REWRITER_VERIFY_AGREEMENT_H_

#include <optional>

#include "rewriter/verify_site.h"

namespace sysrewrite {

// The start of the instruction in which all of them have the address; nothing where they differ, or
// where too few get there.
std::optional<Vaddr> agreed_holder(const OriginalImage& original, const Decoder& decoder,
                                   Vaddr address);

// True where all of those that agree on the address come by `place`, in front of it: an instruction
// begins there. Decodes from nearby count as well.
bool all_come_by(const OriginalImage& original, const Decoder& decoder, Vaddr address, Vaddr place);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_AGREEMENT_H_
