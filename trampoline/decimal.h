// A number's digits, for code without a libc.
#ifndef SYSREWRITE_TRAMPOLINE_DECIMAL_H_
#define SYSREWRITE_TRAMPOLINE_DECIMAL_H_

#include <cstdint>

namespace sysrewrite {

class Decimal {
 public:
  explicit Decimal(uint64_t value) {
    do {
      digits_[--first_] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
  }
  const char* begin() const { return &digits_[first_]; }
  const char* end() const { return &digits_[0] + kMost; }
  unsigned size() const { return kMost - first_; }

 private:
  static constexpr unsigned kMost = 20;  // digits of 2^64
  char digits_[kMost];                   // those from first_ on
  unsigned first_ = kMost;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_DECIMAL_H_
