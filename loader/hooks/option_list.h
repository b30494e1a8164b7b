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

// Ends the program where an option has none of the known keys, and says which were `expected`.
template <typename... Keys>
void refuse_options_but(sysload_hook* hook, const char* expected, Keys... known) {
  HookOption option;
  for (OptionList list(*hook); list.next(&option);)
    if (!(option.has_key(known) || ...))
      hook->api->fail(hook, "option at column %d: found %.*s, expected %s", option.column,
                      static_cast<int>(option.size), option.text, expected);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_OPTION_LIST_H_
