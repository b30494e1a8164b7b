#include "tests/verdicts.h"

#include <algorithm>

namespace sysrewrite::test {

std::string verdict(const Bytes& output, std::optional<ByteView> original) {
  const Verdict verdict = verify(output, original);
  return verdict.proven() ? "proven" : describe(verdict.findings.first().front());
}

bool finds(const Bytes& output, const std::string& words) {
  const Verdict verdict = verify(output);
  for (const Finding& finding : verdict.findings.first())
    if (describe(finding).find(words) != std::string::npos) return true;
  return false;
}

uint64_t offset_of(const Whole& whole, uint64_t address) {
  const auto offset = whole.file.offset_of({address}, 1);
  EXPECT_TRUE(offset.has_value());
  return offset ? offset->value : 0;
}

Bytes with_code(const Whole& whole, uint64_t address, const Bytes& code) {
  Bytes output = whole.output;
  std::copy(code.begin(), code.end(),
            output.begin() + static_cast<std::ptrdiff_t>(offset_of(whole, address)));
  return output;
}

Bytes with_input(const Whole& whole, const Bytes& other) {
  EXPECT_EQ(other.size(), whole.input.size());
  Bytes output = whole.output;
  for (size_t i = 0; i < std::min(other.size(), whole.input.size()); ++i)
    if (other[i] != whole.input[i]) output[i] = other[i];
  return output;
}

}  // namespace sysrewrite::test
