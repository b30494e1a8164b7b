// What conditions on numbers leave possible.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_RANGE_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_RANGE_H_

#include "loader/hooks/deny_policy.h"

namespace sysrewrite::deny {

// Whether there is a number of which a condition holds, and one of which it does not.
bool can_hold(const Condition& condition);
bool can_fail(const Condition& condition);

// Whether two conditions that can hold may do so of one and the same number. True where that is not
// for certain; false always has a reason.
bool go_together(const Condition& one, const Condition& other);

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_RANGE_H_
