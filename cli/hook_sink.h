// Where that goes which a hook says, and what of it could not be written.
#ifndef SYSREWRITE_CLI_HOOK_SINK_H_
#define SYSREWRITE_CLI_HOOK_SINK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/descriptor.h"

namespace sysrewrite {

class HookSink {
 public:
  // Makes the file, or empties it; false, with errno, where that cannot be. Otherwise it is
  // standard error.
  bool open_file(const std::string& path);

  // Waits where it is full, also where the program has it non-blocking: it may share it.
  void put(std::string_view text);

  bool is_used() const { return is_used_; }
  // "12 bytes of the output of NAME were lost: why"; empty where all was written.
  std::string loss(const std::string& name) const;

 private:
  int descriptor() const;

  Descriptor file_;
  bool is_used_ = false;
  uint64_t lost_ = 0;  // bytes
  int error_ = 0;      // why, of the last ones
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_HOOK_SINK_H_
