// What the hooks under `sysrewrite run` share with it: the ring that their output comes through,
// and the memory that they gather in. Both outlive every process of the tree.
#ifndef SYSREWRITE_CLI_HOOK_MEMORY_H_
#define SYSREWRITE_CLI_HOOK_MEMORY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rewriter/result.h"

namespace sysrewrite {

// Thread-safe but for start and stop.
class HookMemory {
 public:
  // `hooks`: NAME or NAME:OPTIONS, in order. Opens, and empties, the files that they write to.
  static Result<std::unique_ptr<HookMemory>> start(const std::vector<std::string>& hooks);
  ~HookMemory();

  // Descriptors of memory files, which stay this object's; -1 where there is none.
  int ring() const;
  int share(uint32_t hook, uint64_t size);

  // Reads what is left, and shows what hooks have gathered. `unseen`: what ran without its calls
  // being seen, a line each, for a result that claims to be complete. Returns what there is to say
  // to the user, a line each: what could not be written, and that processes live on.
  std::vector<std::string> stop(std::vector<std::string> unseen = {});

 private:
  struct Impl;
  explicit HookMemory(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The options of a hook as it is to be named to programs: objects by their full path, output and
// tables left to run.
std::string hook_for_programs(const std::string& hook);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_HOOK_MEMORY_H_
