#include "tests/plans.h"

namespace sysrewrite::test {

std::string plan_of(const ElfBuilder& builder, const Options& options) {
  return describe(rewrite_whole(builder.build(), options).report);
}

std::string plan_of(const Bytes& code, const Options& options) {
  return plan_of(code_file(code), options);
}

ElfBuilder padded(Bytes code, uint8_t padding) {
  const uint64_t size = code.size();
  while (code.size() % 16 != 0) code.push_back(std::byte{padding});
  return ElfBuilder().code(kCode, std::move(code)).symbol("f", kCode, size);
}

}  // namespace sysrewrite::test
