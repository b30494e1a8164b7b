// A struct sysload_api for hosted tests of hooks: memory is this process's, system calls are real
// unless a test answers them itself, and what a hook says is kept.
#ifndef SYSREWRITE_TESTS_HOOKS_FAKE_API_H_
#define SYSREWRITE_TESTS_HOOKS_FAKE_API_H_

#include <deque>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "loader/include/sysload/hook.h"

namespace sysrewrite::test {

// What api->fail becomes.
struct HookFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One at a time: the functions of an api have no place for a `this`.
class FakeApi {
 public:
  FakeApi();
  ~FakeApi();
  FakeApi(const FakeApi&) = delete;
  FakeApi& operator=(const FakeApi&) = delete;

  // A hook of this api; lives as long as this does.
  sysload_hook& hook(const std::string& options);

  std::string printed;                // by emit and print
  std::vector<uint64_t> call_memory;  // sizes that were asked for
  bool can_share = true;
  // Asked before a system call is made; an answer is given instead of making it.
  std::function<std::optional<int64_t>(uint64_t number, const uint64_t (&argument)[6])> answer;
  std::vector<char> shared;  // survives hooks, as between the processes of a tree

  sysload_api api{};

 private:
  std::deque<std::string> options_;
  std::deque<sysload_hook> hooks_;
  std::deque<std::vector<char>> memory_;
  friend struct FakeCalls;
};

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_HOOKS_FAKE_API_H_
