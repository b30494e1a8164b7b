#include "loader/hooks/option_list.h"

#include "loader/text.h"
#include "trampoline/hook_options.h"

namespace sysrewrite {

bool HookOption::has_key(const char* key) const {
  return is_word(text, key_size, key);
}

bool HookOption::has_value(const char* wanted) const {
  return is_word(value(), value_size(), wanted);
}

bool OptionList::next(HookOption* option) {
  while (*at_ == ':') ++at_;
  if (*at_ == 0) return false;
  *option = HookOption{};
  option->text = at_;
  option->column = static_cast<int>(at_ - begin_) + 1;
  option->size = static_cast<uint32_t>(option_length(at_));
  while (option->key_size < option->size && at_[option->key_size] != '=') ++option->key_size;
  at_ += option->size;
  return true;
}

}  // namespace sysrewrite
