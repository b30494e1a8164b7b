#include "bench/scratch.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace sysrewrite::bench {

Scratch::Scratch() {
  const char* named = std::getenv("SYSREWRITE_BENCH_DIR");
  directory_ = named != nullptr ? named : std::filesystem::temp_directory_path().string();
  directory_ += "/sysrewrite-bench.XXXXXX";
  if (mkdtemp(directory_.data()) != nullptr) return;
  std::fprintf(stderr, "bench: cannot make %s: %s; name another place in $SYSREWRITE_BENCH_DIR\n",
               directory_.c_str(), std::strerror(errno));
  std::exit(1);
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace sysrewrite::bench
