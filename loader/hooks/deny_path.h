// Paths as a policy sees them: absolute, and tidied as text. No file is looked at, so symbolic
// links stay what they are called.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_PATH_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_PATH_H_

#include "loader/hooks/deny_names.h"
#include "loader/include/sysload/hook.h"

namespace sysrewrite::deny {

inline constexpr uint32_t kLongestPath = 4096;  // PATH_MAX, the NUL included
inline constexpr uint32_t kLongestPattern = 1023;

// Takes "//", "/./", "/x/.." and a slash at the end out of an absolute path, in place.
void normalize_path(char* path);

// `directory` itself, or below it; both are normalized.
bool is_under(const char* path, const char* directory);

// `*` is any text without a slash, `**` any text, `?` one byte that is no slash; `/**/` may be one
// slash. The time it takes grows with the product of the lengths, whatever they hold. The pattern
// has at most kLongestPattern bytes.
bool is_like(const char* path, const char* pattern);

enum class PathState : uint8_t {
  kUnread,
  kKnown,
  kInvalid,      // no path: unreadable, too long, or relative to what is no directory
  kUnknownBase,  // relative to a directory whose name cannot be found out
};

// One path that a call is given, read when it is first asked for.
class CallPath {
 public:
  CallPath() { text_[0] = 0; }
  PathState read(const sysload_api* api, const sysload_call& call, const PathSlot& slot);
  const char* text() const { return text_; }  // where it is known

 private:
  PathState resolve(const sysload_api* api, const sysload_call& call, const PathSlot& slot);

  PathState state_ = PathState::kUnread;
  char text_[2 * kLongestPath];  // filled when read: clearing it would cost more than the rest
};

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_PATH_H_
