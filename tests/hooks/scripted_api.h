// What sysload gives to hooks, for tests in an ordinary process: memory is the process's own, calls
// are the kernel's unless a test answers them, and what a hook writes is kept.
#ifndef TESTS_HOOKS_SCRIPTED_API_H_
#define TESTS_HOOKS_SCRIPTED_API_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "loader/include/sysload/hook.h"

// What a hook refused by api->fail.
class HookFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One at a time: the functions of the api know it by a global.
class ScriptedApi {
 public:
  ScriptedApi();
  ScriptedApi(const ScriptedApi&) = delete;
  ScriptedApi& operator=(const ScriptedApi&) = delete;
  ~ScriptedApi();

  // Initialises a hook; throws HookFailure where it refuses.
  void start(int (*init)(sysload_hook*), const std::string& options = "");
  // The thread's data begins at 0 again.
  void new_thread();

  sysload_hook hook{};
  sysload_thread thread{};
  std::string output;  // what was emitted
  bool has_call_memory = true;
  bool has_shared_memory = true;
  // Answers a call instead of the kernel: true if it did.
  std::function<bool(uint64_t number, const uint64_t* arguments, int64_t* result)> answer;

  // Through entry, where the call is of interest, and exit with `result`.
  void make_call(uint64_t number, const std::vector<uint64_t>& arguments, int64_t result,
                 const std::function<void()>& kernel = {});
  // entry alone.
  void enter(uint64_t number, const std::vector<uint64_t>& arguments, uint64_t stack_pointer = 0);

 private:
  friend struct ScriptedFunctions;

  sysload_api api_{};
  std::string options_;
  std::vector<std::unique_ptr<std::vector<uint64_t>>> memory_;
  std::vector<uint64_t> thread_data_;
  std::vector<uint64_t> shared_;
};

#endif  // TESTS_HOOKS_SCRIPTED_API_H_
