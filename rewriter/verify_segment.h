// The headers of an output whose trampoline is a segment (--embed=segment), compared with those of
// the original: what moved is where it says, what was added is nothing else, all the rest is as it
// was.
#ifndef SYSREWRITE_REWRITER_VERIFY_SEGMENT_H_
#define SYSREWRITE_REWRITER_VERIFY_SEGMENT_H_

#include "rewriter/verify_image.h"

namespace sysrewrite {

void verify_segment(ByteView output, const RewrittenFile& file, const OriginalImage& original,
                    Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_SEGMENT_H_
