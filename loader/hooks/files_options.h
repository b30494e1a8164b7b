// The options of the `files` hook.
#ifndef LOADER_HOOKS_FILES_OPTIONS_H_
#define LOADER_HOOKS_FILES_OPTIONS_H_

#include "loader/hooks/files_record.h"

namespace sysrewrite {

// Ends the process, by api->fail, where they are not understood.
FileFormat read_files_options(sysload_hook* hook);

}  // namespace sysrewrite

#endif  // LOADER_HOOKS_FILES_OPTIONS_H_
