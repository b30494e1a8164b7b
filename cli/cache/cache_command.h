// sysrewrite cache list|verify|prune
#ifndef SYSREWRITE_CLI_CACHE_CACHE_COMMAND_H_
#define SYSREWRITE_CLI_CACHE_CACHE_COMMAND_H_

#include <string>

#include "cli/cache/store.h"

namespace sysrewrite {

enum class CacheAction { kList, kVerify, kPrune };

struct CacheCommand {
  CacheAction action = CacheAction::kList;
  uint64_t max_size = kDefaultCacheSize;  // bytes, for prune
  bool json = false;
};

// Exit status: 0; 1 where there is no cache to be had, or verify found something that it would not
// believe.
int execute(const CacheCommand& command);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CACHE_CACHE_COMMAND_H_
