#include "cli/cache/store.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "cli/input_file.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kMostEntry = uint64_t{64} << 20;  // bytes; a libc's takes 0.1 MB
constexpr uint64_t kMostIdentity = 4096;
constexpr uint64_t kMostFiles = 1 << 20;

// What names this build: the linker's build ID, which differs wherever the code does.
int digest_build_id(dl_phdr_info* program, size_t /*size*/, void* into) {
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = program->dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    // The one place where a number of the dynamic linker's has to become a pointer.
    // NOLINTNEXTLINE(performance-no-int-to-ptr,cppcoreguidelines-pro-type-reinterpret-cast)
    const auto* start = reinterpret_cast<const std::byte*>(program->dlpi_addr + header.p_vaddr);
    const ByteView notes(start, header.p_memsz);
    for (uint64_t at = 0; const auto note = load<ElfW(Nhdr)>(notes, at);) {
      const uint64_t name = (uint64_t{note->n_namesz} + 3) & ~uint64_t{3};
      const uint64_t whole = sizeof(*note) + name + ((uint64_t{note->n_descsz} + 3) & ~uint64_t{3});
      const auto bytes = slice(notes, at, whole);
      if (!bytes) break;
      if (note->n_type == NT_GNU_BUILD_ID) {
        *static_cast<Digest*>(into) = sha256(*bytes);
        return 1;
      }
      at += whole;
    }
  }
  return 1;  // the first object is the program itself
}

Result<Digest> build_digest() {
  Digest digest{};
  dl_iterate_phdr(digest_build_id, &digest);
  if (digest == Digest{})
    return Error{ErrorCode::kInputOutput, std::nullopt,
                 "this sysrewrite was linked without --build-id, and cannot know its own entries"};
  return digest;
}

constexpr char kKeyName[] = "cache-key";

std::optional<Digest> read_key(const Descriptor& folder) {
  const auto bytes = read_private_file(folder, kKeyName, sizeof(Digest));
  if (!bytes || bytes->size() != sizeof(Digest)) return std::nullopt;
  Digest key;
  std::copy_n(bytes->view().begin(), key.size(), key.begin());
  return key;
}

Result<Digest> find_or_make_key() {
  const auto path = user_folder("XDG_STATE_HOME", ".local/state");
  if (!path) return path.error();
  const auto folder = open_private_folder(*path);
  if (!folder) return folder.error();
  if (const auto key = read_key(*folder)) return *key;
  Digest fresh;
  if (getrandom(fresh.data(), fresh.size(), 0) != static_cast<ssize_t>(fresh.size()))
    return system_error("cannot get", "random bytes", errno);
  // Whoever is first makes it; the others take that one.
  const int problem = write_private_file(*folder, kKeyName, fresh, Existing::kKeep);
  if (problem != 0 && problem != EEXIST)
    return system_error("cannot write", *path + "/" + kKeyName, problem);
  if (const auto key = read_key(*folder)) return *key;
  return Error{ErrorCode::kInputOutput, std::nullopt,
               fmt::format("{}/{} is no key: expected a regular file of 32 bytes; remove it", *path,
                           kKeyName)};
}

const char* name_of(CacheShelf shelf) {
  return shelf == CacheShelf::kEntries ? "entries" : "identities";
}

}  // namespace

Result<CacheStore> CacheStore::open() {
  CacheStore store;
  const auto path = user_folder("XDG_CACHE_HOME", ".cache");
  if (!path) return path.error();
  store.path_ = *path;
  const auto root = open_private_folder(*path);
  if (!root) return root.error();
  for (const CacheShelf shelf : {CacheShelf::kEntries, CacheShelf::kIdentities}) {
    const char* name = sysrewrite::name_of(shelf);
    auto folder = open_private_folder(*root, name, *path + "/" + name);
    if (!folder) return folder.error();
    (shelf == CacheShelf::kEntries ? store.entries_ : store.identities_) = std::move(*folder);
  }
  const auto key = find_or_make_key();
  if (!key) return key.error();
  const auto build = build_digest();
  if (!build) return build.error();
  store.seal_ = {*key, *build};
  return store;
}

std::string CacheStore::name_of(const Digest& digest) const {
  return hex(digest) + "." + hex(seal_.build).substr(0, 16);
}

std::string CacheStore::identity_name(const FileIdentity& identity) const {
  return name_of(sha256(as_byte_view(&identity, sizeof(identity))));
}

std::optional<PrivateBytes> CacheStore::read(CacheShelf shelf, const std::string& name) const {
  return read_private_file(folder(shelf), name,
                           shelf == CacheShelf::kEntries ? kMostEntry : kMostIdentity);
}

std::optional<Error> CacheStore::write(CacheShelf shelf, const std::string& name,
                                       ByteView bytes) const {
  int problem = write_private_file(folder(shelf), name, bytes, Existing::kReplace);
  if (problem == EISDIR || problem == ENOTEMPTY || problem == EEXIST) {
    remove({shelf, name, 0, 0, false});  // a folder was put where a file belongs
    problem = write_private_file(folder(shelf), name, bytes, Existing::kReplace);
  }
  if (problem == 0) return std::nullopt;
  return system_error("cannot write to the cache", path_, problem);
}

