#include "loader/quiet_write.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include "loader/memory.h"
#include "loader/signals/signals.h"
#include "loader/state.h"
#include "loader/thread_block.h"

namespace sysrewrite {

namespace {

// Source: linux, arch/x86/include/uapi/asm/signal.h.
constexpr uint64_t kPipe = uint64_t{1} << (13 - 1), kFileSize = uint64_t{1} << (25 - 1);
constexpr uint64_t kBlock = 0;

class SignalsOfWriting {
 public:
  SignalsOfWriting() {
    const uint64_t both = kPipe | kFileSize;
    uint64_t mask = 0;
    sys::call(__NR_rt_sigprocmask, kBlock, Memory::address_of(&both).value,
              Memory::address_of(&mask).value, SYSLOAD_SIGSET_SIZE);
    blocked_ = both & ~mask;
    sys::call(__NR_rt_sigpending, Memory::address_of(&pending_before_).value, SYSLOAD_SIGSET_SIZE);
  }
  SignalsOfWriting(const SignalsOfWriting&) = delete;
  SignalsOfWriting& operator=(const SignalsOfWriting&) = delete;

  // Of one that the program ignores there is none, and the kernel says so at once.
  void take_away(int64_t error) const {
    const uint64_t brought = error == -EPIPE ? kPipe : error == -EFBIG ? kFileSize : 0;
    const uint64_t ours = brought & ~pending_before_;
    const uint64_t no_time[2] = {0, 0};
    if (ours == 0) return;
    sys::call(__NR_rt_sigtimedwait, Memory::address_of(&ours).value, 0,
              Memory::address_of(&no_time[0]).value, SYSLOAD_SIGSET_SIZE);
  }

  ~SignalsOfWriting() {
    if (blocked_ == 0) return;
    // From here on none is put off.
    uint64_t mask = 0;
    block_signals(&mask);
    // Before the first thread has its block no handler of sysload's runs. If something was put off
    // meanwhile, the mask that the program gets back was taken from here.
    ThreadBlock* const block = sysload_state.threads == 0 ? nullptr : own_block();
    if (block != nullptr && block->pending != 0) {
      block->mask &= ~blocked_;
    } else {
      mask &= ~blocked_;
    }
    set_signals(mask);
  }

 private:
  uint64_t blocked_ = 0;  // by this, and not before
  uint64_t pending_before_ = 0;
};

}  // namespace

int64_t write_quietly(sys::Fd fd, const char* text, uint64_t size) {
  const SignalsOfWriting signals;
  for (uint64_t done = 0; done < size;) {
    const int64_t answer = sys::write(fd, text + done, size - done);
    if (answer == -EINTR) continue;
    if (answer == -EAGAIN && sys::wait_until_writable(fd)) continue;
    signals.take_away(answer);
    if (answer <= 0) return answer == 0 ? -EIO : answer;
    done += static_cast<uint64_t>(answer);
  }
  return 0;
}

}  // namespace sysrewrite
