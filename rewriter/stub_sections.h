// What the output's section headers say of the stubs, so that objdump, gdb and perf know them
// without being told of another file: --symbols gives them a section, symbols and unwind
// information;
// --embed=segment the section alone, or, together with --symbols, all of it.
#ifndef SYSREWRITE_REWRITER_STUB_SECTIONS_H_
#define SYSREWRITE_REWRITER_STUB_SECTIONS_H_

#include <optional>
#include <vector>

#include "rewriter/frame_writer.h"
#include "rewriter/layout.h"
#include "rewriter/section_table.h"
#include "rewriter/start.h"

namespace sysrewrite {

struct StubSections {
  SectionTable table;
  std::optional<size_t> stubs;  // their section in it, still without its place in the file
  uint64_t size = 0;            // bytes of the table's part, where nothing more is added to it
  bool named = false;           // there are symbols for them
  bool framed = false;          // there is a .debug_frame for them
};

// `segment`: the trampoline lies in segments of its own (see embedding.h), which adds further
// sections. `frames`: what a .debug_frame is to say; none where something else says it. Nothing
// where nothing asks for new section headers. Fails where the input's make no sense.
Result<std::optional<StubSections>> plan_stub_sections(const ElfImage& image, const Layout& layout,
                                                       const std::vector<WrittenFrame>& frames,
                                                       bool segment, const Options& options);

// What of the ELF header names the new table.
std::vector<HeaderEdit> section_edits(const SectionTableBytes& table);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_STUB_SECTIONS_H_