std::optional<StoredEntry> CacheStore::find(const Digest& content) const {
  auto bytes = read(CacheShelf::kEntries, name_of(content));
  auto view = bytes ? view_entry(bytes->view(), content, seal_) : std::nullopt;
  if (!view) return std::nullopt;
  return StoredEntry{std::move(*bytes), std::move(*view)};
}

std::optional<Digest> CacheStore::find_content(const FileIdentity& identity) const {
  const auto bytes = read(CacheShelf::kIdentities, identity_name(identity));
  return bytes ? decode_identity(bytes->view(), identity, seal_) : std::nullopt;
}

std::optional<Error> CacheStore::keep(const CacheEntry& entry) const {
  const std::vector<std::byte> bytes = encode_entry(entry, seal_);
  if (bytes.size() > kMostEntry) return std::nullopt;
  return write(CacheShelf::kEntries, name_of(entry.content), bytes);
}

std::optional<Error> CacheStore::keep_content(const FileIdentity& identity,
                                              const Digest& content) const {
  return write(CacheShelf::kIdentities, identity_name(identity),
               encode_identity(identity, content, seal_));
}

std::vector<CachedFile> CacheStore::list() const {
  std::vector<CachedFile> files;
  for (const CacheShelf shelf : {CacheShelf::kEntries, CacheShelf::kIdentities}) {
    // A descriptor of its own: reading moves a position.
    DIR* directory = fdopendir(openat(folder(shelf).get(), ".", O_RDONLY | O_CLOEXEC));
    if (directory == nullptr) continue;
    const auto first = static_cast<std::ptrdiff_t>(files.size());
    while (const dirent* item = readdir(directory)) {
      const std::string_view name = item->d_name;
      struct stat status {};
      if (name == "." || name == ".." || files.size() >= kMostFiles) continue;
      if (fstatat(folder(shelf).get(), item->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      files.push_back({shelf, std::string(name), static_cast<uint64_t>(status.st_size),
                       status.st_mtim.tv_sec, S_ISREG(status.st_mode)});
    }
    closedir(directory);
    std::sort(files.begin() + first, files.end(),
              [](const CachedFile& a, const CachedFile& b) { return a.name < b.name; });
  }
  return files;
}

std::optional<CacheEntry> CacheStore::read_entry(const CachedFile& file) const {
  const auto bytes = read(file.shelf, file.name);
  if (!bytes || bytes->size() < 40) return std::nullopt;
  Digest content;  // where the header has it; the name has to agree
  std::memcpy(content.data(), bytes->view().data() + 8, content.size());
  if (file.name != name_of(content)) return std::nullopt;
  return decode_entry(bytes->view(), content, seal_);
}

bool CacheStore::is_sound_identity(const CachedFile& file) const {
  const auto bytes = read(file.shelf, file.name);
  if (!bytes) return false;
  const auto identity = load<FileIdentity>(bytes->view(), 8);
  return identity && file.name == identity_name(*identity) &&
         decode_identity(bytes->view(), *identity, seal_);
}

bool CacheStore::remove(const CachedFile& file) const {
  const int parent = folder(file.shelf).get();
  if (unlinkat(parent, file.name.c_str(), 0) == 0) return true;
  if (errno != EISDIR && errno != EPERM) return false;
  std::error_code problem;
  std::filesystem::remove_all(fmt::format("/proc/self/fd/{}/{}", parent, file.name), problem);
  return !problem;
}

Pruned prune(const CacheStore& store, uint64_t most) {
  constexpr int64_t kAbandoned = 3600;  // seconds after which no writer is still at work
  const int64_t now = time(nullptr);
  Pruned pruned;
  std::vector<CachedFile> sound;
  uint64_t size = 0;
  const auto drop = [&](const CachedFile& file) {
    if (!store.remove(file)) return;
    ++pruned.files;
    pruned.bytes += file.size;
  };
  for (const CachedFile& file : store.list()) {
    if (file.name.starts_with("new.") && now - file.last_used_s < kAbandoned) continue;
    const bool good =
        file.is_regular && (file.shelf == CacheShelf::kEntries ? store.read_entry(file).has_value()
                                                               : store.is_sound_identity(file));
    if (!good) {
      drop(file);
      continue;
    }
    sound.push_back(file);
    size += file.size;
  }
  std::sort(sound.begin(), sound.end(), [](const CachedFile& a, const CachedFile& b) {
    return std::tie(a.last_used_s, a.shelf, a.name) < std::tie(b.last_used_s, b.shelf, b.name);
  });
  for (const CachedFile& file : sound) {
    if (size <= most) break;
    drop(file);
    size -= file.size;
  }
  pruned.left = size;
  return pruned;
}

}  // namespace sysrewrite
