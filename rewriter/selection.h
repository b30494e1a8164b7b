// Which sites to patch, as a user names them: to find the one that breaks a program, or to leave it
// out.
#ifndef SYSREWRITE_REWRITER_SELECTION_H_
#define SYSREWRITE_REWRITER_SELECTION_H_

#include "rewriter/elf_image.h"
#include "rewriter/options.h"

namespace sysrewrite {

// "0x401000" is one address, "0x401000-0x402000" all from the first up to and without the second,
// anything else the name of a function. Nothing where the text is none of these.
std::optional<SiteSelector> parse_selector(const std::string& text);

// The options with every function's name turned into its addresses, one selector for each function
// of that name. Unless they are for many files, fails where the file has no
// symbol of that name.
Result<Options> resolve_selectors(const ElfImage& image, const Options& options);

// An error where one of them names no site at all, which is nearly always a slip. `sites`:
// ascending; a file without any is nobody's slip, nor is one of many.
std::optional<Error> refuse_unmatched(const Options& resolved, const std::vector<Vaddr>& sites);

// Whether the site at this address may be patched. Names must have been resolved.
bool is_selected(const Options& options, Vaddr site);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_SELECTION_H_
