// A directory for what a benchmark writes.
#ifndef SYSREWRITE_BENCH_SCRATCH_H_
#define SYSREWRITE_BENCH_SCRATCH_H_

#include <string>

namespace sysrewrite::bench {

// Made in $SYSREWRITE_BENCH_DIR (or $TMPDIR, or /tmp), gone again with its contents when this goes
// out of scope. Which file system that is matters: how fast it copies is half of what is measured.
class Scratch {
 public:
  Scratch();  // prints why and ends the process where it cannot be made
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

 private:
  std::string directory_;
};

}  // namespace sysrewrite::bench

#endif  // SYSREWRITE_BENCH_SCRATCH_H_
