// A file as bytes: mapped, so that a large input costs no private memory; or read, where somebody
// may shorten it meanwhile, and a mapping would end the process by SIGBUS.
#ifndef SYSREWRITE_CLI_INPUT_FILE_H_
#define SYSREWRITE_CLI_INPUT_FILE_H_

#include <sys/stat.h>

#include <string>

#include "rewriter/result.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

class InputFile {
 public:
  // Fails for what is not a regular file (without blocking on a FIFO) and for what cannot be read.
  static Result<InputFile> open(const std::string& path);

  // Takes over a descriptor; `path` is for messages.
  static Result<InputFile> adopt(int descriptor, const std::string& path);

  // The same, read: what it holds stays as it is now, whatever becomes of the file.
  static Result<InputFile> adopt_read(int descriptor, const std::string& path);

  // The same for a regular file of which nobody will ask for the bytes.
  static Result<InputFile> adopt_unmapped(int descriptor, const struct stat& status);

  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  InputFile(const InputFile&) = delete;
  ~InputFile();

  ByteView bytes() const { return bytes_; }
  int descriptor() const { return descriptor_; }
  const struct stat& status() const { return status_; }
  // Of the clock that files' times are taken from, before status().
  const timespec& opened_at() const { return opened_at_; }

 private:
  InputFile() = default;
  static Result<InputFile> adopt_status(int descriptor, const std::string& path);

  int descriptor_ = -1;
  ByteView bytes_;
  struct stat status_ {};
  timespec opened_at_{};
};

// An Error that carries the system's reason: "<what> <path>: <strerror>".
Error system_error(const std::string& what, const std::string& path, int error_number);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INPUT_FILE_H_
