// verify: the parts behind the input, in their only legal order, and what was done to the headers.
#ifndef SYSREWRITE_REWRITER_VERIFY_TABLES_H_
#define SYSREWRITE_REWRITER_VERIFY_TABLES_H_

#include "rewriter/verify_image.h"

namespace sysrewrite {

// Every byte behind the input is part of something, or a zero that aligns it. A format with one
// legal form for each content leaves no room for bytes that nobody looks at.
void verify_tables(ByteView output, const RewrittenFile& file, Findings& findings);

// The recorded facts about the input are those of the restored one, and the ELF header, program
// headers and interpreter path differ from its own as the flags say and no further.
void verify_headers(ByteView output, const RewrittenFile& file, const OriginalImage& original,
                    Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_TABLES_H_
