#include "loader/engine/hook_refusal.h"

#include "trampoline/decimal.h"

namespace sysrewrite {

void Refusal::append(char c) {
  if (used_ + 1 < sizeof(text_)) text_[used_++] = c;
  text_[used_] = 0;
}

void Refusal::append(const char* words) {
  for (; *words != 0; ++words) append(*words);
}

bool Refusal::say(const char* words) {
  used_ = 0;
  append(words);
  return false;
}

bool Refusal::say(const char* before, ByteView name, const char* behind) {
  constexpr size_t kMostShown = 80;
  used_ = 0;
  append(before);
  for (size_t i = 0; i < name.size() && i < kMostShown; ++i) append(static_cast<char>(name[i]));
  if (name.size() > kMostShown) append("...");
  append(behind);
  return false;
}

bool Refusal::say(const char* before, uint64_t number, const char* behind) {
  used_ = 0;
  append(before);
  for (const char digit : Decimal(number)) append(digit);
  append(behind);
  return false;
}

}  // namespace sysrewrite
