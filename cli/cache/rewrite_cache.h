// What `sysrewrite run` asks before it rewrites a file, and tells afterwards.
#ifndef SYSREWRITE_CLI_CACHE_REWRITE_CACHE_H_
#define SYSREWRITE_CLI_CACHE_REWRITE_CACHE_H_

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "cli/cache/store.h"
#include "cli/input_file.h"

namespace sysrewrite {

struct CacheLookup {
  std::optional<StoredEntry> entry;
  std::optional<Digest> content;  // of the file, where it was read to find out
};

// Without a store it finds nothing and keeps nothing. Thread safety: all of it.
class RewriteCache {
 public:
  // Uses the user's cache where it can be had. What it cannot is no error of the program that is to
  // run: problem() says it.
  static RewriteCache for_user();
  static RewriteCache none() { return {}; }

  // What the next function finds, but only where the kernel says that the file was not touched
  // since and so need not be read: quick, whatever its size. Whoever uses it compares what it
  // replaces.
  std::optional<StoredEntry> find_untouched(const struct stat& status) const;

  // What was found out about exactly this content, if anything: by the file's identity where the
  // kernel says that it was not touched since, else by its digest.
  CacheLookup find(const InputFile& file) const;

  // `output` is what rewriting `file` gave, after `lookup` had found nothing; null where it holds
  // no site.
  void keep(const InputFile& file, const CacheLookup& lookup, const OutputBytes* output,
            const std::vector<NativeSite>& natives, const std::string& path) const;

  // Bounds the cache after what this run has added.
  void tidy() const;

  // The first thing that went wrong; empty.
  std::string problem() const;

  RewriteCache(RewriteCache&& other) noexcept;
  ~RewriteCache() = default;

 private:
  RewriteCache() = default;
  void complain(const Error& error) const;
  void keep_identity(const InputFile& file, const Digest& content) const;

  std::optional<CacheStore> store_;
  mutable std::atomic<bool> added_ = false;
  mutable std::mutex mutex_;
  mutable std::string problem_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CACHE_REWRITE_CACHE_H_
