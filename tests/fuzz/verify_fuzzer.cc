// Any bytes as a rewritten file that somebody wants proven or restored. The checksum is mended
// first, as whoever lies on purpose would, so that it keeps nothing from being read. What is proven
// must be restorable, and proven against what is restored; where another tool has written headers
// anew around a trampoline in a segment, its code at least.
#include <cstddef>
#include <cstdlib>

#include "rewriter/restore.h"
#include "rewriter/verify.h"

using namespace sysrewrite;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void mend_checksum(std::vector<std::byte>& bytes) {
  const auto parsed = RewrittenFile::parse(bytes);
  if (parsed.status != TrailerStatus::kValid) return;
  const auto sum = parsed.file.checksum();
  const uint64_t at = parsed.file.meta_offset().value + offsetof(MetaHeader, checksum);
  if (sum) store(MutableByteView(bytes), at, *sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView given = as_byte_view(data, size);
  std::vector<std::byte> bytes(given.begin(), given.end());
  mend_checksum(bytes);
  const Verdict verdict = verify(bytes);
  for (const Finding& finding : verdict.findings.first()) require(!describe(finding).empty());
  const auto original = restore(bytes);
  if (!original) {
    require(!original.error().message.empty());
    require(!verdict.proven() || (verdict.changed_since && restore_code(bytes).ok()));
    return 0;
  }
  const std::vector<std::byte> input = materialize(bytes, *original);
  require(verify(bytes, input).proven() == verdict.proven());
  return 0;
}
