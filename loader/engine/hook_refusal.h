// Why a hook's object is refused: one short sentence, put together without allocating.
#ifndef SYSREWRITE_LOADER_ENGINE_HOOK_REFUSAL_H_
#define SYSREWRITE_LOADER_ENGINE_HOOK_REFUSAL_H_

#include <cstdint>

#include "trampoline/bytes.h"

namespace sysrewrite {

class Refusal {
 public:
  Refusal() { text_[0] = 0; }

  // Each returns false, so that a check can end with `return why.say(...)`.
  bool say(const char* words);
  bool say(const char* before, ByteView name, const char* behind);
  bool say(const char* before, uint64_t number, const char* behind);

  const char* text() const { return text_; }  // "" where nothing was said

 private:
  void append(const char* words);
  void append(char c);

  uint32_t used_ = 0;
  char text_[256];
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_HOOK_REFUSAL_H_
