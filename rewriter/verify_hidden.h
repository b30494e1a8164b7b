// verify: what leads into a patch without being a branch or a pointer.
//
//     landing pads      where the unwinder enters a function to handle an exception: listed in the
//                       language-specific data of its FDE, counted from the function's start
//     distances         switch (x) of position-independent code:
//
//                           lea table(%rip), %rdx                table: .long case0 - table
//                           movslq (%rdx,%rax,4), %rax                  .long case1 - table
//                           add %rdx, %rax                              ...
//                           jmp *%rax
//
// Whatever a lea in the function of a window (or of a springboard's padding) takes the address of
// is taken for such a table, for as long as its words lead into code. Where nothing names the
// function's bounds, the lea is looked for near the site.
#ifndef SYSREWRITE_REWRITER_VERIFY_HIDDEN_H_
#define SYSREWRITE_REWRITER_VERIFY_HIDDEN_H_

#include "rewriter/verify_forbidden.h"
#include "rewriter/verify_functions.h"

namespace sysrewrite {

void verify_hidden_entries(const OriginalImage& original, const KnownFunctions& functions,
                           const std::vector<SiteReading>& sites, const ForbiddenSet& forbidden,
                           Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_HIDDEN_H_
