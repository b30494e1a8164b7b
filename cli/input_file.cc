#include "cli/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace sysrewrite {

Error system_error(const std::string& what, const std::string& path, int error_number) {
  return {ErrorCode::kInputOutput, std::nullopt,
          fmt::format("{} {}: {}", what, path, std::strerror(error_number))};
}

Result<InputFile> InputFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return system_error("cannot open", path, errno);
  return adopt(descriptor, path);
}

Result<InputFile> InputFile::adopt_status(int descriptor, const std::string& path) {
  InputFile file;
  file.descriptor_ = descriptor;
  clock_gettime(CLOCK_REALTIME, &file.opened_at_);
  if (fstat(file.descriptor_, &file.status_) != 0) return system_error("cannot stat", path, errno);
  if (!S_ISREG(file.status_.st_mode))
    return Error{ErrorCode::kInputOutput, std::nullopt,
                 fmt::format("{} is not a regular file", path)};
  return file;
}

Result<InputFile> InputFile::adopt(int descriptor, const std::string& path) {
  auto file = adopt_status(descriptor, path);
  if (!file || file->status_.st_size == 0) return file;
  const auto size = static_cast<size_t>(file->status_.st_size);
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (mapping == MAP_FAILED) return system_error("cannot map", path, errno);
  file->bytes_ = as_byte_view(mapping, size);
  return file;
}

Result<InputFile> InputFile::adopt_read(int descriptor, const std::string& path) {
  auto file = adopt_status(descriptor, path);
  if (!file || file->status_.st_size == 0) return file;
  const auto size = static_cast<size_t>(file->status_.st_size);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return system_error("cannot get memory for", path, errno);
  file->bytes_ = as_byte_view(memory, size);
  for (size_t at = 0; at < size;) {
    const ssize_t got =
        pread(descriptor, static_cast<char*>(memory) + at, size - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot read", path, errno);
    if (got == 0)
      return Error{ErrorCode::kInputOutput, std::nullopt,
                   fmt::format("{} became shorter while it was read: {} of {} bytes were there",
                               path, at, size)};
    at += static_cast<size_t>(got);
  }
  return file;
}

Result<InputFile> InputFile::adopt_unmapped(int descriptor, const struct stat& status) {
  InputFile file;
  file.descriptor_ = descriptor;
  file.status_ = status;
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(std::exchange(other.bytes_, {})),
      status_(other.status_),
      opened_at_(other.opened_at_) {}

InputFile::~InputFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace sysrewrite
