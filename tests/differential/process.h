// The process in which the functions of a batch run: its mappings and its signal handlers.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_PROCESS_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_PROCESS_H_

#include "tests/differential/batch.h"
#include "tests/differential/ending.h"

namespace sysrewrite::differential {

// Only one at a time, since signal handlers must find it, and in a process of its own.
class Process {
 public:
  Process(const Batch& batch, const Image& image) : batch_(batch), image_(image) {}

  // Each returns what went wrong, or nothing. place() puts the code there, patched or not.
  std::string prepare();
  std::string place(bool patched);

  // Sets everything up as the function's seed says, runs it, and keeps how it ended. Addresses in
  // stubs are what they stand for in the unpatched code.
  Ending run(size_t index);

  // After place(false): whether the function touches its own code or the trampoline's place.
  bool touches_code(size_t index);

  // A call that a callback issued for the function, and that raised a signal: this callback's rip
  // shows, and only a loader that has one of its own could hide it.
  static bool raised_in_callback(const Ending& patched);

  uint64_t calls() const { return differential_calls; }
  uint64_t traps() const;

 private:
  bool map_trampoline();
  void fill(const Function& function);
  void start(size_t index);
  void show_original(Ending& ending) const;

  const Batch& batch_;
  const Image& image_;
  bool patched_ = false, has_trampoline_ = false;
};

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_PROCESS_H_
