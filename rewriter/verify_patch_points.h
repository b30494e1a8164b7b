// verify: places where a tracer writes over code, by the lists that compilers make of them. No
// patch may touch one: XRay's sleds, patchable function entries, calls of mcount, SDT probes.
#ifndef SYSREWRITE_REWRITER_VERIFY_PATCH_POINTS_H_
#define SYSREWRITE_REWRITER_VERIFY_PATCH_POINTS_H_

#include "rewriter/verify_site.h"

namespace sysrewrite {

void verify_patch_points(const Evidenced& in, const std::vector<SiteReading>& sites,
                         Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_PATCH_POINTS_H_
