// The rules by which a site gets its tier, each on the smallest code that shows it. Whole windows,
// springboards and stubs as bytes are the golden pairs' subject (tests/golden).
//
// Each test compares "<site> <tier> <window>+<size> [by <springboard>]: <reason>", a line a site.
#ifndef SYSREWRITE_TESTS_PLANS_H_
#define SYSREWRITE_TESTS_PLANS_H_

#include <string>

#include "tests/rewrites.h"

namespace sysrewrite::test {

inline const Bytes kMov = hex("b8 27 00 00 00");  // mov $39, %eax
// push $39; pop %rax: moves the stack, displaces nowhere
inline const Bytes kShort = hex("6a 27 58");
inline const Bytes kSyscall = hex("0f 05");
inline const Bytes kRet = hex("c3");

// Reasons, named for the tiers that give them.
inline constexpr char kA[] =
    "the instruction before the syscall is 5 bytes or longer and falls through\n";
inline constexpr char kB[] = "springboard in dead padding within reach\n";
inline constexpr char kBefore[] = "instructions before the syscall, none of them entered\n";
inline constexpr char kBehind[] = "the syscall and instructions behind it, none entered\n";
// And against tiers.
inline constexpr char kData[] = "an instruction reads or writes these bytes as data\n";
inline constexpr char kComputed[] =
    "the function has an indirect jump whose targets are not known\n";

std::string plan_of(const ElfBuilder& builder, const Options& options = {});
// Of one function that is all of the code.
std::string plan_of(const Bytes& code, const Options& options = {});

// Code of one function, then `padding` up to the next multiple of 16.
ElfBuilder padded(Bytes code, uint8_t padding = 0x90);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_PLANS_H_
