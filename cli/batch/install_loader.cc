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
#include "cli/batch/interpreter_names.h"
#include "cli/batch/root_folder.h"
#include "cli/descriptor.h"
#include "cli/file_data.h"
#include "cli/metadata.h"
#include "cli/printable.h"

namespace sysrewrite {

namespace {

constexpr const char* kSuffix = ".rewritten";  // loader/start/tree.h
// Named by programs that may be installed later.
constexpr const char* kUsualNames[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"};

Error refusal(std::string message) {
  return {ErrorCode::kInputOutput, std::nullopt, std::move(message)};
}

struct RewrittenInterpreter {
  uint32_t entry = 0;
  FileIdentity file;
  bool is_new = false;  // rewritten now, and not before
};

class Installer {
 public:
  Installer(int root, const InputFile& loader, const std::vector<RewrittenInterpreter>& files)
      : root_(root), loader_(loader) {
    for (const RewrittenInterpreter& file : files) {
      files_.insert(file.file);
      if (file.is_new) new_files_.insert(file.file);
    }
  }

  // The rewritten ld.so's of the tree.
  const std::set<FileIdentity>& files() const { return files_; }

  std::optional<Error> install_at(const std::string& path) const {
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
    return std::nullopt;
  }

  // What an earlier batch has left beside `path` and beside what it leads to, where ld.so was
  // replaced since: a package's new version comes with its own file and links.
  std::optional<Error> clear_beside(const std::string& path) {
    for (const Place& place : root_.chain(path)) {
      const Place beside = beside_of(place);
      struct stat status {};
      if (fstatat(beside.folder.get(), beside.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      const auto file = identify(root_.open(beside, O_PATH));
      const bool is_link = S_ISLNK(status.st_mode);
      if (!file || !files_.contains(*file) || (!is_link && new_files_.contains(*file)))
        return refusal(
            fmt::format("--install-sysload: {} is beside {} or what that leads to, and is no "
                        "rewritten ld.so of an earlier batch: move it away if nothing needs it",
                        printable(beside.name), printable(path)));
      if (unlinkat(beside.folder.get(), beside.name.c_str(), 0) != 0)
        return problem("cannot remove the old NAME.rewritten of", path);
      if (!is_link) files_.erase(*file);
    }
    return std::nullopt;
  }

  // Nothing stands beside it any more.
  std::optional<Error> take_name(const std::string& path) const {
    const std::vector<Place> chain = root_.chain(path);
    if (chain.empty()) return problem("cannot find", path);
    const Place& place = chain.front();
    // A link is moved like a file: what it says stays true in the same directory.
    const Place beside = beside_of(place);
    if (renameat(place.folder.get(), place.name.c_str(), place.folder.get(), beside.name.c_str()) !=
        0)
      return problem("cannot rename to NAME.rewritten", path);
    return put_beside(place, path);
  }

  // Whether an earlier batch has put sysload where `path` leads: it is replaced, too, and may have
  // been another version.
  Result<bool> renew(const std::string& path) const {
    const std::vector<Place> chain = root_.chain(path);
    if (chain.empty()) return false;
    const Place& place = chain.back();
    const auto beside = identify(root_.open(beside_of(place), O_PATH));
    if (!beside || !files_.contains(*beside)) return false;
    const auto old = InputFile::adopt(root_.open(place, O_RDONLY | O_NONBLOCK).release(), path);
    if (!old || !is_sysload(old->bytes())) return false;
    if (unlinkat(place.folder.get(), place.name.c_str(), 0) != 0)
      return problem("cannot replace", path);
    if (auto error = put_beside(place, path)) return *error;
    return true;
  }

  // The rewritten ld.so that sysload will find for a program that names `path`.
  std::optional<FileIdentity> find_beside(const std::string& path) const {
    for (const Place& place : root_.chain(path)) {
      const Descriptor there = root_.open(beside_of(place), O_PATH);
      if (!there.valid()) continue;
      const auto file = identify(there);
      return file && files_.contains(*file) ? file : std::nullopt;
    }
    return std::nullopt;
  }

  static Error nothing_beside(const std::string& path) {
    return refusal(
        fmt::format("--install-sysload: no rewritten ld.so is found beside {}, nor "
                    "beside what that leads to",
                    printable(path)));
  }

 private:
  static Place beside_of(const Place& place) {
    return {Descriptor(openat(place.folder.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC)),
            place.name + kSuffix};
  }

  // sysload where the rewritten ld.so stands at NAME.rewritten.
  std::optional<Error> put_beside(const Place& place, const std::string& path) const {
    Descriptor there = root_.open(beside_of(place), O_RDONLY);
    if (!there.valid()) return problem("cannot read what is now NAME.rewritten of", path);
    const auto interpreter = InputFile::adopt(there.release(), path);
    if (!interpreter) return interpreter.error();
    const auto face = with_face_of(interpreter->bytes(), loader_.bytes());
    if (!write(place.folder.get(), place.name, face ? &*face : nullptr))
      return problem("cannot write", path);
    return std::nullopt;
  }

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
  std::optional<Error> remove_old(int folder, const std::string& name,
                                  const std::string& path) const {
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
  std::set<FileIdentity> files_, new_files_;
};

// The rewritten ld.so's, as they stand in the new tree.
Result<std::vector<RewrittenInterpreter>> rewritten_interpreters(const CopyJob& job,
                                                                 const CopyResult& result) {
  std::vector<RewrittenInterpreter> found;
  DirectoryCache folders(job.target, job.manifest, DirectoryCache::Check::kNothing);
  for (const ElfResult& file : result.elf_files) {
    if (!file.is_rewritten_interpreter) continue;
    const Entry& entry = job.manifest.entries[file.entry];
    struct stat status {};
    const int folder = folders.open(entry.parent);
    if (folder < 0 || fstatat(folder, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return system_error("cannot find the copy of", printable(job.manifest.path(file.entry)),
                          errno);
    found.push_back(
        {file.entry, {status.st_dev, status.st_ino}, file.status == FileStatus::kRewritten});
  }
  return found;
}

std::set<std::string> names_of_interpreters(const CopyResult& result) {
  std::set<std::string> names(std::begin(kUsualNames), std::end(kUsualNames));
  for (const ElfResult& file : result.elf_files)
    if (!file.interpreter.empty() && file.interpreter.front() == '/' &&
        file.interpreter.size() < PATH_MAX)
      names.insert(file.interpreter);
  return names;
}

}  // namespace

Result<Installation> install_loader(const CopyJob& job, const CopyResult& result,
                                    const InputFile& loader, const std::string& interpreter) {
  const auto interpreters = rewritten_interpreters(job, result);
  if (!interpreters) return interpreters.error();
  Installer installer(job.target, loader, *interpreters);
  const std::set<std::string> names = names_of_interpreters(result);
  const InterpreterNames chosen = choose_names(RootFolder(job.target), names, installer.files());
  Installation installation;
  if (auto error = installer.install_at(interpreter)) return *error;
  installation.places.push_back(interpreter);
  for (const std::string& name : chosen.all)
    if (auto error = installer.clear_beside(name)) return *error;
  for (const std::string& name : chosen.taken) {
    if (auto error = installer.take_name(name)) return *error;
    installation.places.push_back(name);
  }
  for (const std::string& name : chosen.all)
    if (!installer.find_beside(name)) return Installer::nothing_beside(name);
  for (const std::string& name : names) {
    if (chosen.all.contains(name)) continue;
    const auto renewed = installer.renew(name);
    if (!renewed) return renewed.error();
    if (*renewed) installation.places.push_back(name);
  }
  std::set<FileIdentity> found;
  for (const std::string& name : names)
    if (const auto file = installer.find_beside(name)) found.insert(*file);
  for (const RewrittenInterpreter& one : *interpreters)
    if (installer.files().contains(one.file) && !found.contains(one.file))
      installation.without.push_back(one.entry);
  return installation;
}

}  // namespace sysrewrite
