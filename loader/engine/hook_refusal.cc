#include "loader/engine/hook_refusal.h"

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
  char digits[20];
  unsigned count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  used_ = 0;
  append(before);
  while (count != 0) append(digits[--count]);
  append(behind);
  return false;
}

}  // namespace sysrewrite
