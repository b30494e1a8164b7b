// verify: the section headers, symbols and unwind tables that --symbols and --embed=segment write.
//
// All of it follows from the original and the site table but the stubs' names. Those are read from
// the output and held against the original's symbols; then every byte of the part is made anew,
// from the drawing in docs/format.md, and compared: so there is no byte that says something else.
#ifndef SYSREWRITE_REWRITER_VERIFY_SYMBOLS_H_
#define SYSREWRITE_REWRITER_VERIFY_SYMBOLS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewriter/call_frames.h"
#include "rewriter/verify_site.h"

namespace sysrewrite {

// The part of the file that holds new section headers and the tables that belong to them.
struct SectionPart {
  uint64_t begin = 0, limit = 0;    // offsets: its first byte, and the first behind it
  std::vector<elf::Shdr> sections;  // as they must be, but for names and for what this part holds
  size_t old_count = 0;             // of them: those that the original has
  std::vector<std::pair<size_t, std::string>> names;  // those that the original has not
  bool symbols = false;       // the stubs', as functions in the first new section
  bool debug_frames = false;  // what stubs can be unwound by goes into .debug_frame
};

void verify_section_part(const Evidenced& in, const std::vector<SiteReading>& sites,
                         SectionPart part, Findings& findings);

// The part between the input and a trampoline at the end. A rewrite without symbols has none;
// `sites` are all of the file.
void verify_symbols(const Evidenced& in, const std::vector<SiteReading>& sites, Findings& findings);

// The original's unwind tables; empty where there are none that can be read.
CallFrames original_call_frames(const OriginalImage& original);

// The bytes that unwind from the stubs, for a .debug_frame in which they stand at `offset`; empty
// where no stub can be described.
std::vector<std::byte> expected_frames(const Evidenced& in, const std::vector<SiteReading>& sites,
                                       uint64_t offset);

// The unwind tables of a segment: the original's entries, whose section starts at `old`, and the
// stubs' behind them, from `address`; with a search table behind that, if there is one. Empty where
// no stub can be described, or where the original's cannot be read to the end.
struct UnwindTables {
  std::vector<std::byte> table, search;
};
UnwindTables expected_unwind_tables(const Evidenced& in, const std::vector<SiteReading>& sites,
                                    const std::optional<elf::Shdr>& old, Vaddr address,
                                    bool with_search);

// Each name is FUNCTION.syscall_N, with FUNCTION's sites counted from 1, or syscall_ADDRESS;
// `where`: of the first name in the file.
void verify_stub_names(const Evidenced& in, const std::vector<SiteReading>& sites,
                       const std::vector<std::string>& names, uint64_t where, Findings& findings);

// Section headers as the original has them; empty where it has none that can be read.
std::vector<elf::Shdr> original_sections(const OriginalImage& original);
ByteView original_bytes(const OriginalImage& original, const elf::Shdr& section);
std::string original_name(const OriginalImage& original, const std::vector<elf::Shdr>& sections,
                          const elf::Shdr& section);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_SYMBOLS_H_
