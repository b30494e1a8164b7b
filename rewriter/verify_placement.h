// verify: that the trampoline lies where nothing else comes to lie, before the program starts or
// while it runs.
//
//   a program that cannot   directly below its first segment, though not below 64 KiB, where no
//   move                    program may map anything; in a hole between two segments, up to the
//                           second; or 1.25 GiB behind the last: the heap begins up to 1 GiB behind
//   one that can            directly below its first segment, or up to address 0, whose negative
//                           addresses the kernel's choice of a place makes whole
//   a library               directly behind its last segment: who maps it makes room there
//   --format=litebox        the same
//   --embed=segment         where its own headers have it, behind all others
#ifndef SYSREWRITE_REWRITER_VERIFY_PLACEMENT_H_
#define SYSREWRITE_REWRITER_VERIFY_PLACEMENT_H_

#include "rewriter/verify_image.h"

namespace sysrewrite {

void verify_placement(const RewrittenFile& file, const OriginalImage& original, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_PLACEMENT_H_
