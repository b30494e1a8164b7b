// The inverse of a rewrite: from an output, what has to be done to get its input back.
#ifndef SYSREWRITE_REWRITER_RESTORE_H_
#define SYSREWRITE_REWRITER_RESTORE_H_

#include "rewriter/output.h"
#include "rewriter/result.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite {

// The trailer and metadata of a rewritten file, its checksum compared; else the reason why this
// file is none, was cut off or was edited.
Result<RewrittenFile> open_rewritten(ByteView output);

// The original bytes of every window, springboard and edit, as patches of the output, and no tail:
// what materialize() and write_output() make of it, given the output, is the input, byte for byte.
//
// The checksum covers everything that a rewrite touches, so what is given back there is what was
// taken. Bytes that a rewrite leaves alone are taken as they stand: who edits them edits the input.
Result<OutputBytes> restore(ByteView output);

// Only windows and springboards, and the trampoline's segments taken out of the program headers:
// the code as it was, in a file whose headers another tool has written anew (--embed=segment).
Result<OutputBytes> restore_code(ByteView output);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_RESTORE_H_
