#include "loader/hook_object.h"

#include "loader/report.h"

namespace sysrewrite {

RuntimeAddr load_hook_object(const char* path, HookObject* /*mapped*/) {
  fail("hook", path, ": not yet");
}

}  // namespace sysrewrite
