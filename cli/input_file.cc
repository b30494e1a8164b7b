#include "cli/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
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

Result<InputFile> InputFile::adopt(int descriptor, const std::string& path) {
  InputFile file;
  file.descriptor_ = descriptor;
  if (fstat(file.descriptor_, &file.status_) != 0) return system_error("cannot stat", path, errno);
  if (!S_ISREG(file.status_.st_mode))
    return Error{ErrorCode::kInputOutput, std::nullopt,
                 fmt::format("{} is not a regular file", path)};
  const auto size = static_cast<size_t>(file.status_.st_size);
  if (size == 0) return file;
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor_, 0);
  if (mapping == MAP_FAILED) return system_error("cannot map", path, errno);
  file.bytes_ = as_byte_view(mapping, size);
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
      status_(other.status_) {}

InputFile::~InputFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace sysrewrite
