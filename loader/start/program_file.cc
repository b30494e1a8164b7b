#include "loader/start/program_file.h"

#include <asm/unistd.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/serve/client.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// sysrewrite writes a handful; each read of an original header looks at all of them.
constexpr uint32_t kMaxEdits = 256;

sys::Fd open_beyond_limit(const char* path) {
  return beyond_limit([path] { return sys::open_for_reading(path); });
}

}  // namespace

bool ProgramFile::try_open(const char* path, ProgramFile* file, int64_t* answer) {
  *answer = open_beyond_limit(path);
  if (sys::failed(*answer)) return false;
  file->path_ = path;
  file->fd_ = *answer;
  file->look("program");
  return true;
}

ProgramFile ProgramFile::open(const char* phase, const char* path) {
  ProgramFile file;
  file.path_ = path;
  file.fd_ = open_beyond_limit(path);
  if (sys::failed(file.fd_)) fail_errno(file.fd_, phase, "cannot open ", path);
  file.look(phase);
  return file;
}

namespace {

template <size_t kSize>
bool has_magic(sys::Fd fd, uint64_t at, const char (&magic)[kSize]) {
  char found[kSize];
  const int64_t got = sys::call(__NR_pread64, static_cast<uint64_t>(fd),
                                Memory::address_of(found).value, kSize, at);
  return got == static_cast<int64_t>(kSize) && memcmp(found, magic, kSize) == 0;
}

}  // namespace

// Size and first bytes. False, with why not in `answer`, where it is no regular file.
bool ProgramFile::measure(int64_t* answer) {
  *answer = sys::size_of_regular_file(fd_);
  if (sys::failed(*answer)) return false;
  size_ = static_cast<uint64_t>(*answer);
  const int64_t got = sys::call(__NR_pread64, static_cast<uint64_t>(fd_),
                                Memory::address_of(&start_[0]).value, kStartSize, 0);
  start_size_ = sys::failed(got) ? 0 : static_cast<uint64_t>(got);
  return true;
}

// An ELF file that could hold code for this machine; objects and foreign ones are only data here.
bool ProgramFile::starts_as_elf() const {
  const auto header = load<elf::Ehdr>(start(), 0);
  return header && memcmp(header->ident, elf::kMagic, sizeof(elf::kMagic)) == 0 &&
         header->ident[4] == elf::kClass64 && header->machine == elf::kMachineX8664 &&
         (header->type == elf::kTypeDyn || header->type == elf::kTypeExec);
}

bool ProgramFile::ends_in_trailer() const {
  if (size_ < sizeof(Trailer)) return false;
  char magic[sizeof(kTrailerMagic)];
  const int64_t got =
      sys::call(__NR_pread64, static_cast<uint64_t>(fd_), Memory::address_of(magic).value,
                sizeof(magic), size_ - sizeof(Trailer));
  return got == sizeof(magic) && (memcmp(magic, kTrailerMagic, sizeof(magic)) == 0 ||
                                  memcmp(magic, kLiteboxMagic, sizeof(magic)) == 0);
}

// Whether a segment ends in a trailer (--embed=segment), of whatever number of headers there are.
bool ProgramFile::has_trailer_in_segment() const {
  const auto header = load<elf::Ehdr>(start(), 0);
  if (!header || header->phoff != sizeof(elf::Ehdr)) return false;
  for (uint64_t i = 0; i < header->phnum; ++i) {
    elf::Phdr segment{};
    const int64_t got =
        sys::call(__NR_pread64, static_cast<uint64_t>(fd_), Memory::address_of(&segment).value,
                  sizeof(segment), header->phoff + i * sizeof(segment));
    if (got != sizeof(segment)) return false;
    if (!may_hold_trailer(segment)) continue;
    const auto end = checked_add(segment.offset, segment.filesz);
    if (end && has_magic(fd_, *end - sizeof(Trailer), kSegmentMagic)) return true;
  }
  return false;
}

