// One line of a trace while it is being written.
#ifndef LOADER_HOOKS_TRACE_LINE_H_
#define LOADER_HOOKS_TRACE_LINE_H_

#include <cstddef>
#include <cstdint>

namespace sysrewrite::trace {

// Text in memory of the caller's. What does not fit is left out, and full() says so: nothing is
// ever written behind the end.
class Line {
 public:
  Line(char* memory, size_t size) : memory_(memory), size_(size) {}

  Line& chars(const char* from, size_t count);
  Line& text(const char* string);
  Line& character(char c);
  Line& decimal(int64_t value);
  Line& unsigned_decimal(uint64_t value);
  Line& padded(uint64_t value, unsigned digits);  // zeros in front
  Line& hex(uint64_t value);                      // "0x1f", and "0" for 0
  Line& octal(uint64_t value);                    // "0644", and "000" for 0
  Line& address(uint64_t value);                  // as hex(), but NULL for 0
  Line& user_id(uint32_t value);                  // of a user or group: "-1" for all ones
  // `count` bytes in C's notation: what cannot be printed is octal, as strace has it, or all of it
  // hexadecimal. The quotes are written too.
  Line& quoted(const char* bytes, size_t count, bool all_hexadecimal = false);
  // Blanks up to a column, counted from 0.
  Line& pad_to(size_t column);

  const char* data() const { return memory_; }
  // Goes on behind text that stands in the memory already.
  void skip(size_t count) { length_ = count < size_ ? count : size_; }
  size_t length() const { return length_; }
  void mark_full() { full_ = true; }
  bool full() const { return full_; }

 private:
  void escaped(unsigned char c, bool digit_follows);

  char* memory_;
  size_t size_;
  size_t length_ = 0;
  bool full_ = false;
};

}  // namespace sysrewrite::trace

#endif  // LOADER_HOOKS_TRACE_LINE_H_
