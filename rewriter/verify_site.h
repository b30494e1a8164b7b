// verify: one record of the site table, held against the original code and the patched.
#ifndef SYSREWRITE_REWRITER_VERIFY_SITE_H_
#define SYSREWRITE_REWRITER_VERIFY_SITE_H_

#include <optional>
#include <vector>

#include "rewriter/decoder.h"
#include "rewriter/verify_code_sections.h"
#include "rewriter/verify_functions.h"
#include "rewriter/verify_image.h"

namespace sysrewrite {

// What everything below looks at.
struct Evidenced {
  ByteView output;
  const RewrittenFile& file;
  const OriginalImage& original;
  const Decoder& decoder;
};

// A site as the original bytes tell it, not as it was recorded.
struct SiteReading {
  SiteRecord record{};
  Vaddr site, window, end, stub;  // end: of the window
  Instruction syscall;
  std::vector<Instruction> before, behind;  // displaced
  std::optional<Vaddr> springboard;
  Vaddr padding;  // where the padding that holds the springboard begins
};

// Decodes the window in the original: displaced instructions, one syscall, displaced instructions,
// and no byte left over, in the shape that the tier allows. Nothing, and a finding, where it is not
// so. Also says whether the recorded fields of a native site are empty.
std::optional<SiteReading> read_site(const Evidenced& in, uint32_t index, Findings& findings);

// The window's bytes in the output are the jump or the poison of its tier, and nothing else.
void verify_window(const Evidenced& in, const SiteReading& site, Findings& findings);

// The stub stands at `offset`, does what the window did, and goes back.
void verify_stub(const Evidenced& in, const SiteReading& site, StubOffset offset,
                 Findings& findings);

// The springboard leads to the stub, and stands in padding that nothing runs into.
void verify_springboard(const Evidenced& in, const KnownFunctions& functions,
                        const CodeSections& sections, SiteReading& site, Findings& findings);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_SITE_H_