// Of a file that does not end in a trailer: it has none elsewhere either, and its headers stand in
// its first bytes.
bool ProgramFile::start_holds_headers() const {
  const auto header = load<elf::Ehdr>(start(), 0);
  if (!header || !starts_as_elf() || header->phentsize != sizeof(elf::Phdr)) return false;
  const uint64_t table = uint64_t{header->phnum} * sizeof(elf::Phdr);
  if (!range_fits(header->phoff, table, start_size_)) return false;
  for (uint64_t at = 0; at < table; at += sizeof(elf::Phdr))
    if (may_hold_trailer(*load<elf::Phdr>(start(), header->phoff + at))) return false;
  return true;
}

// If it names one; the headers are there.
bool ProgramFile::start_holds_interpreter() const {
  const auto header = load<elf::Ehdr>(start(), 0);
  for (uint64_t i = 0; header && i < header->phnum; ++i) {
    const auto segment = load<elf::Phdr>(start(), header->phoff + i * sizeof(elf::Phdr));
    if (segment && segment->type == elf::kPtInterp &&
        !range_fits(segment->offset, segment->filesz, start_size_))
      return false;
  }
  return true;
}

bool ProgramFile::look_at(sys::Fd fd, ProgramFile* file) {
  int64_t answer = 0;
  file->fd_ = fd;
  if (!file->measure(&answer) || file->size_ < sizeof(Trailer)) return false;
  const bool has_trailer = file->ends_in_trailer();
  const bool may_be_wanted = file->starts_as_elf() &&
                             (sysload_state.server_name[0] != 0 || file->has_trailer_in_segment());
  if ((!has_trailer && !may_be_wanted) || !sys::may_be_code(fd)) return false;
  file->path_ = "a library";
  // libc names an interpreter far behind, for whoever executes it; a library's is nobody's.
  file->is_plain_ = !has_trailer && file->start_holds_headers();
  if (!file->is_plain_) file->map("library");
  return true;
}

const char* ProgramFile::path() const {
  if (path_ != nullptr) return path_;
  char(&name)[sizeof(sysload_state.file_name)] = sysload_state.file_name;
  return sys::name_of(fd_, &name[0], sizeof(name));
}

ProgramFile ProgramFile::adopt(const char* phase, const char* path, sys::Fd fd) {
  ProgramFile file;
  file.path_ = path;
  file.fd_ = fd;
  file.look(phase);
  return file;
}

void ProgramFile::look(const char* phase) {
  int64_t answer = 0;
  if (!measure(&answer)) fail_errno(answer, phase, path(), " is no regular file");
  if (size_ == 0) fail(phase, path(), ": the file is empty");
  is_plain_ = !ends_in_trailer() && start_holds_headers() && start_holds_interpreter();
  if (!is_plain_) map(phase);
}

void ProgramFile::map(const char* phase) {
  const int64_t view = sys::map_file(size_, sys::kRead, fd_, {0});
  if (sys::failed(view)) fail_errno(view, phase, "cannot map ", path());
  bytes_ = Memory::view({static_cast<uint64_t>(view)}, size_);
}

bool ProgramFile::has_native_calls() const {
  if (!is_rewritten_) return !has_no_calls_;
  // Where no system call is certain, what may be one is a constant (OpenSSL's tables).
  if (rewritten_.has_sites() && rewritten_.meta().uncertain_count != 0) return true;
  for (uint32_t i = 0; i < rewritten_.site_count(); ++i)
    if (rewritten_.site(i).tier == Tier::kNative) return true;
  return false;
}

void ProgramFile::use_copy(const char* phase) {
  if (is_rewritten_ || sysload_state.server_name[0] == 0) return;
  RewrittenCopy copy;
  const ServerAnswer answer = ask_for_copy(fd_, &copy);
  has_no_calls_ = answer == ServerAnswer::kNothing;
  if (answer == ServerAnswer::kRefused) fail_unpatched(path(), "it cannot be rewritten");
  if (answer == ServerAnswer::kNoServer) report_no_server(path());
  if (answer != ServerAnswer::kCopy) return;
  const int64_t size = sys::size_of_regular_file(copy.fd);
  if (sys::failed(size) || size == 0) fail(phase, path(), ": its rewritten copy is no file");
  const int64_t view = sys::map_file(static_cast<uint64_t>(size), sys::kRead, copy.fd, {0});
  if (sys::failed(view)) fail_errno(view, phase, "cannot map the rewritten copy of ", path());
  copy_fd_ = copy.fd;
  piece_count_ = copy.piece_count;
  std::copy_n(&copy.pieces[0], copy.piece_count, &pieces_[0]);
  copy_ = Memory::view({static_cast<uint64_t>(view)}, static_cast<uint64_t>(size));
  read_trailer_of(phase, copy_, true);
}

