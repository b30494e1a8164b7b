#include "loader/program_file.h"

#include <asm/unistd.h>

#include <algorithm>
#include <cstring>

#include "loader/client.h"
#include "loader/descriptor_limit.h"
#include "loader/memory.h"
#include "loader/report.h"
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
  file->map("program");
  return true;
}

ProgramFile ProgramFile::open(const char* phase, const char* path) {
  ProgramFile file;
  file.path_ = path;
  file.fd_ = open_beyond_limit(path);
  if (sys::failed(file.fd_)) fail_errno(file.fd_, phase, "cannot open ", path);
  file.map(phase);
  return file;
}

namespace {

// What a file with a trampoline in a segment begins with; most have no more headers than this.
struct Start {
  elf::Ehdr header;
  elf::Phdr table[32];
};

// An ELF file that could hold code for this machine; objects and foreign ones are only data here.
bool begins_as_elf(const elf::Ehdr& header) {
  return memcmp(header.ident, elf::kMagic, sizeof(elf::kMagic)) == 0 &&
         header.ident[4] == elf::kClass64 && header.machine == elf::kMachineX8664 &&
         (header.type == elf::kTypeDyn || header.type == elf::kTypeExec);
}

template <size_t kSize>
bool has_magic(sys::Fd fd, uint64_t at, const char (&magic)[kSize]) {
  char found[kSize];
  const int64_t got = sys::call(__NR_pread64, static_cast<uint64_t>(fd),
                                Memory::address_of(found).value, kSize, at);
  return got == static_cast<int64_t>(kSize) && memcmp(found, magic, kSize) == 0;
}

// Whether a segment ends in a trailer (--embed=segment).
bool has_trailer_in_segment(sys::Fd fd, const Start& start, uint64_t size) {
  if (start.header.phoff != sizeof(elf::Ehdr)) return false;
  const auto known = (size - sizeof(elf::Ehdr)) / sizeof(elf::Phdr);
  for (uint64_t i = 0; i < std::min<uint64_t>(known, start.header.phnum); ++i) {
    const elf::Phdr& segment = start.table[i];
    if (!may_hold_trailer(segment)) continue;
    const auto end = checked_add(segment.offset, segment.filesz);
    if (end && has_magic(fd, *end - sizeof(Trailer), kSegmentMagic)) return true;
  }
  return false;
}

}  // namespace

namespace {

// Of a file that does not end in a trailer: it has one elsewhere, or may get a rewritten copy.
bool may_be_wanted(sys::Fd fd) {
  Start start;
  const int64_t got = sys::call(__NR_pread64, static_cast<uint64_t>(fd),
                                Memory::address_of(&start).value, sizeof(start), 0);
  if (got < static_cast<int64_t>(sizeof(elf::Ehdr)) || !begins_as_elf(start.header)) return false;
  return sysload_state.server_name[0] != 0 ||
         has_trailer_in_segment(fd, start, static_cast<uint64_t>(got));
}

}  // namespace

bool ProgramFile::look_at(sys::Fd fd, ProgramFile* file) {
  const int64_t size = sys::size_of_regular_file(fd);
  if (sys::failed(size) || size < static_cast<int64_t>(sizeof(Trailer))) return false;
  char magic[sizeof(kTrailerMagic)];
  const uint64_t at = static_cast<uint64_t>(size) - sizeof(Trailer);
  const int64_t got = sys::call(__NR_pread64, static_cast<uint64_t>(fd),
                                Memory::address_of(magic).value, sizeof(magic), at);
  if (got != sizeof(magic)) return false;
  const bool has_trailer = memcmp(magic, kTrailerMagic, sizeof(magic)) == 0 ||
                           memcmp(magic, kLiteboxMagic, sizeof(magic)) == 0;
  if (!has_trailer && !may_be_wanted(fd)) return false;
  file->path_ = "a library";
  file->fd_ = fd;
  file->map("library");
  return true;
}

ProgramFile ProgramFile::adopt(const char* phase, const char* path, sys::Fd fd) {
  ProgramFile file;
  file.path_ = path;
  file.fd_ = fd;
  file.map(phase);
  return file;
}

void ProgramFile::map(const char* phase) {
  const int64_t size = sys::size_of_regular_file(fd_);
  if (sys::failed(size)) fail_errno(size, phase, path_, " is no regular file");
  if (size == 0) fail(phase, path_, ": the file is empty");
  const int64_t view = sys::map_file(static_cast<uint64_t>(size), sys::kRead, fd_, {0});
  if (sys::failed(view)) fail_errno(view, phase, "cannot map ", path_);
  bytes_ = Memory::view({static_cast<uint64_t>(view)}, static_cast<uint64_t>(size));
}

void ProgramFile::use_copy(const char* phase) {
  if (is_rewritten_ || sysload_state.server_name[0] == 0) return;
  RewrittenCopy copy;
  const ServerAnswer answer = ask_for_copy(fd_, &copy);
  if (answer == ServerAnswer::kRefused)
    fail(phase, path_, ": cannot be rewritten, and --unpatched=fail was asked for");
  if (answer == ServerAnswer::kNoServer) report_no_server(path_);
  if (answer != ServerAnswer::kCopy) return;
  const int64_t size = sys::size_of_regular_file(copy.fd);
  if (sys::failed(size) || size == 0) fail(phase, path_, ": its rewritten copy is no file");
  const int64_t view = sys::map_file(static_cast<uint64_t>(size), sys::kRead, copy.fd, {0});
  if (sys::failed(view)) fail_errno(view, phase, "cannot map the rewritten copy of ", path_);
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
  read_trailer_of(phase, bytes_, false);
}

// A copy was made a moment ago of what the sum is over, and nobody can change it. To compute that
// again would be to fault in each of its pages.
void ProgramFile::read_trailer_of(const char* phase, ByteView whole, bool is_copy) {
  const RewrittenFile::Parsed parsed = RewrittenFile::parse(whole);
  if (parsed.status == TrailerStatus::kAbsent) return;
  if (parsed.status == TrailerStatus::kDamaged)
    fail(phase, path_, ": the trailer is damaged: ", parsed.problem);
  const MetaHeader& meta = parsed.file.meta();
  if (!is_copy && parsed.file.checksum() != meta.checksum)
    fail(phase, path_,
         ": the file was changed after it was rewritten (checksum); rewrite it again");
  if (parsed.file.is_litebox())
    fail(phase, path_, ": written with --format=litebox, for a library OS's own loader");
  if (parsed.file.has_sites() && (meta.flags & kMetaNativeTail) == 0)
    fail(phase, path_, ": written with --no-native-tail, for a library OS's own loader");
  if (parsed.file.has_sites() && (meta.flags & kMetaPlainStub) != 0)
    fail(phase, path_, ": written with --stub=plain, for a library OS's own loader");
  if (parsed.file.edit_count() > kMaxEdits)
    fail(phase, path_, ": the trailer is damaged: there are more than 256 edits");
  rewritten_ = parsed.file;
  is_rewritten_ = true;
}

bool ProgramFile::read_original(FileOffset offset, MutableByteView into) const {
  const auto now = slice(bytes_, offset.value, into.size());
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
