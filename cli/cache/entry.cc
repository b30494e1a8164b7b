#include "cli/cache/entry.h"

#include <algorithm>
#include <cstring>

#include "trampoline/elf_types.h"

namespace sysrewrite {

namespace {

constexpr char kEntryMagic[8] = {'S', 'R', 'W', 'C', 'A', 'C', 'H', '1'};
constexpr char kIdentityMagic[8] = {'S', 'R', 'W', 'F', 'I', 'L', 'E', '1'};

struct EntryHeader {
  char magic[8];
  Digest content;
  uint64_t content_size;
  uint64_t tail_offset;
  uint32_t tail_size;
  uint32_t patch_count;
  uint32_t native_count;
  uint32_t path_size;
};
static_assert(sizeof(EntryHeader) == 72);

struct PatchRecord {
  uint64_t offset;
  uint32_t size;
  uint32_t reserved;
};
static_assert(sizeof(PatchRecord) == 16);

struct NativeRecord {
  uint64_t address;
  uint32_t reason;
  uint32_t reserved;
};
static_assert(sizeof(NativeRecord) == 16);

struct IdentityRecord {
  char magic[8];
  FileIdentity identity;
  Digest content;
};
static_assert(sizeof(IdentityRecord) == 96);

void append(std::vector<std::byte>& to, ByteView bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

template <typename T>
void append_value(std::vector<std::byte>& to, const T& value) {
  append(to, as_byte_view(&value, sizeof(value)));
}

void sign(std::vector<std::byte>& bytes, const CacheSeal& seal) {
  const Digest code = keyed_digest(seal.key, {seal.build, bytes});
  append(bytes, code);
}

// What the code vouches for, or nothing.
std::optional<ByteView> signed_part(ByteView bytes, const CacheSeal& seal) {
  if (bytes.size() < sizeof(Digest)) return std::nullopt;
  const ByteView part = bytes.first(bytes.size() - sizeof(Digest));
  Digest code;
  std::memcpy(code.data(), bytes.data() + part.size(), code.size());
  if (!same_digest(code, keyed_digest(seal.key, {seal.build, part}))) return std::nullopt;
  return part;
}

// Takes pieces off the front of a buffer, and remembers that one was missing.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    T value{};
    const auto piece = slice(bytes_, at_, sizeof(T));
    if (!piece) {
      whole_ = false;
      return value;
    }
    std::memcpy(&value, piece->data(), sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  ByteView take_bytes(uint64_t size) {
    const auto piece = slice(bytes_, at_, size);
    if (!piece) {
      whole_ = false;
      return {};
    }
    at_ += size;
    return *piece;
  }

  // Room for `count` records of `size` bytes.
  bool has(uint64_t count, uint64_t size) const {
    return whole_ && count <= (bytes_.size() - at_) / size;
  }
  bool is_whole() const { return whole_; }
  bool at_end() const { return whole_ && at_ == bytes_.size(); }

 private:
  ByteView bytes_;
  uint64_t at_ = 0;
  bool whole_ = true;
};

bool take_patches(Reader& reader, uint32_t count, EntryView* entry) {
  if (!reader.has(count, sizeof(PatchRecord))) return false;
  Reader records = reader;
  reader.take_bytes(uint64_t{count} * sizeof(PatchRecord));
  entry->output.patches.reserve(count);
  uint64_t free_from = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const auto record = records.take<PatchRecord>();
    if (record.offset < free_from || !range_fits(record.offset, record.size, entry->content_size))
      return false;
    free_from = record.offset + record.size;
    const ByteView original = reader.take_bytes(record.size);
    entry->output.patches.push_back({{record.offset}, original, reader.take_bytes(record.size)});
    if (!reader.is_whole()) return false;
  }
  return true;
}

}  // namespace

FileIdentity identity_of(const struct stat& status) {
  return {status.st_dev,         status.st_ino,          static_cast<uint64_t>(status.st_size),
          status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
          status.st_ctim.tv_nsec};
}

bool has_settled(const FileIdentity& identity, const timespec& seen) {
  // Nobody but the kernel sets the time of the last change, so its fraction tells whether the file
  // system counts fractions of a second. Then a tick takes 10 ms at most, else 2 s (FAT).
  const bool is_fine = identity.changed_ns != 0;
  constexpr int64_t kFine = 50'000'000, kSecond = 1'000'000'000;  // ns
  const int64_t borrowed = is_fine && seen.tv_nsec < kFine ? 1 : 0;
  const std::pair<int64_t, int64_t> before = {
      seen.tv_sec - (is_fine ? borrowed : 3),
      seen.tv_nsec - (is_fine ? kFine : 0) + borrowed * kSecond};
  return std::pair(identity.modified_s, identity.modified_ns) < before &&
         std::pair(identity.changed_s, identity.changed_ns) < before;
}

std::vector<std::byte> encode_entry(const CacheEntry& entry, const CacheSeal& seal) {
  EntryHeader header{};
  std::copy(std::begin(kEntryMagic), std::end(kEntryMagic), header.magic);
  header.content = entry.content;
  header.content_size = entry.content_size;
  header.tail_offset = entry.output.tail_offset.value;
  header.tail_size = static_cast<uint32_t>(entry.output.tail.size());
  header.patch_count = static_cast<uint32_t>(entry.output.patches.size());
  header.native_count = static_cast<uint32_t>(entry.natives.size());
  header.path_size = static_cast<uint32_t>(entry.path.size());
  std::vector<std::byte> bytes;
  append_value(bytes, header);
  for (const BytePatch& patch : entry.output.patches)
    append_value(bytes,
                 PatchRecord{patch.offset.value, static_cast<uint32_t>(patch.bytes.size()), 0});
  for (size_t i = 0; i < entry.originals.size(); ++i) {
    append(bytes, entry.originals[i]);
    append(bytes, entry.output.patches[i].bytes);
  }
  append(bytes, entry.output.tail);
  for (const NativeSite& site : entry.natives)
    append_value(bytes, NativeRecord{site.address, site.reason, 0});
  append(bytes, as_byte_view(entry.path.data(), entry.path.size()));
  sign(bytes, seal);
  return bytes;
}

std::optional<EntryView> view_entry(ByteView bytes, const Digest& content, const CacheSeal& seal) {
  const auto part = signed_part(bytes, seal);
  if (!part) return std::nullopt;
  Reader reader(*part);
  const auto header = reader.take<EntryHeader>();
  const bool magic = std::equal(std::begin(kEntryMagic), std::end(kEntryMagic), header.magic);
  if (!reader.is_whole() || !magic || header.content != content) return std::nullopt;
  EntryView entry;
  entry.content = header.content;
  entry.content_size = header.content_size;
  if (!take_patches(reader, header.patch_count, &entry)) return std::nullopt;
  entry.output.tail_offset = {header.tail_offset};
  entry.output.tail = reader.take_bytes(header.tail_size);
  const uint64_t most = 1 << 20;  // what alignment may add between the original and its tail
  if (header.tail_size != 0 &&
      (header.tail_offset < header.content_size || header.tail_offset - header.content_size > most))
    return std::nullopt;
  if (!reader.has(header.native_count, sizeof(NativeRecord))) return std::nullopt;
  for (uint32_t i = 0; i < header.native_count; ++i) {
    const auto site = reader.take<NativeRecord>();
    entry.natives.push_back({site.address, static_cast<uint8_t>(site.reason)});
  }
  entry.path = reader.take_bytes(header.path_size);
  if (!reader.at_end()) return std::nullopt;
  return entry;
}

std::optional<CacheEntry> decode_entry(ByteView bytes, const Digest& content,
                                       const CacheSeal& seal) {
  const auto view = view_entry(bytes, content, seal);
  if (!view) return std::nullopt;
  CacheEntry entry;
  entry.content = view->content;
  entry.content_size = view->content_size;
  const auto copy = [](ByteView from) { return std::vector<std::byte>(from.begin(), from.end()); };
  for (const PatchView& patch : view->output.patches) {
    entry.originals.push_back(copy(patch.original));
    entry.output.patches.push_back({patch.offset, copy(patch.bytes)});
  }
  entry.output.tail_offset = view->output.tail_offset;
  entry.output.tail = copy(view->output.tail);
  entry.natives = view->natives;
  for (const std::byte byte : view->path) entry.path += std::to_integer<char>(byte);
  return entry;
}

std::vector<std::byte> encode_identity(const FileIdentity& identity, const Digest& content,
                                       const CacheSeal& seal) {
  IdentityRecord record{};
  std::copy(std::begin(kIdentityMagic), std::end(kIdentityMagic), record.magic);
  record.identity = identity;
  record.content = content;
  std::vector<std::byte> bytes;
  append_value(bytes, record);
  sign(bytes, seal);
  return bytes;
}

std::optional<Digest> decode_identity(ByteView bytes, const FileIdentity& identity,
                                      const CacheSeal& seal) {
  const auto part = signed_part(bytes, seal);
  if (!part || part->size() != sizeof(IdentityRecord)) return std::nullopt;
  Reader reader(*part);
  const auto record = reader.take<IdentityRecord>();
  const bool magic = std::equal(std::begin(kIdentityMagic), std::end(kIdentityMagic), record.magic);
  if (!magic || record.identity != identity) return std::nullopt;
  return record.content;
}

Options entry_options() {
  Options options;
  options.interpreter.reset();
  options.force = true;
  return options;
}

namespace {

// Where no patch is yet, a patch that changes nothing: it is compared like any other.
void expect_unchanged(std::vector<BytePatch>& patches, ByteView original, uint64_t from,
                      uint64_t to) {
  const auto add = [&](size_t before, uint64_t until) {
    if (from >= until) return;
    const auto bytes = slice(original, from, until - from);
    if (!bytes) return;
    patches.insert(patches.begin() + static_cast<std::ptrdiff_t>(before),
                   {{from}, {bytes->begin(), bytes->end()}});
  };
  for (size_t i = 0; i < patches.size() && from < to; ++i) {
    const uint64_t start = patches[i].offset.value, end = start + patches[i].bytes.size();
    if (end <= from) continue;
    const size_t count = patches.size();
    add(i, std::min(start, to));
    i += patches.size() - count;
    from = std::max(from, end);
  }
  add(patches.size(), to);
}

}  // namespace

CacheEntry make_entry(const Digest& content, ByteView original, const OutputBytes& output) {
  CacheEntry entry;
  entry.content = content;
  entry.content_size = original.size();
  entry.output = output;
  // The headers go into the copy as they are, and everybody reads it by them.
  const auto header = load<elf::Ehdr>(original, 0);
  if (header && std::equal(std::begin(elf::kMagic), std::end(elf::kMagic), header->ident) &&
      !output.tail.empty()) {
    const uint64_t table = uint64_t{header->phnum} * sizeof(elf::Phdr);
    expect_unchanged(entry.output.patches, original, 0, sizeof(elf::Ehdr));
    if (const auto end = checked_add(header->phoff, table))
      expect_unchanged(entry.output.patches, original, header->phoff, *end);
  }
  for (const BytePatch& patch : entry.output.patches) {
    const auto bytes = slice(original, patch.offset.value, patch.bytes.size());
    if (!bytes) __builtin_trap();  // patches lie inside the input
    entry.originals.emplace_back(bytes->begin(), bytes->end());
  }
  return entry;
}

OutputView view_of(const OutputBytes& output) {
  OutputView view{{}, output.tail_offset, output.tail};
  view.patches.reserve(output.patches.size());
  for (const BytePatch& patch : output.patches)
    view.patches.push_back({patch.offset, {}, patch.bytes});
  return view;
}

bool applies_to(const EntryView& entry, ByteView original) {
  if (entry.content_size != original.size()) return false;
  for (const PatchView& patch : entry.output.patches) {
    const auto found = slice(original, patch.offset.value, patch.original.size());
    if (!found || !std::equal(found->begin(), found->end(), patch.original.begin())) return false;
  }
  return true;
}

}  // namespace sysrewrite
