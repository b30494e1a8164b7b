#include "loader/report.h"

#include <linux/errno.h>

#include <cstring>

namespace sysrewrite {

namespace {

// No pointers in tables anywhere in sysload: each would need a relocation.
struct ErrorName {
  uint8_t number;
  char name[15];
};

#define SYSLOAD_ERROR(name) \
  { name, #name }
constexpr ErrorName kErrorNames[] = {
    SYSLOAD_ERROR(EPERM),      SYSLOAD_ERROR(ENOENT),       SYSLOAD_ERROR(EINTR),
    SYSLOAD_ERROR(EIO),        SYSLOAD_ERROR(ENXIO),        SYSLOAD_ERROR(E2BIG),
    SYSLOAD_ERROR(ENOEXEC),    SYSLOAD_ERROR(EBADF),        SYSLOAD_ERROR(EAGAIN),
    SYSLOAD_ERROR(ENOMEM),     SYSLOAD_ERROR(EACCES),       SYSLOAD_ERROR(EFAULT),
    SYSLOAD_ERROR(EBUSY),      SYSLOAD_ERROR(EEXIST),       SYSLOAD_ERROR(ENODEV),
    SYSLOAD_ERROR(ENOTDIR),    SYSLOAD_ERROR(EISDIR),       SYSLOAD_ERROR(EINVAL),
    SYSLOAD_ERROR(ENFILE),     SYSLOAD_ERROR(EMFILE),       SYSLOAD_ERROR(ETXTBSY),
    SYSLOAD_ERROR(EFBIG),      SYSLOAD_ERROR(ENOSPC),       SYSLOAD_ERROR(ESPIPE),
    SYSLOAD_ERROR(EROFS),      SYSLOAD_ERROR(ENAMETOOLONG), SYSLOAD_ERROR(ENOSYS),
    SYSLOAD_ERROR(ELOOP),      SYSLOAD_ERROR(EOVERFLOW),    SYSLOAD_ERROR(ELIBBAD),
    SYSLOAD_ERROR(EOPNOTSUPP), SYSLOAD_ERROR(ETIMEDOUT),    SYSLOAD_ERROR(ESTALE),
};
#undef SYSLOAD_ERROR

char hex_digit(unsigned value) {
  return static_cast<char>(value < 10 ? '0' + value : 'a' + value - 10);
}

}  // namespace

void Writer::put(char c) {
  if (used_ == sizeof(buffer_)) flush();
  buffer_[used_++] = c;
}

Writer& Writer::text(const char* words) {
  for (; *words != 0; ++words) put(*words);
  return *this;
}

Writer& Writer::text(ByteView words) {
  for (const std::byte byte : words) put(static_cast<char>(byte));
  return *this;
}

Writer& Writer::quoted(const char* words) {
  for (; *words != 0; ++words) {
    const auto byte = static_cast<unsigned char>(*words);
    if (byte >= ' ' && byte != 0x7f) {
      put(*words);
    } else {
      text("\\x");
      put(static_cast<char>('0' + byte / 16));
      put(hex_digit(byte % 16));
    }
  }
  return *this;
}

Writer& Writer::number(uint64_t value, unsigned width) {
  char digits[20];
  unsigned count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  for (; width > count; --width) put(' ');
  while (count != 0) put(digits[--count]);
  return *this;
}

Writer& Writer::hex(uint64_t value) {
  text("0x");
  unsigned shift = 60;
  while (shift != 0 && (value >> shift) == 0) shift -= 4;
  for (;; shift -= 4) {
    put(hex_digit(static_cast<unsigned>(value >> shift & 15)));
    if (shift == 0) return *this;
  }
}

Writer& Writer::error_name(int64_t answer) {
  for (const ErrorName& error : kErrorNames)
    if (error.number == -answer) return text(error.name);
  return text("errno ").number(static_cast<uint64_t>(-answer));
}

void Writer::flush() {
  uint64_t written = 0;
  while (written < used_) {
    const int64_t answer = sys::write(fd_, buffer_ + written, used_ - written);
    if (answer == -EINTR) continue;
    if (answer == -EAGAIN && sys::wait_until_writable(fd_)) continue;
    if (answer <= 0) break;  // nobody to tell
    written += static_cast<uint64_t>(answer);
  }
  used_ = 0;
}

}  // namespace sysrewrite
