// A struct sysload_api for tests of hooks that are compiled into the test: its system calls are
// real, the "program's" memory is the test's own, and what is emitted is kept.
//
// HostedHook drives a hook as sysload does: call() shows it a call, makes the call as the hook left
// it, and shows it the result.
#ifndef SYSREWRITE_TESTS_HOOKS_HOSTED_API_H_
#define SYSREWRITE_TESTS_HOOKS_HOSTED_API_H_

#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "loader/hooks/address.h"
#include "loader/include/sysload/hook.h"

namespace sysrewrite {

// What api->fail says, where sysload would end the process.
struct HookFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class HostedHook {
 public:
  using Init = int (*)(sysload_hook*);

  // One at a time: the api's functions know of no other. `shared` is that of another one, whose
  // tree this is a process of.
  HostedHook(Init init, std::string options, std::string program = "", HostedHook* tree = nullptr);
  HostedHook(const HostedHook&) = delete;
  HostedHook& operator=(const HostedHook&) = delete;
  ~HostedHook();

  // As the kernel gives it. Pointers are addresses in the test.
  template <typename... Arguments>
  int64_t call(uint64_t number, Arguments... arguments) {
    const uint64_t words[6] = {as_word(arguments)...};
    return call_with(number, words);
  }
  // The same, but the call is not made: it ends with `result`.
  template <typename... Arguments>
  int64_t pretend(int64_t result, uint64_t number, Arguments... arguments) {
    const uint64_t words[6] = {as_word(arguments)...};
    pretended_ = true;
    pretended_result_ = result;
    const int64_t ended = call_with(number, words);
    pretended_ = false;
    return ended;
  }

  // What was emitted since the last time, in lines, sorted.
  std::vector<std::string> take_lines();
  std::string take_output();
  // System calls that the hook itself made since the last time.
  uint64_t take_own_calls();

  sysload_hook& hook() { return hook_; }
  sysload_thread& thread() { return thread_; }
  void* shared_memory() { return shared_; }

 private:
  friend struct HostedApi;
  template <typename T>
  static uint64_t as_word(T value) {
    if constexpr (std::is_null_pointer_v<T>) {
      return 0;
    } else if constexpr (std::is_pointer_v<T>) {
      return word(value);
    } else {
      return static_cast<uint64_t>(value);
    }
  }
  int64_t call_with(uint64_t number, const uint64_t (&words)[6]);

  sysload_api api_{};
  sysload_hook hook_{};
  sysload_thread thread_{};
  alignas(16) char thread_memory_[SYSLOAD_THREAD_MEMORY] = {};
  std::string options_, program_, output_;
  std::vector<std::unique_ptr<char[]>> allocations_, call_memory_;
  uint64_t call_memory_left_ = 0;
  void* shared_ = nullptr;
  uint64_t shared_size_ = 0;
  bool shared_is_own_ = false;
  bool pretended_ = false;
  int64_t pretended_result_ = 0;
  uint64_t own_calls_ = 0;
  HostedHook* before_ = nullptr;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TESTS_HOOKS_HOSTED_API_H_
