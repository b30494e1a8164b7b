// The cache as a folder.
//
//   $XDG_CACHE_HOME/sysrewrite/           (or $HOME/.cache/sysrewrite)
//     entries/<digest of the content>.<build>
//     identities/<digest of the identity>.<build>
//   $XDG_STATE_HOME/sysrewrite/cache-key  (or $HOME/.local/state/sysrewrite/cache-key): 32 bytes
//
// Folders and files are ours and nobody else's to enter (0700, 0600), or the cache is not used. A
// file is opened once, without following a link and without waiting for a FIFO's other end, read
// whole if it is regular and of a bounded size, and believed for its seal alone. A file is written
// under a name that nobody else has, and renamed: readers see the old one, the new one or none, and
// fifty writers of the same entry leave one of fifty equal ones.
//
// The key lies elsewhere than what it vouches for: whoever restores, shares or tampers with the
// cache does not hold it.
//
// Thread safety: all of it; it holds nothing but open folders and the key.
#ifndef SYSREWRITE_CLI_CACHE_STORE_H_
#define SYSREWRITE_CLI_CACHE_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/cache/entry.h"
#include "cli/cache/private_folder.h"
#include "cli/descriptor.h"
#include "rewriter/result.h"

namespace sysrewrite {

enum class CacheShelf { kEntries, kIdentities };

// An entry with the bytes that it stands in.
struct StoredEntry {
  PrivateBytes bytes;
  EntryView view;
};

// A file of the cache as its folder shows it.
struct CachedFile {
  CacheShelf shelf;
  std::string name;
  uint64_t size;        // bytes
  int64_t last_used_s;  // seconds since the epoch
  bool is_regular;
};

class CacheStore {
 public:
  // Finds or creates folder and key. Fails, with a sentence, where there is no home, where it
  // cannot be written, or where somebody else could write it too.
  static Result<CacheStore> open();

  const CacheSeal& seal() const { return seal_; }
  const std::string& path() const { return path_; }

  std::optional<StoredEntry> find(const Digest& content) const;
  std::optional<Digest> find_content(const FileIdentity& identity) const;
  // Why it could not be written; nothing where it was, and where it is too large to be kept.
  std::optional<Error> keep(const CacheEntry& entry) const;
  std::optional<Error> keep_content(const FileIdentity& identity, const Digest& content) const;

  // Everything in the cache, entries first, each shelf by name.
  std::vector<CachedFile> list() const;
  // The entry in a listed file; nothing where it is not one of ours.
  std::optional<CacheEntry> read_entry(const CachedFile& file) const;
  // True where a listed identity bears our seal.
  bool is_sound_identity(const CachedFile& file) const;
  // Removes a listed file, or folder, whatever it is.
  bool remove(const CachedFile& file) const;

 private:
  CacheStore() = default;
  const Descriptor& folder(CacheShelf shelf) const {
    return shelf == CacheShelf::kEntries ? entries_ : identities_;
  }
  std::optional<PrivateBytes> read(CacheShelf shelf, const std::string& name) const;
  std::optional<Error> write(CacheShelf shelf, const std::string& name, ByteView bytes) const;
  std::string name_of(const Digest& digest) const;
  std::string identity_name(const FileIdentity& identity) const;

  std::string path_;
  Descriptor entries_, identities_;
  CacheSeal seal_{};
};

// The least recently used go until the rest is no larger than `most` bytes; what bears no seal of
// ours, and writers' remains, go first. What was removed.
struct Pruned {
  uint64_t files = 0, bytes = 0, left = 0;
};
Pruned prune(const CacheStore& store, uint64_t most);

inline constexpr uint64_t kDefaultCacheSize = uint64_t{1} << 30;  // bytes

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CACHE_STORE_H_
