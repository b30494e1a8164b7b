// Many functions in one ELF image, as it is before and after it was rewritten.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_BATCH_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_BATCH_H_

#include <string>
#include <variant>

#include "rewriter/options.h"
#include "tests/differential/generator.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite::differential {

// Which of the machine's callbacks the slot is filled with (callbacks.S).
enum class Callback : uint8_t { kPass, kRestart, kRestartByRcx, kAnswer, kCount };
const char* name_of(Callback callback);

// Damage on purpose, so that a test sees the machine find it.
enum class Damage : uint8_t {
  kNone,
  kDisplacement,  // a displaced RIP-relative operand points 8 bytes too far
  kSwap,          // two displaced instructions change places
  kReturn,        // a stub jumps back to one byte behind
  kRcx,           // rcx names the wrong address after a call
  kEntry,         // a poisoned call runs the displaced instructions again
  kFlags,         // the callback changes a flag
  kRedZone,       // the callback writes below the program's stack pointer
  kVector,        // the callback changes the upper half of ymm15
  kHighVector,    // the callback changes zmm31
  kMask,          // the callback changes k5
  kRounding,      // the callback changes how mxcsr rounds
  kCount,
};
const char* name_of(Damage damage);

struct Batch {
  bool position_independent = false;
  StubKind stub = StubKind::kRedzone;
  bool native_tail = true;
  Format format = Format::kSysrewrite;
  TierSet tiers;
  Callback callback = Callback::kPass;
  Damage damage = Damage::kNone;
  uint32_t lead = 0;  // bytes in front of the first function
  // What stands between functions: padding, or (to shrink a case that needs none in reach) hlt.
  uint8_t filler = 0xcc;
  uint64_t first = 0;  // the number of its first case
  std::vector<Function> functions;
};

// The batch that holds `number`, whole: a pure function of the seed.
Batch random_batch(uint64_t seed, uint64_t number, size_t functions);

struct Placed {
  uint64_t vaddr = 0;
  Laid laid;
};

struct Image {
  Bytes input, output;
  RewrittenFile file;  // of `output`
  uint64_t bias = 0, code = 0;
  Surroundings around;  // at run time
  std::vector<Placed> functions;
  std::vector<uint64_t> table;  // addresses of the file, for kTable
  Bytes before, after;          // the code, as it is and as it was rewritten
  Bytes trampoline;             // slot included
};

// The rewrite's error, in words, where it failed or where `verify` does not accept the output.
std::variant<Image, std::string> build(const Batch& batch);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_BATCH_H_
