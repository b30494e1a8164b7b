// Tells whether a function touches its own code, or where the trampoline is going to be: such a one
// may well end differently once it is rewritten, and no rewriter could help it. Random arithmetic
// makes such an address once in some hundred thousand cases, so functions that differ, and only
// they, are run unpatched once more, one step at a time, and each operand in memory is looked at.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_TRACER_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_TRACER_H_

#include <sys/ucontext.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace sysrewrite::differential {

struct AddressRange {
  uint64_t from = 0, to = 0;
};

class Tracer {
 public:
  // `forbidden`: first of all the code. Beside it, functions may run in `exit`.
  // `segment_base`: what fs and gs are while a function runs.
  Tracer(std::vector<AddressRange> forbidden, AddressRange exit, uint64_t segment_base);
  ~Tracer();

  // Before each instruction, from a signal handler: nothing is allocated, nothing thread-local
  // used.
  void step(const greg_t* registers);

  bool has_touched() const { return touched_; }
  bool has_begun = false;  // the first step of the function itself has been seen

 private:
  struct Impl;

  // Length of the instruction, 0 where there is none.
  uint64_t look_at(uint64_t rip, const greg_t* registers);

  std::vector<AddressRange> forbidden_;
  AddressRange exit_;
  uint64_t segment_base_;
  bool touched_ = false;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_TRACER_H_
