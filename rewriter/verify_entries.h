// verify: what may lead into the bytes that were patched.
//
// A window holds several instructions; after the patch only its first byte may be jumped to, and
// the syscall where it became poison (always in tier A, in tier C where the jump ends before it; in
// tiers B and D the window is the syscall). So there is a list of forbidden addresses: where
// instructions of a window start, and where they would start behind one of their prefixes; every
// byte of the padding up to a springboard's end. Others lie in the middle of known instructions,
// where nothing that is meant to run leads.
//
// Whoever leads there is searched in the original at every byte position:
//
//     7x cb, EB cb, E0..E3 cb, 0F 8x cd, E8 cd, E9 cd, C7 F8 cd      branches
//     8D /r with mod 00, rm 101                                       lea of a code address
//     48..4F B8+r and 64 bits              an offset from the global offset table, the same
//     any 32 bits, in a position-dependent file; any 64, where
//     a forbidden address lies at 4 GiB or above                      a pointer
//
// and in the tables: relocations that write there or write such an address, symbols that name it,
// unwind tables that begin a function there (or, for a springboard, a signal frame's one byte on).
#ifndef SYSREWRITE_REWRITER_VERIFY_ENTRIES_H_
#define SYSREWRITE_REWRITER_VERIFY_ENTRIES_H_

#include "rewriter/verify_functions.h"
#include "rewriter/verify_site.h"

namespace sysrewrite {

void verify_entries(const OriginalImage& original, const Decoder& decoder,
                    const KnownFunctions& functions, const std::vector<SiteReading>& sites,
                    Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_ENTRIES_H_
