// The headers of an output whose trampoline is a segment (--embed=segment), compared with those of
// the original: what moved is where it says, what was added is nothing else, all the rest is as it
// was.
#ifndef SYSREWRITE_REWRITER_VERIFY_SEGMENT_H_
#define SYSREWRITE_REWRITER_VERIFY_SEGMENT_H_

#include "rewriter/verify_site.h"

namespace sysrewrite {

// `sites` are all of the file.
void verify_segment(const Evidenced& in, const std::vector<SiteReading>& sites, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_SEGMENT_H_
