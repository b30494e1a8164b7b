// What others see of the process: gdb, ps and /proc read the kernel's notes, not the stack.
#ifndef SYSREWRITE_LOADER_START_PUBLISH_H_
#define SYSREWRITE_LOADER_START_PUBLISH_H_

#include "loader/start/elf_image.h"
#include "loader/start/stack_view.h"

namespace sysrewrite {

// PR_SET_NAME: the last part of the path, as execve sets it.
void publish_name(const char* path);

// Where the heap now begins: the kernel's own choice, as nobody has asked for memory yet.
uint64_t current_brk();

// Program headers as others should read them, where that is not what the program is shown.
struct PublishedHeaders {
  uint64_t address = 0;  // 0: what the program is shown
  uint64_t count = 0;
};

// Tells the kernel of the auxiliary vector, the heap's start, and where arguments, environment,
// code and data lie (PR_SET_MM_MAP). The last system call of sysload before the program starts.
void publish_memory_map(const StackView& stack, const SegmentBounds& segments, uint64_t brk,
                        const PublishedHeaders& headers);

// The signals that the program starts with blocked.
void set_signal_mask(uint64_t mask);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_PUBLISH_H_
