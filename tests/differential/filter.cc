#include "tests/differential/filter.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <vector>

#include "tests/differential/state.h"

namespace sysrewrite::differential {

namespace {

constexpr uint32_t kLowest = 16;  // upper halves of addresses below are the functions'

// Nothing that knows a process's number: a case is to be the same in every run.
constexpr uint32_t kAllowed[] = {
    SYS_getuid,    SYS_getgid,    SYS_geteuid, SYS_getegid,     SYS_uname,           SYS_getresuid,
    SYS_getresgid, SYS_getrlimit, SYS_getcwd,  SYS_sched_yield, SYS_restart_syscall,
};

class Program {
 public:
  void add(uint32_t code, uint32_t k, uint8_t if_true = 0, uint8_t if_false = 0) {
    rows_.push_back({static_cast<uint16_t>(code), if_true, if_false, k});
  }
  void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void end(uint32_t action) { add(BPF_RET | BPF_K, action); }
  // Skips the next `count` rows where what was loaded is not, or is below, `value`.
  void unless_equal(uint32_t value, uint8_t count) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count);
  }
  void if_below(uint32_t value, uint8_t count) { add(BPF_JMP | BPF_JGE | BPF_K, value, 0, count); }

  bool install() {
    sock_fprog program{static_cast<uint16_t>(rows_.size()), rows_.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
  }

 private:
  std::vector<sock_filter> rows_;
};

uint64_t address_of(const char& label) {
  return std::bit_cast<uint64_t>(&label);
}

constexpr size_t kCaller = offsetof(seccomp_data, instruction_pointer);

// Both answering callbacks lie in the same program, so their upper halves are one.
void let_the_machine_through(Program& program) {
  const uint64_t one = address_of(differential_answer_issued);
  const uint64_t other = address_of(differential_answer_plain_issued);
  program.load(kCaller + 4);
  program.add(BPF_JMP | BPF_JGE | BPF_K, kLowest, 0, 4);  // below: judged
  program.load(kCaller);
  program.add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(one), 2, 0);
  program.add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(other), 1, 0);
  program.end(SECCOMP_RET_ALLOW);
}

}  // namespace

bool filter_calls() {
  Program program;
  let_the_machine_through(program);
  program.load(offsetof(seccomp_data, nr));
  for (const uint32_t number : kAllowed) {
    program.unless_equal(number, 1);
    program.end(SECCOMP_RET_ALLOW);
  }
  for (const uint32_t number : {uint32_t{SYS_read}, uint32_t{SYS_close}}) {
    const uint32_t lowest = number == SYS_read ? kFirstDescriptor : kFirstDescriptor + 1;
    program.unless_equal(number, 4);
    program.load(offsetof(seccomp_data, args));
    program.if_below(lowest, 1);
    program.end(SECCOMP_RET_ALLOW);
    program.end(SECCOMP_RET_ERRNO | EBADF);
  }
  program.end(SECCOMP_RET_ERRNO | ENOSYS);
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (zero < 0 || dup2(zero, kFirstDescriptor) < 0) return false;
  return program.install();
}

}  // namespace sysrewrite::differential
