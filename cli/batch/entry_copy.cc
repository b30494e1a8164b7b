#include "cli/batch/entry_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "cli/batch/tree_walk.h"
#include "cli/file_data.h"
#include "cli/printable.h"

namespace sysrewrite {

namespace {

bool is_elf(int file) {
  std::byte magic[4];
  return pread(file, magic, sizeof(magic), 0) == sizeof(magic) && begins_as_elf(magic);
}

bool any(const Lost& lost) {
  return lost.owner || lost.attributes || lost.capabilities;
}

}  // namespace

EntryCopier::EntryCopier(const CopyJob& job)
    : job_(job),
      from_(job.source, job.manifest, DirectoryCache::Check::kIdentity),
      to_(job.target, job.manifest, DirectoryCache::Check::kNothing) {}

std::string EntryCopier::path(uint32_t entry) const {
  return printable(job_.source_name + "/" + job_.manifest.path(entry));
}

Error EntryCopier::problem(const char* what, uint32_t entry) const {
  if (errno == ESTALE)
    return {ErrorCode::kInputOutput, std::nullopt,
            fmt::format("{} {}: it was changed since the tree was listed; try again when nothing "
                        "writes there",
                        what, path(entry))};
  return system_error(what, path(entry), errno);
}

std::optional<Error> EntryCopier::copy(uint32_t entry, CopyResult& result) {
  const mode_t mode = at(entry).status.st_mode;
  if (S_ISREG(mode)) return copy_regular(entry, result);
  if (job_.target < 0) return std::nullopt;
  Lost lost;
  auto error = S_ISLNK(mode) ? copy_link(entry, lost) : make_special(entry, lost);
  if (any(lost)) result.lost.emplace_back(entry, lost);
  return error;
}

std::optional<Error> EntryCopier::copy_regular(uint32_t entry, CopyResult& result) {
  const int folder = from_.open(at(entry).parent);
  if (folder < 0) return problem("cannot read", entry);
  Descriptor file(open_for_reading(folder, name(entry), 0));
  if (!file.valid()) return problem("cannot open", entry);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return problem("cannot stat", entry);
  if (!same_file(status, at(entry).status)) {
    errno = ESTALE;
    return problem("cannot read", entry);
  }
  const bool elf = is_elf(file.get());
  if (!elf && job_.target < 0) return std::nullopt;
  const auto input = elf ? InputFile::adopt(file.release(), path(entry))
                         : InputFile::adopt_unmapped(file.release(), status);
  if (!input) return input.error();
  Lost lost;
  std::optional<Error> error;
  if (elf) {
    const auto fate = decide_fate(*input, job_.rules);
    if (!fate)
      return Error{fate.error().code, fate.error().where,
                   fmt::format("{}: {}", path(entry), fate.error().message)};
    result.elf_files.push_back(ElfResult::of(entry, *input, *fate));
    if (job_.target >= 0) error = write_regular(entry, *input, &*fate, lost);
  } else {
    error = write_regular(entry, *input, nullptr, lost);
  }
  if (any(lost)) result.lost.emplace_back(entry, lost);
  return error;
}

std::optional<Error> EntryCopier::write_regular(uint32_t entry, const InputFile& input,
                                                const FileFate* fate, Lost& lost) {
  const int folder = to_.open(at(entry).parent);
  if (folder < 0) return problem("cannot write the copy of", entry);
  Descriptor file(
      openat(folder, name(entry), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return problem("cannot write the copy of", entry);
  const OutputBytes* output =
      fate != nullptr && fate->rewritten ? &fate->rewritten->output : nullptr;
  const Bytes bytes = output == nullptr ? Bytes::kSame : Bytes::kChanged;
  if (!write_data(input, output, file.get())) return problem("cannot write the copy of", entry);
  if (!copy_ownership(input.descriptor(), input.status(), file.get(), bytes, lost) ||
      !copy_times(input.status(), file.get()))
    return problem("cannot set mode and times of the copy of", entry);
  // Over a network only this tells that the disk is full.
  if (close(file.release()) != 0 && errno != EINTR)
    return problem("cannot write the copy of", entry);
  return std::nullopt;
}

std::optional<Error> EntryCopier::copy_link(uint32_t entry, Lost& lost) {
  const int from = from_.open(at(entry).parent);
  if (from < 0) return problem("cannot read", entry);
  char target[PATH_MAX];
  const ssize_t size = readlinkat(from, name(entry), target, sizeof(target) - 1);
  if (size < 0) return problem("cannot read the link", entry);
  target[size] = 0;
  const int to = to_.open(at(entry).parent);
  if (to < 0 || symlinkat(target, to, name(entry)) != 0)
    return problem("cannot make the copy of", entry);
  return copy_name_metadata(entry, lost);
}

std::optional<Error> EntryCopier::make_special(uint32_t entry, Lost& lost) {
  const struct stat& status = at(entry).status;
  const int to = to_.open(at(entry).parent);
  if (to < 0 || mknodat(to, name(entry), (status.st_mode & S_IFMT) | 0600, status.st_rdev) != 0)
    return problem(S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)
                       ? "cannot make the device (which only root may)"
                       : "cannot make the copy of",
                   entry);
  return copy_name_metadata(entry, lost);
}

// Of what cannot be opened, by its name. Nobody but us can change what it names: the folders above
// are closed to others until all is done.
std::optional<Error> EntryCopier::copy_name_metadata(uint32_t entry, Lost& lost) {
  const struct stat& status = at(entry).status;
  const int from = from_.open(at(entry).parent);
  const int to = to_.open(at(entry).parent);
  if (from < 0 || to < 0) return problem("cannot read", entry);
  const int flags = AT_SYMLINK_NOFOLLOW;
  const bool owner_kept = fchownat(to, name(entry), status.st_uid, status.st_gid, flags) == 0;
  const mode_t mode = mode_for_copy(status, owner_kept, lost);
  copy_attributes_at(from, at(entry).name, to, at(entry).name, lost);
  if (!S_ISLNK(status.st_mode) && fchmodat(to, name(entry), mode, 0) != 0)
    return problem("cannot set the mode of the copy of", entry);
  const struct timespec times[] = {status.st_atim, status.st_mtim};
  if (utimensat(to, name(entry), times, flags) != 0)
    return problem("cannot set the times of the copy of", entry);
  return std::nullopt;
}

std::optional<Error> EntryCopier::make_folder(uint32_t entry) {
  const int to = to_.open(at(entry).parent);
  if (to < 0 || mkdirat(to, name(entry), 0700) != 0)
    return problem("cannot make the copy of", entry);
  return std::nullopt;
}

std::optional<Error> EntryCopier::make_link(uint32_t entry, uint32_t of) {
  const int from = to_.open(at(of).parent);
  const int to = from < 0 ? -1 : to_.open(at(entry).parent);
  if (to < 0 || linkat(from, name(of), to, name(entry), 0) != 0)
    return problem("cannot link the copy of", entry);
  return std::nullopt;
}

std::optional<Error> EntryCopier::finish_folder(uint32_t entry, CopyResult& result) {
  const int from_path = from_.open(entry);
  if (from_path < 0) return problem("cannot open", entry);
  const Descriptor from(open_for_reading(from_path, ".", O_DIRECTORY));
  const int to_path = to_.open(entry);
  const Descriptor to(
      to_path < 0 ? -1 : openat(to_path, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!from.valid() || !to.valid()) return problem("cannot open", entry);
  Lost lost;
  const struct stat& status = at(entry).status;
  if (!copy_ownership(from.get(), status, to.get(), Bytes::kSame, lost) ||
      !copy_times(status, to.get()))
    return problem("cannot set mode and times of the copy of", entry);
  if (any(lost)) result.lost.emplace_back(entry, lost);
  return std::nullopt;
}

}  // namespace sysrewrite
