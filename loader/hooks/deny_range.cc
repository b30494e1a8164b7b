#include "loader/hooks/deny_range.h"

namespace sysrewrite::deny {

namespace {

// Holds what 64 bits do, with a sign and without.
__extension__ using Number = __int128;

struct Range {
  Number low, high;

  bool is_empty() const { return low > high; }
  bool contains(const Range& other) const { return low <= other.low && other.high <= high; }
};

Range common(const Range& one, const Range& other) {
  return {one.low > other.low ? one.low : other.low, one.high < other.high ? one.high : other.high};
}

// As many bits as the subject has.
uint64_t cut(Subject subject, uint64_t bits) {
  return subject == Subject::kInt ? static_cast<uint32_t>(bits) : bits;
}

uint64_t sign_bit(Subject subject) {
  if (subject == Subject::kWord) return 0;
  return uint64_t{1} << (subject == Subject::kInt ? 31 : 63);
}

// As the judge compares it.
Number number_of(Subject subject, uint64_t bits) {
  if (subject == Subject::kInt) return static_cast<int32_t>(bits);
  return subject == Subject::kAnswer ? Number{static_cast<int64_t>(bits)} : Number{bits};
}

// What the mask leaves lies in here.
Range possible(const Condition& condition) {
  const uint64_t mask = cut(condition.subject, condition.mask);
  const uint64_t sign = sign_bit(condition.subject);
  return {number_of(condition.subject, mask & sign), Number{mask & ~sign}};
}

// What the relation admits. Not for kNotEqual.
Range admitted(const Condition& condition) {
  const Range all = possible(condition);
  const Number value = number_of(condition.subject, condition.value);
  switch (condition.relation) {
    case Relation::kLess:
      return {all.low, value - 1};
    case Relation::kAtMost:
      return {all.low, value};
    case Relation::kMore:
      return {value + 1, all.high};
    case Relation::kAtLeast:
      return {value, all.high};
    default:
      return {value, value};
  }
}

// A value has bits that the mask takes away.
bool is_beyond_mask(const Condition& condition) {
  return (cut(condition.subject, condition.value) & ~condition.mask) != 0;
}

bool has_one_possibility(const Condition& condition) {
  return cut(condition.subject, condition.mask) == 0;
}

bool holds_of(const Condition& condition, uint64_t bits) {
  const Number number = number_of(condition.subject, bits & condition.mask);
  if (condition.relation == Relation::kNotEqual)
    return number != number_of(condition.subject, condition.value);
  return admitted(condition).contains({number, number});
}

// Where one says what all bits are that the other looks at.
bool decides(const Condition& one, const Condition& other) {
  return one.relation == Relation::kEqual && (cut(one.subject, other.mask) & ~one.mask) == 0;
}

}  // namespace

bool can_hold(const Condition& condition) {
  if (condition.relation == Relation::kEqual) return !is_beyond_mask(condition);
  if (condition.relation == Relation::kNotEqual)
    return is_beyond_mask(condition) || !has_one_possibility(condition);
  return !common(admitted(condition), possible(condition)).is_empty();
}

bool can_fail(const Condition& condition) {
  if (condition.relation == Relation::kEqual)
    return is_beyond_mask(condition) || !has_one_possibility(condition);
  if (condition.relation == Relation::kNotEqual) return !is_beyond_mask(condition);
  return !admitted(condition).contains(possible(condition));
}

bool go_together(const Condition& one, const Condition& other) {
  if (one.subject != other.subject || one.argument != other.argument) return true;
  if (decides(one, other)) return holds_of(other, one.value);
  if (decides(other, one)) return holds_of(one, other.value);
  const uint64_t both = cut(one.subject, one.mask & other.mask);
  if (one.relation == Relation::kEqual && other.relation == Relation::kEqual)
    return ((one.value ^ other.value) & both) == 0;
  const bool are_ranges =
      one.relation != Relation::kNotEqual && other.relation != Relation::kNotEqual;
  return !are_ranges || one.mask != other.mask ||
         !common(admitted(one), admitted(other)).is_empty();
}

}  // namespace sysrewrite::deny
