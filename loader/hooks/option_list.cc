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

bool find_option(const sysload_hook& hook, const char* key, HookOption* option) {
  for (OptionList list(hook); list.next(option);)
    if (option->has_key(key)) return true;
  return false;
}

bool has_option(const sysload_hook& hook, const char* key) {
  HookOption option;
  return find_option(hook, key, &option);
}

namespace {

constexpr KnownOption kOutput = {"output", true};

const KnownOption* find_known(const HookOption& option, const KnownOption* known, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i)
    if (option.has_key(known[i].key)) return &known[i];
  return option.has_key(kOutput.key) ? &kOutput : nullptr;
}

bool was_given_before(const sysload_hook& hook, const HookOption& option, const char* key) {
  HookOption first;
  return find_option(hook, key, &first) && first.column != option.column;
}

}  // namespace

void check_options(sysload_hook* hook, const KnownOption* known, uint32_t count,
                   const char* expected) {
  HookOption option;
  for (OptionList list(*hook); list.next(&option);) {
    const auto refuse = [&](const char* key, const char* what) {
      hook->api->fail(hook, "option at column %d: found %.*s, expected %s%s", option.column,
                      static_cast<int>(option.size), option.text, key, what);
    };
    const KnownOption* one = find_known(option, known, count);
    if (one == nullptr) {
      refuse(expected, "");
    } else if (option.is_flag() && one->takes_value) {
      refuse(one->key, "=VALUE");
    } else if (!option.is_flag() && !one->takes_value) {
      refuse(one->key, " without a value");
    } else if (was_given_before(*hook, option, one->key)) {
      refuse(one->key, " once");
    }
  }
}

}  // namespace sysrewrite
