// verify: the section headers, symbols and unwind tables that --symbols adds.
//
// All of it follows from the original and the site table but the stubs' names. Those are read from
// the output and held against the original's symbols; then every byte of the part is made anew,
// from the drawing in docs/format.md, and compared: so there is no byte that says something else.
#ifndef SYSREWRITE_REWRITER_VERIFY_SYMBOLS_H_
#define SYSREWRITE_REWRITER_VERIFY_SYMBOLS_H_

#include <string>
#include <vector>

#include "rewriter/verify_site.h"

namespace sysrewrite {

// A rewrite without symbols has nothing of this; `sites` are all of the file.
void verify_symbols(const Evidenced& in, const std::vector<SiteReading>& sites, Findings& findings);

// The bytes that unwind from the stubs, for a .debug_frame in which they stand at `offset`; empty
// where no stub can be described.
std::vector<std::byte> expected_frames(const Evidenced& in, const std::vector<SiteReading>& sites,
                                       uint64_t offset);

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
