// What sysload says: one line on standard error when it cannot go on, and the tables of hooks.
#ifndef SYSREWRITE_LOADER_REPORT_H_
#define SYSREWRITE_LOADER_REPORT_H_

#include <cstdint>

#include "loader/syscalls.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

// Collects text and writes it to a descriptor in as few system calls as its buffer allows, so that
// a line of ordinary length arrives whole.
class Writer {
 public:
  explicit Writer(sys::Fd fd) : fd_(fd) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { flush(); }

  Writer& text(const char* words);
  Writer& text(ByteView words);
  // Words that somebody else chose, as a file's name: a line's end or another control character in
  // them reads "\x0a", so that a line stays one and a terminal does nothing but show it.
  Writer& quoted(const char* words);
  Writer& number(uint64_t value, unsigned width = 0);
  Writer& hex(uint64_t value);
  Writer& error_name(int64_t answer);  // "ENOENT" for -2, "errno 4000" for what has no name
  void flush();

 private:
  void put(char c);

  sys::Fd fd_;
  uint64_t used_ = 0;
  char buffer_[1024];
};

// "ENOENT" for 2 and for -2; nullptr for what has no name.
const char* error_name(int64_t error);

struct Hex {
  uint64_t value;
};

namespace internal {
inline void append(Writer& out, const char* part) {
  out.quoted(part);
}
inline void append(Writer& out, ByteView part) {
  out.text(part);
}
inline void append(Writer& out, uint64_t part) {
  out.number(part);
}
inline void append(Writer& out, Hex part) {
  out.hex(part.value);
}
}  // namespace internal

inline constexpr sys::Fd kStandardOutput = 1, kStandardError = 2;
inline constexpr int kExitCannotStart = 127;

// "sysload: <phase>: <what>".
template <typename... Parts>
[[gnu::noinline, gnu::cold]] void note(const char* phase, Parts... what) {
  Writer out(kStandardError);
  out.text("sysload: ").text(phase).text(": ");
  (internal::append(out, what), ...);
  out.text("\n");
}

// The same, and the end of the process with status 127.
template <typename... Parts>
[[noreturn, gnu::noinline, gnu::cold]] void fail(const char* phase, Parts... what) {
  note(phase, what...);
  sys::exit_group(kExitCannotStart);
}

// "sysload: <phase>: <what>: <errno name>".
template <typename... Parts>
[[noreturn, gnu::noinline, gnu::cold]] void fail_errno(int64_t answer, const char* phase,
                                                       Parts... what) {
  {
    Writer out(kStandardError);
    out.text("sysload: ").text(phase).text(": ");
    (internal::append(out, what), ...);
    out.text(": ").error_name(answer).text("\n");
  }
  sys::exit_group(kExitCannotStart);
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_REPORT_H_
