// verify: that the original is a file that its headers describe as the kernel and ld.so take them.
//
// A proof reads the original by its program headers. Whoever maps the file reads them as well, and
// must find the same bytes at the same addresses: where the two could differ, as with a segment
// that the kernel maps from another place than its offset, nothing is proven. And no patch touches
// the bytes that headers stand in.
#ifndef SYSREWRITE_REWRITER_VERIFY_ORIGINAL_H_
#define SYSREWRITE_REWRITER_VERIFY_ORIGINAL_H_

#include <vector>

#include "rewriter/verify_site.h"

namespace sysrewrite {

void verify_original(const OriginalImage& original, Findings& findings);

// Windows and springboards lie neither in the ELF header nor in the tables of program headers and
// section headers.
void verify_headers_untouched(const OriginalImage& original, const std::vector<SiteReading>& sites,
                              Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_ORIGINAL_H_
