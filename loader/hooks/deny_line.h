// A call, as a line of the hook `deny` shows it.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_LINE_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_LINE_H_

#include "loader/include/sysload/hook.h"

namespace sysrewrite::deny {

class CallText {
 public:
  // `openat(-100, "/etc/passwd", 0x80000)`: paths as the program wrote them; zeros at the end,
  // which may be arguments or not, are left out.
  CallText(const sysload_api* api, const sysload_call& call);
  const char* text() const { return text_; }

 private:
  void put(const char* words);
  void put_number(const sysload_api* api, uint64_t number);
  void put_string(const sysload_api* api, uint64_t address);

  uint32_t used_ = 0;
  char text_[1024];
};

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_LINE_H_
