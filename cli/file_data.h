// A file's contents, copied in the kernel where it can.
#ifndef SYSREWRITE_CLI_FILE_DATA_H_
#define SYSREWRITE_CLI_FILE_DATA_H_

#include <sys/stat.h>

#include <cstdint>

#include "cli/input_file.h"
#include "rewriter/output.h"

namespace sysrewrite {

// The first `size` bytes of `from`, whose status is given, into the empty file `to`: as a reference
// to the same blocks where the file system has such, else by copy_file_range(2), else through this
// process. Holes stay holes. False, with errno, where the system refuses; errno is ESTALE where the
// file has become shorter.
bool copy_data(int from, const struct stat& status, uint64_t size, int to);

// What `output` makes of the input, or the input's own bytes where it is null.
bool write_data(const InputFile& input, const OutputBytes* output, int to);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_FILE_DATA_H_
