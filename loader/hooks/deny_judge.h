// Asks a policy about one call.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_JUDGE_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_JUDGE_H_

#include "loader/hooks/deny_path.h"
#include "loader/hooks/deny_policy.h"

namespace sysrewrite::deny {

class Judge {
 public:
  Judge(const sysload_api* api, const Policy& policy, const sysload_call& call)
      : api_(api), policy_(policy), call_(call), index_(index_of(call.number)) {}

  // The conditions of a rule that are not about the answer, or those that are.
  bool holds_before(const Rule& rule) { return holds(rule, false); }
  bool holds_after(const Rule& rule) { return holds(rule, true); }

 private:
  bool holds(const Rule& rule, bool after);
  bool holds(const Condition& condition, Action action);
  bool path_holds(const Condition& condition, Action action);
  bool one_path_holds(const Condition& condition, uint32_t which, Action action);
  bool is_writing() const;

  const sysload_api* api_;
  const Policy& policy_;
  const sysload_call& call_;
  uint32_t index_;
  PathArguments arguments_{};
  bool knows_arguments_ = false;
  CallPath paths_[2];
};

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_JUDGE_H_
