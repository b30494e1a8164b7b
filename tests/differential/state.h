// What switch.S and callbacks.S share with the machine's C++.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_STATE_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_STATE_H_

// Offsets in State.
#define DIFFERENTIAL_FLAGS 128
#define DIFFERENTIAL_MXCSR 136
#define DIFFERENTIAL_VECTORS 192
#define DIFFERENTIAL_MASKS (DIFFERENTIAL_VECTORS + 32 * 64)

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace sysrewrite::differential {

inline constexpr size_t kRcx = 1, kRsp = 4;  // in State::registers

// All that a function is given and leaves: registers in the order of their numbers.
struct alignas(64) State {
  uint64_t registers[16];
  uint64_t flags;
  uint64_t mxcsr;  // 32 bits
  uint64_t unused[6];
  uint8_t vectors[32][64];  // zmm0 to zmm31; 0 where the processor has less
  uint64_t masks[8];        // k0 to k7
};
static_assert(offsetof(State, flags) == DIFFERENTIAL_FLAGS);
static_assert(offsetof(State, mxcsr) == DIFFERENTIAL_MXCSR);
static_assert(offsetof(State, vectors) == DIFFERENTIAL_VECTORS);
static_assert(offsetof(State, masks) == DIFFERENTIAL_MASKS);

extern "C" {
// What differential_run() starts with and what it found when the function had ended.
extern State differential_in, differential_out;
extern uint64_t differential_entry;         // where it jumps to
extern uint64_t differential_segment_base;  // fs and gs of the function
extern uint8_t differential_width;          // of vectors: 0 xmm, 1 ymm, 2 zmm and masks

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
void differential_break_high_vector();
void differential_break_mask();
void differential_break_rounding();
extern uint64_t differential_calls;  // how many reached a callback
extern char differential_answer_issued, differential_answer_plain_issued;  // behind their syscalls
}

}  // namespace sysrewrite::differential

#endif  // __ASSEMBLER__
#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_STATE_H_
