#include "loader/start/unseen.h"

#include "loader/report.h"

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "hook";

}  // namespace

void report_unseen(const ProgramFile& file) {
  const RewrittenFile& rewritten = file.rewritten();
  const uint32_t uncertain = rewritten.meta().uncertain_count;
  uint32_t native = 0;
  for (uint32_t i = 0; i < rewritten.site_count(); ++i)
    if (rewritten.site(i).tier == Tier::kNative) ++native;
  if (native == 0 && uncertain == 0) return;
  note(kPhase, file.path(), ": not seen: ", uint64_t{native}, " system calls left native, ",
       uint64_t{uncertain}, " places that may be system calls (see sysrewrite inspect)");
}

void report_unseen_libraries(const char* interpreter) {
  note(kPhase, interpreter,
       " is not rewritten: the calls of neither it nor the libraries that it maps are seen");
}

void report_unseen_library(const char* path) {
  note(kPhase, path, " is not rewritten: its calls are not seen");
}

}  // namespace sysrewrite
