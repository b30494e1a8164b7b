// The hosted rewriter: rewrites files for the processes under `sysrewrite run`, while they run.
#ifndef SYSREWRITE_CLI_REWRITE_SERVER_H_
#define SYSREWRITE_CLI_REWRITE_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/cache/rewrite_cache.h"
#include "cli/hook_memory.h"
#include "rewriter/pipeline.h"
#include "rewriter/result.h"

namespace sysrewrite {

// What becomes of an object that has no rewritten copy.
enum class UnpatchedPolicy { kRewrite, kNative, kFail };

struct ServerOptions {
  UnpatchedPolicy unpatched = UnpatchedPolicy::kRewrite;
  int loader = -1;                      // sysload, open for reading; stays the caller's
  const RewriteCache* cache = nullptr;  // stays the caller's; none where `select` is
  HookMemory* hooks = nullptr;          // stays the caller's
  bool may_widen = true;                // copies of files that are asked for again: in_one_piece()
  // How to rewrite a file, where not as always, and what was done to it. Several threads call them.
  std::function<void(const std::string& path, Options&)> select;
  std::function<void(const std::string& path, const Report&)> rewritten;
};

// Something that ran without its system calls being seen.
struct NativeObject {
  std::string path, reason;
};

// Listens on an abstract unix socket with a name that cannot be guessed, answers requests of the
// same user only, and keeps each rewritten copy (a sealed memory file) for the next who asks. One
// thread at a time calls it; it starts others where something takes long.
class RewriteServer {
 public:
  static Result<std::unique_ptr<RewriteServer>> start(const ServerOptions& options);
  ~RewriteServer();

  const std::string& name() const;
  // Answers requests until there is something to read at this descriptor, and those that have come
  // by then.
  void serve_until_readable(int descriptor);
  // What could not be rewritten or followed, in the order it came up. After stop().
  std::vector<NativeObject> natives() const;
  void stop();

 private:
  struct Impl;
  explicit RewriteServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_REWRITE_SERVER_H_
