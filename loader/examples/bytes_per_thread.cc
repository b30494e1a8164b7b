// In C++, with data for each thread: how many bytes each thread writes.
//
//     c++ -O2 -shared -fPIC -ffreestanding -nostdlib -mgeneral-regs-only -fno-exceptions -fno-rtti
//         -I loader/include -o bytes_per_thread.so loader/examples/bytes_per_thread.cc
//
// No exceptions, no RTTI, no statics with constructors; a class with constexpr ones is fine.
#include <asm/unistd.h>
#include <sysload/hook.h>

namespace {

class Written {
 public:
  void add(int64_t answer) {
    if (answer > 0) bytes_ += static_cast<uint64_t>(answer);
  }
  unsigned long bytes() const { return bytes_; }

 private:
  uint64_t bytes_;  // a thread's memory starts as 0
};

uint64_t total;  // of all threads; constants and zeros need no constructor

Written& written(sysload_thread* thread) {
  return *static_cast<Written*>(thread->data);
}

}  // namespace

int sysload_hook_init(sysload_hook* hook) {
  hook->thread_size = sizeof(Written);
  const uint64_t numbers[] = {__NR_write, __NR_writev, __NR_pwrite64, __NR_sendto};
  for (const uint64_t number : numbers) sysload_want_exit(hook, number);
  hook->exit = [](sysload_hook*, sysload_thread* thread, sysload_call* call) {
    written(thread).add(call->result);
    if (call->result > 0)
      __atomic_fetch_add(&total, static_cast<uint64_t>(call->result), __ATOMIC_RELAXED);
  };
  hook->thread_exiting = [](sysload_hook* self, sysload_thread* thread) {
    self->api->print(self, "thread %lu wrote %lu bytes\n", static_cast<unsigned long>(thread->tid),
                     written(thread).bytes());
  };
  // The end of the process is no thread's own.
  hook->finishing = [](sysload_hook* self, int) {
    self->api->print(self, "all threads wrote %lu bytes\n", static_cast<unsigned long>(total));
  };
  return 0;
}
