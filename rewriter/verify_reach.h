// verify: whether what was patched is code, and whether all code that makes a system call was seen.
//
// A window decodes to instructions wherever its first byte is taken for one: in the constant of a
// mov as well. And a pair `0f 05` that the site table leaves out is only counted. So control flow
// is followed once more, from each function that an unwind table, a symbol or an entry point names:
//
//   what it reaches          must be what the window displaces, where it has a byte in the window
//   a syscall it reaches     must be a site (native ones are sites, too); where it gets there only
//                            behind a call, or there is another reading of the same bytes, it may
//                            be one of the pairs that were reported as uncertain, and no others
//   another syscall          on which decodes agree that begin in front of it, must be a site, too,
//   or
//                            one of the uncertain: switches, landing pads, files without tables
//   a site it does not reach must not be where decodes that begin in front of it agree on another
//                            instruction that holds it: code falls into step within a few; and
//                            what it displaces must begin where the function is swept to begin an
//                            instruction, or where all decodes that arrive at the site come by
//   padding of a springboard is not reached
//
// A pair that --uncertain has patched is data to most decodes, but not the same to all of them. So
// nothing is found wrong with it, but it is counted.
#ifndef SYSREWRITE_REWRITER_VERIFY_REACH_H_
#define SYSREWRITE_REWRITER_VERIFY_REACH_H_

#include "rewriter/verify_functions.h"
#include "rewriter/verify_site.h"

namespace sysrewrite {

// `sites`: all of the file, ascending. Gives how many of them neither flow nor agreement vouches
// for, and which may be data.
uint32_t verify_reach(const Evidenced& in, const KnownFunctions& functions,
                      const CodeSections& sections, const std::vector<SiteReading>& sites,
                      Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_REACH_H_
