// The link that /proc has for the file of a mapping. It leads there whatever has become of the
// file's name, but only for who has CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN; everybody may read
// what the file is called now. Source: linux, fs/proc/base.c, proc_map_files_get_link().
#ifndef SYSREWRITE_LOADER_SERVE_MAPPING_LINK_H_
#define SYSREWRITE_LOADER_SERVE_MAPPING_LINK_H_

#include "loader/syscalls.h"

namespace sysrewrite {

inline constexpr uint64_t kMappingLink = 64;  // bytes

// Of the mapping of this process that holds `address`. False where there is none, or no /proc.
bool link_of_mapping(RuntimeAddr address, char (&link)[kMappingLink]);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_MAPPING_LINK_H_
