// What lies in a file of the cache, as bytes.
//
//   entry                                       identity
//   +----------------------------------+        +----------------------------------+
//   | EntryHeader                      |        | IdentityRecord                   |
//   | PatchRecord[patch_count]         |        +----------------------------------+
//   | for each: original, new bytes    |        | HMAC-SHA-256, 32 bytes           |
//   | tail                             |        +----------------------------------+
//   | NativeRecord[native_count]       |
//   | path of the original             |
//   +----------------------------------+
//   | HMAC-SHA-256, 32 bytes           |
//   +----------------------------------+
//
// An entry is found by the digest of the original's content, and says how its rewritten copy
// differs. An identity says which content a file has (device, inode, size and both times), so that
// a file that has not changed need not be read to know its digest.
//
// Both are believed because of the key, which whoever can write the cache need not know, and only
// then read: the code is computed over everything before it, over what the file is for, and over
// the build of sysrewrite that wrote it, so that neither an entry in another's place nor one of
// another version is taken. Reading checks every count and length all the same.
//
// Thread safety: pure functions.
#ifndef SYSREWRITE_CLI_CACHE_ENTRY_H_
#define SYSREWRITE_CLI_CACHE_ENTRY_H_

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "cli/cache/digest.h"
#include "rewriter/options.h"
#include "rewriter/output.h"

namespace sysrewrite {

// What vouches for the files of one cache.
struct CacheSeal {
  Digest key;    // secret
  Digest build;  // of the program that writes and reads them
};

struct NativeSite {
  uint64_t address;
  uint8_t reason;  // trampoline/reason.h
};

struct CacheEntry {
  Digest content;                                 // of the original
  uint64_t content_size;                          // bytes
  OutputBytes output;                             // no tail: there is nothing to rewrite
  std::vector<std::vector<std::byte>> originals;  // for each patch, what it replaces
  std::vector<NativeSite> natives;
  std::string path;  // of the original when it was rewritten, for people
};

// A file that has not been touched, as far as the kernel tells.
struct FileIdentity {
  uint64_t device, inode, size;
  int64_t modified_s, modified_ns, changed_s, changed_ns;
  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};
FileIdentity identity_of(const struct stat& status);

// A file may be changed twice within one tick of the clock that its times are taken from, and show
// the same times. So its identity stands for its content only when, at a time `seen`
// (CLOCK_REALTIME) not after its status was read, it had been left alone for longer than any such
// tick.
bool has_settled(const FileIdentity& identity, const timespec& seen);

// The same as it stands in an entry's bytes, which must outlive it: a libc has hundreds of patches,
// and to give each memory of its own takes longer than to check them all.
struct PatchView {
  FileOffset offset;
  ByteView original;  // what it replaces; empty where that is not known
  ByteView bytes;
  bool changes() const { return !std::ranges::equal(original, bytes); }
};
struct OutputView {
  std::vector<PatchView> patches;  // ascending, disjoint
  FileOffset tail_offset;
  ByteView tail;
};
struct EntryView {
  Digest content;
  uint64_t content_size;
  OutputView output;
  std::vector<NativeSite> natives;
  ByteView path;
};
// Without what the patches replace.
OutputView view_of(const OutputBytes& output);

std::vector<std::byte> encode_entry(const CacheEntry& entry, const CacheSeal& seal);
// Nothing where it is not what encode_entry() made, under this seal, for this content.
std::optional<EntryView> view_entry(ByteView bytes, const Digest& content, const CacheSeal& seal);
std::optional<CacheEntry> decode_entry(ByteView bytes, const Digest& content,
                                       const CacheSeal& seal);

std::vector<std::byte> encode_identity(const FileIdentity& identity, const Digest& content,
                                       const CacheSeal& seal);
std::optional<Digest> decode_identity(ByteView bytes, const FileIdentity& identity,
                                      const CacheSeal& seal);

// How the entries are made: the original is what the program opens and reads, so its interpreter
// stays, and a payload at its end is no obstacle.
Options entry_options();

// The difference between an original and its copy, with what it replaces; and the headers, which
// stay, so that what they say was said when the copy was made.
CacheEntry make_entry(const Digest& content, ByteView original, const OutputBytes& output);

// True where the entry's patches lie in `original` and replace what they were made for.
bool applies_to(const EntryView& entry, ByteView original);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CACHE_ENTRY_H_
