// Errors as values. An error says what was found, where, what was expected and what to try.
#ifndef SYSREWRITE_REWRITER_RESULT_H_
#define SYSREWRITE_REWRITER_RESULT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace sysrewrite {

enum class ErrorCode {
  kNotElf,           // no ELF file at all
  kUnsupportedFile,  // an ELF file of a kind that is not rewritten
  kDamagedFile,      // headers that contradict each other or the file's size
  kDamagedTrailer,   // a trailer that does not hold
  kSelfReading,      // a payload behind the image, which the program finds from the file's end
  kUnpatchable,      // --on-unpatchable=fail
  kOptions,          // options that do not fit the file
  kInputOutput,      // the operating system refused
};

struct Error {
  ErrorCode code = ErrorCode::kDamagedFile;
  std::optional<uint64_t> where;  // file offset or address, as the message says
  std::string message;
};

// A value or an Error. Reading the value of an error aborts, in release builds too.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return *checked(); }
  const T& value() const& { return *const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(*checked()); }
  T* operator->() { return checked(); }
  const T* operator->() const { return const_cast<Result*>(this)->checked(); }
  T& operator*() & { return *checked(); }
  const T& operator*() const& { return *const_cast<Result*>(this)->checked(); }
  const Error& error() const {
    const Error* error = std::get_if<1>(&state_);
    if (error == nullptr) __builtin_trap();
    return *error;
  }

 private:
  T* checked() {
    T* value = std::get_if<0>(&state_);
    if (value == nullptr) __builtin_trap();
    return value;
  }
  std::variant<T, Error> state_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_RESULT_H_
