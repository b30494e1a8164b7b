// Any bytes as a policy of the hook `deny`. What is accepted is asked about a few calls.
#include <cstdlib>
#include <memory>

#include "loader/hooks/deny_judge.h"
#include "tests/hooks/fake_api.h"

using namespace sysrewrite;

namespace {

void insist(bool condition) {
  if (!condition) std::abort();
}

void ask(const sysload_api& api, const deny::Policy& policy, uint64_t number) {
  static const char path[] = "/etc/a.c";
  sysload_call call{};
  call.number = number;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  call.argument[0] = call.argument[1] = reinterpret_cast<uintptr_t>(path);
  deny::Judge judge(&api, policy, call);
  const deny::Range range = policy.range[deny::index_of(number)];
  insist(range.first <= range.end && range.end <= policy.rule_count);
  for (uint32_t i = range.first; i < range.end; ++i) {
    const deny::Rule& rule = policy.rules[i];
    insist(rule.first_condition + rule.condition_count <= policy.condition_count);
    if (judge.holds_before(rule)) judge.holds_after(rule);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const test::FakeApi fake;
  if (size > deny::kMostPolicyBytes) return 0;
  const auto policy = std::make_unique<deny::Policy>();
  deny::Mistake mistake{};
  const auto* text = static_cast<const char*>(static_cast<const void*>(data));
  if (!deny::parse_policy(&fake.api, text, static_cast<uint32_t>(size), *policy, mistake)) {
    insist(mistake.line != 0 && mistake.column != 0 && mistake.expected != nullptr);
    insist(mistake.found[0] != 0);
    return 0;
  }
  insist(policy->text_size <= deny::kMostText && policy->rule_count <= deny::kMostRules);
  constexpr uint64_t kAsked[] = {0, 2, 3, 82, 257, 1023};
  for (const uint64_t number : kAsked) ask(fake.api, *policy, number);
  return 0;
}
