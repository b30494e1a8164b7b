// The command line of batch.
#ifndef SYSREWRITE_CLI_BATCH_ARGUMENTS_H_
#define SYSREWRITE_CLI_BATCH_ARGUMENTS_H_

#include "cli/arguments.h"

namespace sysrewrite {

// `argv` begins with "batch".
Command parse_batch_arguments(int argc, const char* const* argv);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_ARGUMENTS_H_
