// verify: no instruction reads or writes bytes of a patch as data.
//
// A RIP-relative operand is a ModRM byte with mod 00 and rm 101, and 32 bits that count from the
// instruction's end. Such are searched at every byte position of the code. What seems to lead into
// a window, or to a springboard, counts where the instruction is one: where a decode from the begin
// of its function, which unwind tables or symbols name, comes by it, or most decodes that start up
// to 128 bytes in front.
#ifndef SYSREWRITE_REWRITER_VERIFY_ACCESSES_H_
#define SYSREWRITE_REWRITER_VERIFY_ACCESSES_H_

#include "rewriter/verify_site.h"

namespace sysrewrite {

void verify_accesses(const Evidenced& in, const KnownFunctions& functions,
                     const std::vector<SiteReading>& sites, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_ACCESSES_H_
