// What sysrewrite changed in a file's headers, put back where they are mapped.
#ifndef SYSREWRITE_LOADER_START_ORIGINAL_HEADERS_H_
#define SYSREWRITE_LOADER_START_ORIGINAL_HEADERS_H_

#include "loader/start/image_map.h"
#include "loader/start/program_file.h"

namespace sysrewrite {

// The path of PT_INTERP, where ld.so reads its own name; and the ELF header, through which a static
// program finds its own program headers (__ehdr_start): the table that the file's header names is
// mapped nowhere.
void restore_headers(const ProgramFile& program, const ElfImage& image, const MappedImage& mapped);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_ORIGINAL_HEADERS_H_
