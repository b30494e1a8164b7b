// verify: a springboard stands in no function that takes the address of a label of its own.
//
// Such a function may go on from there by a distance that only data holds (GCC manual, "Labels as
// Values"), to any place between its start and its end, the padding in front of a loop too. Its
// bounds are what unwind tables and symbols say; where they say nothing, nothing is proven. What
// takes an address is searched at every byte position of the function:
//
//     8D /r with mod 00, rm 101                       lea
//     any 32 bits, in a position-dependent file; any
//     64, where the function lies beyond 4 GiB        a constant
//     48..4F B8+r and 64 bits                         an offset from the global offset table
#ifndef SYSREWRITE_REWRITER_VERIFY_LABELS_H_
#define SYSREWRITE_REWRITER_VERIFY_LABELS_H_

#include "rewriter/verify_site.h"

namespace sysrewrite {

// What offsets may count from: DT_PLTGOT, and the begin of .got.plt and .got.
std::vector<uint64_t> offset_tables(const OriginalImage& original);

void verify_labels(const OriginalImage& original, const KnownFunctions& functions,
                   const std::vector<SiteReading>& sites, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_LABELS_H_
