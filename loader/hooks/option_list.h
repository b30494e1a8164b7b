// The options of a hook, one after the other: for hooks that refuse what they do not know, with its
// place.
#ifndef SYSREWRITE_LOADER_HOOKS_OPTION_LIST_H_
#define SYSREWRITE_LOADER_HOOKS_OPTION_LIST_H_

#include <cstdint>

#include "loader/include/sysload/hook.h"

namespace sysrewrite {

// One key=value, as it stands: a colon in the value has a backslash before it.
struct HookOption {
  const char* text = nullptr;
  uint32_t size = 0;      // of all of it
  uint32_t key_size = 0;  // the value begins behind the "=" that follows, if any does
  int column = 0;         // of its first byte, from 1

  bool has_key(const char* key) const;
  bool is_flag() const { return key_size == size; }
  bool has_value(const char* wanted) const;
  const char* value() const { return text + value_offset(); }
  uint32_t value_size() const { return size - value_offset(); }
  int value_column() const { return column + static_cast<int>(value_offset()); }

 private:
  uint32_t value_offset() const { return key_size + (key_size < size ? 1 : 0); }
};

class OptionList {
 public:
  explicit OptionList(const sysload_hook& hook) : begin_(hook.options), at_(hook.options) {}
  // False at the end. Empty ones are passed over.
  bool next(HookOption* option);

 private:
  const char* begin_;
  const char* at_;
};

// The option of this key. False where there is none.
bool find_option(const sysload_hook& hook, const char* key, HookOption* option);
bool has_option(const sysload_hook& hook, const char* key);

// An option that a hook has: KEY, or KEY=VALUE. The key stands in the table itself and not behind a
// pointer, which would need a relocation.
struct KnownOption {
  char key[16];
  bool takes_value;
};

// Ends the program where an option is none of these, which `expected` lists, nor the output=PATH of
// every hook; where it lacks a value, or has one that nobody would look at; and where it is given a
// second time.
void check_options(sysload_hook* hook, const KnownOption* known, uint32_t count,
                   const char* expected);
template <uint32_t kCount>
void check_options(sysload_hook* hook, const KnownOption (&known)[kCount], const char* expected) {
  check_options(hook, known, kCount, expected);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_OPTION_LIST_H_
