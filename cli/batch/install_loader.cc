#include "cli/batch/install_loader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <set>
#include <utility>

#include "cli/batch/directory_cache.h"
#include "cli/batch/interpreter_face.h"
#include "cli/batch/root_folder.h"
#include "cli/descriptor.h"
#include "cli/file_data.h"
#include "cli/metadata.h"
#include "cli/printable.h"

namespace sysrewrite {

namespace {

constexpr const char* kSuffix = ".rewritten";  // loader/tree.h
// Named by programs that may be installed later.
constexpr const char* kUsualNames[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"};

using Identity = std::pair<dev_t, ino_t>;

class Installer {
 public:
  Installer(int root, const InputFile& loader, std::vector<std::string>& installed)
      : root_(root), loader_(loader), installed_(installed) {}

  std::optional<Error> install_at(const std::string& path) {
    std::vector<Descriptor> made;
    const Descriptor folder = make_folders(path, made);
    if (!folder.valid()) return problem("cannot make the directories of", path);
    const std::string name = path.substr(path.rfind('/') + 1);
    struct stat there {};
    if (fstatat(folder.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
      if (auto error = remove_old(folder.get(), name, path)) return error;
    }
    if (!write(folder.get(), name, nullptr)) return problem("cannot write", path);
    for (size_t at = made.size(); at-- > 0;) copy_times(loader_.status(), made[at].get());
    installed_.push_back(path);
    return std::nullopt;
  }

  // Where `path` leads to one of the files, sysload takes that name.
  std::optional<Error> take_name(const std::string& path, const std::set<Identity>& files) {
    struct stat status {};
    const Descriptor target = root_.open(path, O_PATH);
    if (!target.valid() || fstat(target.get(), &status) != 0 ||
        !files.contains({status.st_dev, status.st_ino}))
      return std::nullopt;
    const size_t slash = path.rfind('/');
    const std::string name = path.substr(slash + 1);
    const Descriptor folder = root_.open(path.substr(0, slash + 1), O_RDONLY | O_DIRECTORY);
    if (!folder.valid()) return problem("cannot open the directory of", path);
    // A link is moved like a file: what it says stays true in the same directory.
    const std::string beside = name + kSuffix;
    if (renameat2(folder.get(), name.c_str(), folder.get(), beside.c_str(), RENAME_NOREPLACE) != 0)
      return problem("cannot rename to NAME.rewritten", path);
    Descriptor there = root_.open(path + kSuffix, O_RDONLY);
    if (!there.valid()) return problem("cannot read what is now NAME.rewritten of", path);
    const auto interpreter = InputFile::adopt(there.release(), path);
    if (!interpreter) return interpreter.error();
    const auto face = with_face_of(interpreter->bytes(), loader_.bytes());
    if (!write(folder.get(), name, face ? &*face : nullptr)) return problem("cannot write", path);
    installed_.push_back(path);
    return std::nullopt;
  }

 private:
  // The directory that is to hold `path`; those that were missing are added to `made`.
  Descriptor make_folders(const std::string& path, std::vector<Descriptor>& made) const {
    Descriptor at = root_.open("/", O_RDONLY | O_DIRECTORY);
    for (size_t begin = 1; at.valid();) {
      const size_t slash = path.find('/', begin);
      if (slash == std::string::npos) break;
      Descriptor next = root_.open(path.substr(0, slash), O_RDONLY | O_DIRECTORY);
      if (!next.valid() && errno == ENOENT) {
        const std::string name = path.substr(begin, slash - begin);
        if (mkdirat(at.get(), name.c_str(), 0755) != 0) return {};
        next = root_.open(path.substr(0, slash), O_RDONLY | O_DIRECTORY);
        if (next.valid() && fchmod(next.get(), 0755) == 0)
          made.emplace_back(fcntl(next.get(), F_DUPFD_CLOEXEC, 0));
      }
      at = std::move(next);
      begin = slash + 1;
    }
    return at;
  }

  // Only another sysload is replaced.
  std::optional<Error> remove_old(int folder, const std::string& name, const std::string& path) {
    const int fd = openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return problem("cannot replace", path);
    const auto old = InputFile::adopt(fd, path);
    if (!old) return old.error();
    if (!is_sysload(old->bytes()))
      return Error{ErrorCode::kInputOutput, std::nullopt,
                   fmt::format("{} of the tree is not sysload, and is not replaced; name another "
                               "place with --interp",
                               path)};
    if (unlinkat(folder, name.c_str(), 0) != 0) return problem("cannot replace", path);
    return std::nullopt;
  }

  bool write(int folder, const std::string& name, const OutputBytes* changed) const {
    const Descriptor file(
        openat(folder, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid() || !write_data(loader_, changed, file.get())) return false;
    if (geteuid() == 0 && fchown(file.get(), 0, 0) != 0) return false;
    return fchmod(file.get(), 0755) == 0 && copy_times(loader_.status(), file.get());
  }

  static Error problem(const char* what, const std::string& path) {
    return system_error(fmt::format("--install-sysload: {}", what), printable(path), errno);
  }

  const RootFolder root_;
  const InputFile& loader_;
  std::vector<std::string>& installed_;
};

// The rewritten ld.so's, as they stand in the new tree.
Result<std::set<Identity>> rewritten_interpreters(const CopyJob& job, const CopyResult& result) {
  std::set<Identity> files;
  DirectoryCache folders(job.target, job.manifest, DirectoryCache::Check::kNothing);
  for (const ElfResult& file : result.elf_files) {
    if (file.kind != ImageKind::kInterpreter || file.status != FileStatus::kRewritten) continue;
    const Entry& entry = job.manifest.entries[file.entry];
    struct stat status {};
    const int folder = folders.open(entry.parent);
    if (folder < 0 || fstatat(folder, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return system_error("cannot find the copy of", printable(job.manifest.path(file.entry)),
                          errno);
    files.insert({status.st_dev, status.st_ino});
  }
  return files;
}

}  // namespace

std::optional<Error> install_loader(const CopyJob& job, const CopyResult& result,
                                    const InputFile& loader, const std::string& interpreter,
                                    std::vector<std::string>& installed) {
  Installer installer(job.target, loader, installed);
  if (auto error = installer.install_at(interpreter)) return error;
  const auto files = rewritten_interpreters(job, result);
  if (!files) return files.error();
  std::set<std::string> names(std::begin(kUsualNames), std::end(kUsualNames));
  for (const ElfResult& file : result.elf_files)
    if (!file.interpreter.empty() && file.interpreter.front() == '/' &&
        file.interpreter.size() < PATH_MAX)
      names.insert(file.interpreter);
  names.erase(interpreter);
  for (const std::string& name : names)
    if (auto error = installer.take_name(name, *files)) return error;
  return std::nullopt;
}

}  // namespace sysrewrite
