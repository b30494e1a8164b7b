#include "loader/report.h"

#include <linux/errno.h>

#include <cstring>

#include "trampoline/decimal.h"

namespace sysrewrite {

namespace {

// No pointers in tables anywhere in sysload: each would need a relocation.
struct ErrorName {
  uint8_t number;
  char name[16];
};

#define SYSLOAD_ERROR(name) \
  { name, #name }
// clang-format off
constexpr ErrorName kErrorNames[] = {
    SYSLOAD_ERROR(EPERM), SYSLOAD_ERROR(ENOENT), SYSLOAD_ERROR(ESRCH), SYSLOAD_ERROR(EINTR),
    SYSLOAD_ERROR(EIO), SYSLOAD_ERROR(ENXIO), SYSLOAD_ERROR(E2BIG), SYSLOAD_ERROR(ENOEXEC),
    SYSLOAD_ERROR(EBADF), SYSLOAD_ERROR(ECHILD), SYSLOAD_ERROR(EAGAIN), SYSLOAD_ERROR(ENOMEM),
    SYSLOAD_ERROR(EACCES), SYSLOAD_ERROR(EFAULT), SYSLOAD_ERROR(ENOTBLK), SYSLOAD_ERROR(EBUSY),
    SYSLOAD_ERROR(EEXIST), SYSLOAD_ERROR(EXDEV), SYSLOAD_ERROR(ENODEV), SYSLOAD_ERROR(ENOTDIR),
    SYSLOAD_ERROR(EISDIR), SYSLOAD_ERROR(EINVAL), SYSLOAD_ERROR(ENFILE), SYSLOAD_ERROR(EMFILE),
    SYSLOAD_ERROR(ENOTTY), SYSLOAD_ERROR(ETXTBSY), SYSLOAD_ERROR(EFBIG), SYSLOAD_ERROR(ENOSPC),
    SYSLOAD_ERROR(ESPIPE), SYSLOAD_ERROR(EROFS), SYSLOAD_ERROR(EMLINK), SYSLOAD_ERROR(EPIPE),
    SYSLOAD_ERROR(EDOM), SYSLOAD_ERROR(ERANGE), SYSLOAD_ERROR(EDEADLK),
    SYSLOAD_ERROR(ENAMETOOLONG), SYSLOAD_ERROR(ENOLCK), SYSLOAD_ERROR(ENOSYS),
    SYSLOAD_ERROR(ENOTEMPTY), SYSLOAD_ERROR(ELOOP), SYSLOAD_ERROR(ENOMSG), SYSLOAD_ERROR(EIDRM),
    SYSLOAD_ERROR(ECHRNG), SYSLOAD_ERROR(EL2NSYNC), SYSLOAD_ERROR(EL3HLT), SYSLOAD_ERROR(EL3RST),
    SYSLOAD_ERROR(ELNRNG), SYSLOAD_ERROR(EUNATCH), SYSLOAD_ERROR(ENOCSI), SYSLOAD_ERROR(EL2HLT),
    SYSLOAD_ERROR(EBADE), SYSLOAD_ERROR(EBADR), SYSLOAD_ERROR(EXFULL), SYSLOAD_ERROR(ENOANO),
    SYSLOAD_ERROR(EBADRQC), SYSLOAD_ERROR(EBADSLT), SYSLOAD_ERROR(EBFONT), SYSLOAD_ERROR(ENOSTR),
    SYSLOAD_ERROR(ENODATA), SYSLOAD_ERROR(ETIME), SYSLOAD_ERROR(ENOSR), SYSLOAD_ERROR(ENONET),
    SYSLOAD_ERROR(ENOPKG), SYSLOAD_ERROR(EREMOTE), SYSLOAD_ERROR(ENOLINK), SYSLOAD_ERROR(EADV),
    SYSLOAD_ERROR(ESRMNT), SYSLOAD_ERROR(ECOMM), SYSLOAD_ERROR(EPROTO), SYSLOAD_ERROR(EMULTIHOP),
    SYSLOAD_ERROR(EDOTDOT), SYSLOAD_ERROR(EBADMSG), SYSLOAD_ERROR(EOVERFLOW),
    SYSLOAD_ERROR(ENOTUNIQ), SYSLOAD_ERROR(EBADFD), SYSLOAD_ERROR(EREMCHG), SYSLOAD_ERROR(ELIBACC),
    SYSLOAD_ERROR(ELIBBAD), SYSLOAD_ERROR(ELIBSCN), SYSLOAD_ERROR(ELIBMAX),
    SYSLOAD_ERROR(ELIBEXEC), SYSLOAD_ERROR(EILSEQ), SYSLOAD_ERROR(ERESTART),
    SYSLOAD_ERROR(ESTRPIPE), SYSLOAD_ERROR(EUSERS), SYSLOAD_ERROR(ENOTSOCK),
    SYSLOAD_ERROR(EDESTADDRREQ), SYSLOAD_ERROR(EMSGSIZE), SYSLOAD_ERROR(EPROTOTYPE),
    SYSLOAD_ERROR(ENOPROTOOPT), SYSLOAD_ERROR(EPROTONOSUPPORT), SYSLOAD_ERROR(ESOCKTNOSUPPORT),
    SYSLOAD_ERROR(EOPNOTSUPP), SYSLOAD_ERROR(EPFNOSUPPORT), SYSLOAD_ERROR(EAFNOSUPPORT),
    SYSLOAD_ERROR(EADDRINUSE), SYSLOAD_ERROR(EADDRNOTAVAIL), SYSLOAD_ERROR(ENETDOWN),
    SYSLOAD_ERROR(ENETUNREACH), SYSLOAD_ERROR(ENETRESET), SYSLOAD_ERROR(ECONNABORTED),
    SYSLOAD_ERROR(ECONNRESET), SYSLOAD_ERROR(ENOBUFS), SYSLOAD_ERROR(EISCONN),
    SYSLOAD_ERROR(ENOTCONN), SYSLOAD_ERROR(ESHUTDOWN), SYSLOAD_ERROR(ETOOMANYREFS),
    SYSLOAD_ERROR(ETIMEDOUT), SYSLOAD_ERROR(ECONNREFUSED), SYSLOAD_ERROR(EHOSTDOWN),
    SYSLOAD_ERROR(EHOSTUNREACH), SYSLOAD_ERROR(EALREADY), SYSLOAD_ERROR(EINPROGRESS),
    SYSLOAD_ERROR(ESTALE), SYSLOAD_ERROR(EUCLEAN), SYSLOAD_ERROR(ENOTNAM), SYSLOAD_ERROR(ENAVAIL),
    SYSLOAD_ERROR(EISNAM), SYSLOAD_ERROR(EREMOTEIO), SYSLOAD_ERROR(EDQUOT),
    SYSLOAD_ERROR(ENOMEDIUM), SYSLOAD_ERROR(EMEDIUMTYPE), SYSLOAD_ERROR(ECANCELED),
    SYSLOAD_ERROR(ENOKEY), SYSLOAD_ERROR(EKEYEXPIRED), SYSLOAD_ERROR(EKEYREVOKED),
    SYSLOAD_ERROR(EKEYREJECTED), SYSLOAD_ERROR(EOWNERDEAD), SYSLOAD_ERROR(ENOTRECOVERABLE),
    SYSLOAD_ERROR(ERFKILL), SYSLOAD_ERROR(EHWPOISON),
};
// clang-format on
#undef SYSLOAD_ERROR

char hex_digit(unsigned value) {
  return static_cast<char>(value < 10 ? '0' + value : 'a' + value - 10);
}

}  // namespace

const char* error_name(int64_t error) {
  for (const ErrorName& known : kErrorNames)
    if (known.number == (error < 0 ? -error : error)) return known.name;
  return nullptr;
}

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
  const Decimal digits(value);
  for (; width > digits.size(); --width) put(' ');
  for (const char digit : digits) put(digit);
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
  if (const char* name = sysrewrite::error_name(answer)) return text(name);
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
