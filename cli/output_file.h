// Writing an output so that nobody ever sees half of it.
#ifndef SYSREWRITE_CLI_OUTPUT_FILE_H_
#define SYSREWRITE_CLI_OUTPUT_FILE_H_

#include <optional>
#include <string>

#include "cli/input_file.h"
#include "cli/metadata.h"
#include "rewriter/output.h"

namespace sysrewrite {

// Copies `input`, applies the output's patches and tail, and renames the result to `path`. Owner
// (where allowed), mode (after the owner, whose change clears setuid) and extended attributes are
// the input's, but for security.ima and security.evm, which vouch for bytes that have changed. The
// temporary file stands in the same directory and has no name until it is whole, where the file
// system can do that. An error leaves nothing behind and an existing file as it was. `path` may be
// the input itself. A null `output` writes an unchanged copy. `lost`: what of these the system did
// not grant; capabilities are an error.
std::optional<Error> write_output(const InputFile& input, const OutputBytes* output,
                                  const std::string& path, Lost& lost);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_OUTPUT_FILE_H_
