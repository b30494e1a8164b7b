// What switch.S and callbacks.S share with the machine's C++.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_STATE_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_STATE_H_

// Offsets in State.
#define DIFFERENTIAL_FLAGS 128
#define DIFFERENTIAL_VECTORS 160

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace sysrewrite::differential {

inline constexpr size_t kRcx = 1, kRsp = 4;  // in State::registers

// All that a function is given and leaves: registers in the order of their numbers.
struct alignas(32) State {
  uint64_t registers[16];
  uint64_t flags;
  uint64_t unused[3];
  uint8_t vectors[16][32];  // ymm0 to ymm15; the upper halves 0 where there is no AVX
};
static_assert(offsetof(State, flags) == DIFFERENTIAL_FLAGS);
static_assert(offsetof(State, vectors) == DIFFERENTIAL_VECTORS);

extern "C" {
// What differential_run() starts with and what it found when the function had ended.
extern State differential_in, differential_out;
extern uint64_t differential_entry;         // where it jumps to
extern uint64_t differential_segment_base;  // fs and gs of the function
extern uint8_t differential_has_avx;

void differential_run();
// A jump here from anywhere, with any stack pointer, ends the function.
void differential_leave();

// Callbacks, as docs/format.md has them; see callbacks.S.
void differential_pass();
void differential_restart();
void differential_restart_by_rcx();
void differential_answer();
void differential_answer_plain();
void differential_break_flags();
void differential_break_red_zone();
void differential_break_vector();
extern uint64_t differential_calls;  // how many reached a callback
extern char differential_answer_issued, differential_answer_plain_issued;  // behind their syscalls
}

}  // namespace sysrewrite::differential

#endif  // __ASSEMBLER__
#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_STATE_H_
