#include "cli/cache/rewrite_cache.h"

namespace sysrewrite {

namespace {

// The file as it is now is the file that was opened.
bool is_untouched(const InputFile& file) {
  struct stat now {};
  return fstat(file.descriptor(), &now) == 0 && identity_of(now) == identity_of(file.status());
}

}  // namespace

RewriteCache::RewriteCache(RewriteCache&& other) noexcept
    : store_(std::move(other.store_)), problem_(std::move(other.problem_)) {}

RewriteCache RewriteCache::for_user() {
  RewriteCache cache;
  auto store = CacheStore::open();
  if (store) {
    cache.store_ = std::move(*store);
  } else {
    cache.problem_ = store.error().message;
  }
  return cache;
}

std::string RewriteCache::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void RewriteCache::complain(const Error& error) const {
  const std::lock_guard lock(mutex_);
  if (problem_.empty()) problem_ = error.message;
}

void RewriteCache::keep_identity(const InputFile& file, const Digest& content) const {
  const FileIdentity identity = identity_of(file.status());
  if (!has_settled(identity, file.opened_at()) || !is_untouched(file)) return;
  added_ = true;
  if (auto error = store_->keep_content(identity, content)) complain(*error);
}

std::optional<StoredEntry> RewriteCache::find_untouched(const struct stat& status) const {
  if (!store_) return std::nullopt;
  const auto known = store_->find_content(identity_of(status));
  auto entry = known ? store_->find(*known) : std::nullopt;
  if (!entry || entry->view.content_size != static_cast<uint64_t>(status.st_size))
    return std::nullopt;
  return entry;
}

CacheLookup RewriteCache::find(const InputFile& file) const {
  CacheLookup lookup;
  if (!store_) return lookup;
  const auto known = store_->find_content(identity_of(file.status()));
  if (!known) lookup.content = sha256(file.bytes());
  auto entry = store_->find(known ? *known : *lookup.content);
  if (!entry || !applies_to(entry->view, file.bytes())) return lookup;
  lookup.entry = std::move(entry);
  if (lookup.content) keep_identity(file, *lookup.content);
  return lookup;
}

void RewriteCache::keep(const InputFile& file, const CacheLookup& lookup, const OutputBytes* output,
                        const std::vector<NativeSite>& natives, const std::string& path) const {
  if (!store_) return;
  const Digest content = lookup.content ? *lookup.content : sha256(file.bytes());
  CacheEntry entry = make_entry(content, file.bytes(), output != nullptr ? *output : OutputBytes{});
  entry.natives = natives;
  entry.path = path;
  if (!is_untouched(file)) return;
  added_ = true;
  if (auto error = store_->keep(entry)) return complain(*error);
  keep_identity(file, content);
}

void RewriteCache::tidy() const {
  if (!store_ || !added_) return;
  uint64_t size = 0;
  for (const CachedFile& file : store_->list()) size += file.size;
  // Well below the bound, so that not every run that follows has to do it again.
  if (size > kDefaultCacheSize) prune(*store_, kDefaultCacheSize / 4 * 3);
}

}  // namespace sysrewrite
