// verify: whether what was patched is code.
//
// A window decodes to instructions wherever its first byte is taken for one: in the constant of a
// mov as well. So control flow is followed once more, from each function that an unwind table, a
// symbol or an entry point names:
//
//   what it reaches          must be what the window displaces, where it has a byte in the window
//   a site it does not reach must not be where decodes that begin in front of it agree on another
//                            instruction that holds it: code falls into step within a few
//
// A pair that --uncertain has patched is data to most decodes, but not the same to all of them.
#ifndef SYSREWRITE_REWRITER_VERIFY_REACH_H_
#define SYSREWRITE_REWRITER_VERIFY_REACH_H_

#include "rewriter/verify_functions.h"
#include "rewriter/verify_site.h"

namespace sysrewrite {

// `sites`: all of the file, ascending.
void verify_reach(const Evidenced& in, const KnownFunctions& functions,
                  const std::vector<SiteReading>& sites, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_REACH_H_
