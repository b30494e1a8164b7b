// Small outputs of every form: what a reader of outputs has to read.
#ifndef SYSREWRITE_TESTS_REWRITTEN_SAMPLES_H_
#define SYSREWRITE_TESTS_REWRITTEN_SAMPLES_H_

#include <string>
#include <vector>

#include "tests/rewrites.h"

namespace sysrewrite::test {

// Five sites: two of tier A, the second with a RIP-relative operand, then one of B, C and D each.
inline constexpr uint64_t kEveryTierWindow = kCode + 160;     // of the site of tier C
inline constexpr uint64_t kEveryTierUntouched = kCode + 171;  // nops that no patch touches
ElfBuilder every_tier();
// The same with an .eh_frame, of which one FDE is a signal frame's.
ElfBuilder with_unwind_tables();

// The formats, stubs and starts that a user can choose.
std::vector<Options> every_form();

struct RewrittenSample {
  std::string name;
  Whole whole;
};

// Programs with and without interpreter, libraries, files without a site, in every form.
std::vector<RewrittenSample> rewritten_samples();

// The checksum made right again, as whoever lies on purpose would; unchanged where the trailer does
// not even parse.
Bytes sealed(Bytes bytes);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_REWRITTEN_SAMPLES_H_