int64_t ProgramFile::replace_code(RuntimeAddr address, uint64_t size, uint32_t protection,
                                  uint64_t flags, uint64_t offset) const {
  const uint64_t end = offset + align_up(size, kPageSize);
  if (piece_count_ == 1 && pieces_[0].offset <= offset &&
      end <= pieces_[0].offset + pieces_[0].size)
    return sys::replace_like(address, size, protection, flags, copy_fd_, offset);
  int64_t answer = sys::replace_like(address, size, protection, flags, fd_, offset);
  for (uint32_t i = 0; i < piece_count_ && !sys::failed(answer); ++i) {
    const uint64_t from = std::max(offset, pieces_[i].offset);
    const uint64_t to = std::min(end, pieces_[i].offset + pieces_[i].size);
    if (from >= to) continue;
    const int64_t piece =
        sys::replace_like(address + (from - offset), to - from, protection, flags, copy_fd_, from);
    if (sys::failed(piece)) answer = piece;
  }
  return answer;
}

void ProgramFile::read_trailer(const char* phase) {
  if (!is_plain_) read_trailer_of(phase, bytes_, false);
}

// A copy was made a moment ago of what the sum is over, and nobody can change it. To compute that
// again would be to fault in each of its pages.
void ProgramFile::read_trailer_of(const char* phase, ByteView whole, bool is_copy) {
  const RewrittenFile::Parsed parsed = RewrittenFile::parse(whole);
  if (parsed.status == TrailerStatus::kAbsent) return;
  if (parsed.status == TrailerStatus::kDamaged)
    fail(phase, path(), ": the trailer is damaged: ", parsed.problem);
  const MetaHeader& meta = parsed.file.meta();
  if (!is_copy && parsed.file.checksum() != meta.checksum)
    fail(phase, path(),
         ": the file was changed after it was rewritten (checksum); rewrite it again");
  if (parsed.file.is_litebox())
    fail(phase, path(), ": written with --format=litebox, for a library OS's own loader");
  if (parsed.file.has_sites() && (meta.flags & kMetaNativeTail) == 0)
    fail(phase, path(), ": written with --no-native-tail, for a library OS's own loader");
  if (parsed.file.has_sites() && (meta.flags & kMetaPlainStub) != 0)
    fail(phase, path(), ": written with --stub=plain, for a library OS's own loader");
  if (parsed.file.edit_count() > kMaxEdits)
    fail(phase, path(), ": the trailer is damaged: there are more than 256 edits");
  rewritten_ = parsed.file;
  is_rewritten_ = true;
}

bool ProgramFile::read_original(FileOffset offset, MutableByteView into) const {
  const auto now = slice(bytes(), offset.value, into.size());
  if (!now) return false;
  std::copy(now->begin(), now->end(), into.begin());
  if (!is_rewritten_) return true;
  const uint64_t end = offset.value + into.size();
  for (uint32_t i = 0; i < rewritten_.edit_count(); ++i) {
    const EditRecord edit = rewritten_.edit(i);
    const ByteView original = rewritten_.original_edit(edit);
    const uint64_t from = std::max(offset.value, edit.offset);
    const uint64_t to = std::min(end, edit.offset + edit.size);
    if (from >= to) continue;
    const auto part = slice(original, from - edit.offset, to - from);
    if (part) std::copy(part->begin(), part->end(), into.subspan(from - offset.value).begin());
  }
  return true;
}

void ProgramFile::close() {
  release();
  sys::close(fd_);
  fd_ = -1;
}

void ProgramFile::release() {
  sys::unmap(Memory::address_of(bytes_.data()), bytes_.size());
  bytes_ = {};
  if (copy_fd_ < 0) return;
  sys::unmap(Memory::address_of(copy_.data()), copy_.size());
  copy_ = {};
  sys::close(copy_fd_);
  copy_fd_ = -1;
  piece_count_ = 0;
}

}  // namespace sysrewrite
