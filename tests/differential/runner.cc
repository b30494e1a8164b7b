#include "tests/differential/runner.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/differential/process.h"

namespace sysrewrite::differential {

namespace {

// Written by the child, read by its parent.
struct Shared {
  bool done, agree, patched;
  size_t index;
  uint64_t calls, traps, signals, excused;
  char text[16384];
};

void tell(Shared& shared, const std::string& text) {
  const size_t size = std::min(text.size(), sizeof(shared.text) - 1);
  std::memcpy(shared.text, text.data(), size);
  shared.text[size] = '\0';
}

void work(const Batch& batch, const Image& image, Shared& shared) {
  Process process(batch, image);
  if (const std::string problem = process.prepare(); !problem.empty()) return tell(shared, problem);
  std::vector<Ending> native;
  for (const bool patched : {false, true}) {
    shared.patched = patched;
    if (const std::string problem = process.place(patched); !problem.empty())
      return tell(shared, problem);
    for (size_t i = 0; i < batch.functions.size(); ++i) {
      shared.index = i;
      if (!patched) {
        native.push_back(process.run(i));
        continue;
      }
      const Ending ending = process.run(i);
      if (Process::raised_in_callback(ending)) continue;
      if (ending.fault.signal != 0) ++shared.signals;
      const std::string differences = describe_differences(native[i], ending);
      if (differences.empty()) continue;
      if (!process.place(false).empty() || !process.touches_code(i))
        return tell(shared, differences);
      ++shared.excused;
      if (const std::string problem = process.place(true); !problem.empty())
        return tell(shared, problem);
    }
  }
  shared.calls = process.calls();
  shared.traps = process.traps();
  shared.agree = true;
}

std::string describe_end(const Shared& shared, int status) {
  const std::string which = shared.patched ? "patched" : "unpatched";
  if (WIFSIGNALED(status))
    return "the process was ended by signal " + std::to_string(WTERMSIG(status)) + " in the " +
           which + " function";
  return "the process exited with status " + std::to_string(WEXITSTATUS(status)) + " in the " +
         which + " function";
}

}  // namespace

Comparison compare(const Batch& batch, const Image& image) {
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  auto& shared = *static_cast<Shared*>(memory);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    work(batch, image, shared);
    shared.done = true;
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) std::abort();
  Comparison out{shared.agree, shared.index,   shared.text,   shared.calls,
                 shared.traps, shared.signals, shared.excused};
  if (!shared.done) {
    out.agree = false;
    out.differences = describe_end(shared, status);
  }
  munmap(memory, sizeof(Shared));
  return out;
}

}  // namespace sysrewrite::differential
