// --symbols: sections, symbols and unwind information for the stubs, in the output itself, so that
// objdump, gdb and perf know them without being told of another file.
#ifndef SYSREWRITE_REWRITER_STUB_SYMBOLS_H_
#define SYSREWRITE_REWRITER_STUB_SYMBOLS_H_

#include <optional>
#include <vector>

#include "rewriter/layout.h"
#include "rewriter/section_table.h"
#include "rewriter/start.h"

namespace sysrewrite {

struct StubSymbols {
  SectionTable table;
  size_t stubs = 0;   // .sysrewrite in it, still without its place in the file
  size_t framed = 0;  // how many stubs a debugger can unwind from
};

// Nothing where they were not asked for, or where there is no stub. Fails where the input's section
// headers make no sense.
Result<std::optional<StubSymbols>> plan_stub_symbols(const ElfImage& image, const Layout& layout,
                                                     const Options& options);

// What of the ELF header names the new table.
std::vector<HeaderEdit> symbol_edits(const SectionTableBytes& table);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_STUB_SYMBOLS_H_
