// A rewritten copy that lives in memory only.
#ifndef SYSREWRITE_CLI_MEMORY_COPY_H_
#define SYSREWRITE_CLI_MEMORY_COPY_H_

#include "cli/descriptor.h"
#include "cli/input_file.h"
#include "rewriter/output.h"

namespace sysrewrite {

// A memory file with the rewritten contents, sealed against any change and open for reading only.
Result<Descriptor> make_memory_copy(const InputFile& input, const OutputBytes& output);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_MEMORY_COPY_H_
