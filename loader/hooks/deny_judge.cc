#include "loader/hooks/deny_judge.h"

#include <linux/fcntl.h>

#include "loader/hooks/open_flags.h"
#include "loader/text.h"

namespace sysrewrite::deny {

namespace {

template <typename Number>
bool compare(Number number, Relation relation, Number value) {
  switch (relation) {
    case Relation::kEqual:
      return number == value;
    case Relation::kNotEqual:
      return number != value;
    case Relation::kLess:
      return number < value;
    case Relation::kAtMost:
      return number <= value;
    case Relation::kMore:
      return number > value;
    case Relation::kAtLeast:
      return number >= value;
    default:
      return false;
  }
}

}  // namespace

bool Judge::holds(const Rule& rule, bool after) {
  for (uint32_t i = 0; i < rule.condition_count; ++i) {
    const Condition& condition = policy_.conditions[rule.first_condition + i];
    const bool is_about_answer = condition.subject == Subject::kAnswer;
    if (is_about_answer == after && !holds(condition, rule.action)) return false;
  }
  return true;
}

bool Judge::holds(const Condition& condition, Action action) {
  const uint64_t argument = call_.argument[condition.argument < 6 ? condition.argument : 0];
  switch (condition.subject) {
    case Subject::kWord:
      return compare(argument & condition.mask, condition.relation, condition.value);
    case Subject::kInt:
      return compare(static_cast<int32_t>(argument & condition.mask), condition.relation,
                     static_cast<int32_t>(condition.value));
    case Subject::kAnswer:
      return compare(call_.result & static_cast<int64_t>(condition.mask), condition.relation,
                     static_cast<int64_t>(condition.value));
    case Subject::kPath:
      return path_holds(condition, action);
    case Subject::kWriting:
      return is_writing();
  }
  return false;
}

// Of several paths all have to suit what is allowed, and one suffices for anything else: moving a
// file out of a directory touches two.
bool Judge::path_holds(const Condition& condition, Action action) {
  if (!knows_arguments_) arguments_ = paths_of(call_);
  knows_arguments_ = true;
  bool has_any = false;
  for (uint32_t i = 0; i < arguments_.count; ++i) {
    if (condition.argument != kAnyArgument && condition.argument != arguments_.at[i]->name)
      continue;
    has_any = true;
    const bool one = one_path_holds(condition, i, action);
    if (one != (action == Action::kAllow)) return one;
  }
  return has_any && action == Action::kAllow;
}

bool Judge::one_path_holds(const Condition& condition, uint32_t which, Action action) {
  CallPath& path = paths_[which];
  const PathState state = path.read(api_, call_, *arguments_.at[which]);
  if (state == PathState::kUnknownBase) return action != Action::kAllow;  // to be on the safe side
  if (state != PathState::kKnown) return false;  // the kernel knows none, either
  const char* text = policy_.texts + condition.text;
  if (condition.relation == Relation::kIs) return equal(path.text(), text);
  if (condition.relation == Relation::kUnder) return is_under(path.text(), text);
  return is_like(path.text(), text);
}

bool Judge::is_writing() const {
  const uint64_t flags = open_flags(*api_, call_).flags;
  if ((flags & O_PATH) != 0) return false;
  return (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != 0;
}

}  // namespace sysrewrite::deny
