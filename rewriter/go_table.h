// Go's own function table, which stays when symbols are stripped (-ldflags "-s -w").
// Source: Go's src/runtime/symtab.go (pcHeader) and src/debug/gosym/pclntab.go; versions 1.16,
// 1.18 and 1.20 of the header.
#ifndef SYSREWRITE_REWRITER_GO_TABLE_H_
#define SYSREWRITE_REWRITER_GO_TABLE_H_

#include <vector>

#include "rewriter/elf_image.h"

namespace sysrewrite {

// Starts of all Go functions, ascending, the end of the last one behind them; empty for programs
// that are not Go's.
std::vector<Vaddr> read_go_function_starts(const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_GO_TABLE_H_
