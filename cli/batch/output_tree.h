// Where the new tree is made, and how it gets its name.
#ifndef SYSREWRITE_CLI_BATCH_OUTPUT_TREE_H_
#define SYSREWRITE_CLI_BATCH_OUTPUT_TREE_H_

#include <sys/stat.h>

#include <optional>
#include <string>

#include "cli/descriptor.h"
#include "rewriter/result.h"

namespace sysrewrite {

// A directory beside its later place, OUT.sysrewrite-XXXXXX, which nobody else may enter. It gets
// its name when it is whole, in one step.
class OutputTree {
 public:
  // Refuses an `out` that is not new and no empty directory, that lies inside the tree `source`, or
  // holds it.
  static Result<OutputTree> create(int source, const std::string& out);

  int root() const { return root_.get(); }
  const struct stat& status() const { return status_; }
  const std::string& path() const { return path_; }

  std::optional<Error> publish() const;
  // With all that is in it, where it has not been published. Says so where it cannot.
  std::optional<Error> remove() const;

 private:
  std::optional<Error> choose(int source, const std::string& out);
  std::optional<Error> check_existing(int source) const;
  std::optional<Error> make();

  Descriptor folder_, root_;
  std::string path_;  // OUT as it was given
  std::string name_, temporary_;
  bool exists_ = false;  // an empty directory is to be replaced
  struct stat status_ {};
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_OUTPUT_TREE_H_
