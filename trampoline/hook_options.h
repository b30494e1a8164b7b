// The text of a hook's options, key=value:key=value, as the command line has it and sysload and
// hooks read it: in a value "\:" is a colon, and a backslash before anything else is itself.
#ifndef SYSREWRITE_TRAMPOLINE_HOOK_OPTIONS_H_
#define SYSREWRITE_TRAMPOLINE_HOOK_OPTIONS_H_

#include <cstdint>

namespace sysrewrite {

// Bytes of the option that begins at `text`, up to its colon or the NUL.
inline uint64_t option_length(const char* text) {
  uint64_t length = 0;
  while (text[length] != 0 && text[length] != ':')
    length += text[length] == '\\' && text[length + 1] == ':' ? 2 : 1;
  return length;
}

// Takes one byte of a value, which is not at its end, and steps over it.
inline char take_option_byte(const char*& at) {
  if (at[0] == '\\' && at[1] == ':') ++at;
  return *at++;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_HOOK_OPTIONS_H_
