// Some sections are read from end to end wherever they are: symbol tables, and lists of places that
// are written over (patch_points.h). Linkers merge those of one kind and never let two share bytes.
// A file of a thousand section headers over one table would cost a thousand times its size, in time
// and in memory, and none of what they say could be left out: it is evidence against patches.
#ifndef SYSREWRITE_REWRITER_READ_ONCE_H_
#define SYSREWRITE_REWRITER_READ_ONCE_H_

#include "rewriter/elf_image.h"

namespace sysrewrite {

// The error of a file in which two of them share bytes, or addresses where those tell them apart.
std::optional<Error> check_read_once(const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_READ_ONCE_H_
