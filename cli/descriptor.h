// A file descriptor with an owner.
#ifndef SYSREWRITE_CLI_DESCRIPTOR_H_
#define SYSREWRITE_CLI_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

#include "trampoline/bytes.h"

namespace sysrewrite {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// All of the bytes, at an offset of the file; false, with errno, where the system refuses.
bool write_at(int descriptor, ByteView bytes, uint64_t offset);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_DESCRIPTOR_H_
