// Looking up a symbol that an image exports, in its GNU hash table.
#ifndef SYSREWRITE_LOADER_START_EXPORTED_SYMBOL_H_
#define SYSREWRITE_LOADER_START_EXPORTED_SYMBOL_H_

#include <optional>

#include "loader/start/elf_image.h"

namespace sysrewrite {

// Its address before the load bias. Nothing where the image does not define it, has no such table,
// or has one that leaves its segments.
std::optional<Vaddr> exported_symbol(const ElfImage& image, const char* name);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_EXPORTED_SYMBOL_H_
