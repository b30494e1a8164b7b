#include "loader/state.h"

namespace sysrewrite {

extern "C" {
State sysload_state{};
alignas(SYSLOAD_PAGE_SIZE) uint32_t sysload_serve_lock[SYSLOAD_PAGE_SIZE / sizeof(uint32_t)]{};
alignas(16) std::byte sysload_serve_stack[SYSLOAD_SERVE_STACK_SIZE]{};
alignas(16) std::byte sysload_follow_memory[SYSLOAD_FOLLOW_MEMORY_SIZE]{};
}

}  // namespace sysrewrite
