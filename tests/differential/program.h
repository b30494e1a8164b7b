// A random function around one or more system calls, as a list of items: what the generator makes,
// the shrinker takes apart, and layout() turns into bytes at an address.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_PROGRAM_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_PROGRAM_H_

#include <cstdint>
#include <vector>

#include "tests/byte_literals.h"

namespace sysrewrite::differential {

using test::Bytes;
using test::operator+;

// What an instruction does, and what its operand in memory (if any) looks like. A run reports how
// many of each were displaced into a stub, and fails where one never was.
enum class Class : uint8_t {
  kArithmetic,
  kTest,
  kMultiply,
  kMove,
  kExtend,
  kExchange,
  kLea,
  kShift,
  kBit,
  kConditional,
  kStack,
  kFlags,
  kString,
  kVector,
  kVex,
  kEvex,
  kNop,
  kCount,
};
const char* name_of(Class kind);

enum class Operand : uint8_t {
  kNone,
  kRegister,
  kBase,
  kIndex,
  kIndexAlone,
  kAbsolute,
  kRip,
  kSegment,
  kCount,
};
const char* name_of(Operand kind);

enum class Kind : uint8_t {
  kPlain,     // `bytes`, with a hole for the distance to the data where hole != 0
  kSyscall,   // 0F 05
  kLabel,     // lea of an item's address into rcx, where no load can get at it
  kForward,   // a branch to a later item
  kComputed,  // lea of a later item's address into rcx; jmp *%rcx
  kBackward,  // decl fuel; js exit; a branch to an earlier item: so every function ends
  kFill,      // padding up to an aligned address, behind what does not fall through
  kTable,     // a jump through a word of the table that holds a later item's address
  kExit,      // jmp rel32 out of the function
  kCall,      // call of a ret out there, which comes back
};

enum class Branch : uint8_t { kJump, kCondition, kLoop, kJrcxz };

struct Item {
  Kind kind = Kind::kPlain;
  Class meaning = Class::kCount;
  Operand operand = Operand::kNone;
  Bytes bytes;        // of kPlain; of kFill: what to repeat
  uint8_t hole = 0;   // where the disp32 of a RIP-relative operand stands
  uint32_t data = 0;  // what that points at, from the start of the data; the word of kTable
  Branch branch = Branch::kJump;
  uint8_t condition = 0;
  bool near = false;    // a branch with 32 bits; those that need them get them anyway
  size_t target = 0;    // the index of the item that a branch leads to
  uint8_t skip = 0;     // prefixes of the target that it jumps over
  uint8_t ignored = 0;  // leading prefixes without which the item's bytes are an instruction, too
  uint8_t alignment = 16;
};

struct Function {
  std::vector<Item> items;
  bool symbol = true;         // has a symbol, so that its start is known
  uint64_t state_seed = 0;    // of registers, data and stack
  uint16_t pointers = 0;      // registers that begin as pointers to data
  uint16_t small = 0;         // registers that begin as small numbers
  uint16_t stack_bytes = 0;   // how far rsp is above the lowest that it may be
  uint32_t call_number = 39;  // what rax begins as, where it is a call's number
};

// Where a function's surroundings lie.
struct Surroundings {
  uint64_t data = 0;  // kDataSize bytes
  uint64_t exit = 0;  // a jump here ends the case
  uint64_t back = 0;  // a ret
};

inline constexpr uint64_t kDataSize = 4096;
// From the data's start: how many more steps back there may be. Out of the reach of random stores.
inline constexpr uint32_t kFuelOffset = 0x2345000;
inline constexpr uint32_t kFuel = 6;
// A page of addresses of code: jump tables of one entry each.
inline constexpr uint32_t kTableOffset = kFuelOffset + 4096;
inline constexpr uint32_t kTableWords = 512;

struct Laid {
  Bytes bytes;
  std::vector<uint32_t> starts;  // of each item, from the function's start
};

// The function's bytes at `address`. Pure.
Laid layout(const Function& function, uint64_t address, const Surroundings& around);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_PROGRAM_H_
