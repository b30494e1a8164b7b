// Tier A: the jump covers the one instruction in front of the syscall.
#include <gtest/gtest.h>

#include "tests/plans.h"

namespace sysrewrite {

namespace {

using namespace test;

constexpr char kAnyway[] =
    "the jump covers the instruction before; a branch to the syscall itself meets the trap\n";
constexpr char kBranchB[] =
    "a branch may go straight to the syscall, so nothing is displaced; springboard\n";

TEST(PlanTierA, CoversAFiveByteInstructionInFront) {
  EXPECT_EQ(plan_of(kMov + kSyscall + kRet), std::string("401005 A 401000+7: ") + kA);
}

TEST(PlanTierA, CoversAnInstructionOfAnyLengthOverFive) {
  // movabs $0x1122334455667788, %rax
  EXPECT_EQ(plan_of(hex("48 b8 88 77 66 55 44 33 22 11") + kSyscall + kRet),
            std::string("40100a A 401000+12: ") + kA);
}

TEST(PlanTierA, DoesNotCoverFourBytesAlone) {
  EXPECT_EQ(plan_of(hex("48 83 c6 08") + kSyscall + kRet),  // add $8, %rsi
            std::string("401004 C 401000+6: ") + kBefore);
}

TEST(PlanTierA, MovesARipRelativeOperand) {
  EXPECT_EQ(plan_of(hex("8b 05 00 01 00 00") + kSyscall + kRet),  // mov 0x401106(%rip), %eax
            std::string("401006 A 401000+8: ") + kA);
}

// fnstenv tells its address. flds 0x402000(%rip)
TEST(PlanTierA, DisplacesNoX87Instruction) {
  const Bytes code = hex("d9 05 fa 0f 00 00") + kSyscall + kRet;
  EXPECT_EQ(plan_of(padded(code)), std::string("401006 B 401006+2 by 401009: ") + kB);
  EXPECT_EQ(plan_of(code),
            "401006 D 401006+2: an instruction of the window cannot run elsewhere\n");
}

TEST(PlanTierA, PrefersASpringboardWhereABranchGoesToTheSyscall) {
  const Bytes code = hex("74 05") + kMov + kSyscall + kRet;  // je 401007
  EXPECT_EQ(plan_of(padded(code)), std::string("401007 B 401007+2 by 40100a: ") + kBranchB);
}

TEST(PlanTierA, CoversAllTheSameWhereABranchGoesToTheSyscallAndNothingElseFits) {
  EXPECT_EQ(plan_of(hex("74 05") + kMov + kSyscall + kRet),
            std::string("401007 A 401002+7: ") + kAnyway);
}

TEST(PlanTierA, PrefersASpringboardWhereASymbolNamesTheSyscall) {
  const auto file = padded(kMov + kSyscall + kRet).symbol("label", kCode + 5, 0, elf::kSttNotype);
  EXPECT_EQ(plan_of(file), std::string("401005 B 401005+2 by 401008: ") + kBranchB);
}

TEST(PlanTierA, IsNotWantedWhereASymbolLiesInsideTheInstruction) {
  const auto file = padded(kMov + kSyscall + kRet).symbol("label", kCode + 2, 0, elf::kSttNotype);
  EXPECT_EQ(plan_of(file), std::string("401005 B 401005+2 by 401008: ") + kB);
}

TEST(PlanTierA, DisplacesNoMoveOfTheStackPointerWhereASpringboardIsInReach) {
  const Bytes code = hex("48 81 ec 00 01 00 00") + kSyscall + kRet;  // sub $256, %rsp
  EXPECT_EQ(plan_of(padded(code)), std::string("401007 B 401007+2 by 40100a: ") + kB);
}

TEST(PlanTierA, DisplacesAMoveOfTheStackPointerRatherThanTrap) {
  const Bytes code = hex("48 81 ec 00 01 00 00") + kSyscall + kRet;
  EXPECT_EQ(plan_of(code), std::string("401007 A 401000+9: ") + kA);
}

// A branch past a lock prefix is how libc skips it on one processor.
TEST(PlanTierA, IsRefusedWhereABranchGoesBehindThePrefix) {
  // je 401003; lock cmpxchg %ecx, 4(%rdi)
  const Bytes code = hex("74 01  f0 0f b1 4f 04") + kSyscall + kRet;
  EXPECT_EQ(plan_of(padded(code)), std::string("401007 B 401007+2 by 40100a: ") + kB);
  EXPECT_EQ(plan_of(code), "401007 D 401007+2: a branch may go into the window\n");
}

TEST(PlanTierA, IsRefusedWhereAPointerGoesBehindThePrefix) {
  const Bytes code = hex("48 c7 c0 27 00 00 00") + kSyscall + kRet;  // mov $39, %rax
  const auto pointing = [&code](uint64_t target) {
    return plan_of(padded(code).data(0x403000, words({target})));
  };
  EXPECT_EQ(pointing(kCode + 1), std::string("401007 B 401007+2 by 40100a: ") + kB);
  EXPECT_EQ(pointing(kCode + 2), std::string("401007 A 401000+9: ") + kA);
}

TEST(PlanTierA, MayCoverAnInstructionWhoseImmediateABranchSeemsToEnter) {
  // mov $0x9090f974, %eax, whose constant would be a branch to 401003, the middle of the first
  // one's.
  const Bytes code = hex("b8 27 00 00 00") + kSyscall + hex("b8 74 f9 90 90") + kRet;
  EXPECT_EQ(plan_of(code), std::string("401005 A 401000+7: ") + kA);
}

// The constant of one instruction holds others, and a branch leads to them: je 401003 into `test
// $0x27b09066, %eax`, in which `xchg %ax, %ax; mov $39, %al` stand.
TEST(PlanTierA, IsRefusedWhereABranchOfTheFunctionGoesIntoTheInstruction) {
  const Bytes code = hex("74 01  a9 66 90 b0 27") + kSyscall + kRet;
  EXPECT_EQ(plan_of(code), "401007 D 401007+2: a branch may go into the window\n");
  EXPECT_EQ(plan_of(padded(code)), std::string("401007 B 401007+2 by 40100a: ") + kB);
  // The same where only a jump table leads to the branch, and where nothing names the function.
  const Bytes part = repeat(0x90, 32) + hex("48 89 f8") + code;  // mov %rdi, %rax in front
  EXPECT_EQ(plan_of(hex("ff e0") + part), "40102c D 40102c+2: a branch may go into the window\n");
  const auto nameless = ElfBuilder().code(kCode, repeat(0x50, 0x200) + part).entry(0);
  EXPECT_EQ(plan_of(nameless), "40122a D 40122a+2: a branch may go into the window\n");
}

// The same where the branch is another function's; and into the syscall, which is `add` there, so
// that no patch may stand in its place.
TEST(PlanTierA, IsRefusedWhereAnotherFunctionGoesIntoTheInstruction) {
  const auto file = [](const char* jump) {
    const Bytes code = hex("a9 66 90 b0 27") + kSyscall + kRet + repeat(0x90, 8);
    return ElfBuilder()
        .code(kCode, code + hex(jump) + hex("90 90 90"))
        .symbol("f", kCode, 8)
        .symbol("g", kCode + 16, 2);
  };
  EXPECT_EQ(plan_of(file("eb ef")), std::string("401005 B 401005+2 by 401008: ") + kB);
  EXPECT_EQ(plan_of(file("eb f4")), "401005 N 401005+0: a branch may go into the window\n");
  // To nobody's instruction, and where no branch stands but a constant.
  EXPECT_EQ(plan_of(file("b8 ef")), std::string("401005 A 401000+7: ") + kA);
}

// An instruction that starts in front of the window ends in it: je 401001 into `mov $0x5b8, %eax`,
// in which `mov $5, %eax` stands, and reads on from the window's first byte as its last.
TEST(PlanTierA, IsRefusedWhereAnOverlappingInstructionReadsOnIntoTheWindow) {
  // je 401003; mov $0x000005b8, %eax; mov $39, %eax; syscall
  const Bytes code = hex("74 01  b8 b8 05 00 00") + kMov + kSyscall + kRet;
  EXPECT_EQ(plan_of(code), "40100c D 40100c+2: a branch may go into the window\n");
}

TEST(PlanTierA, IsRefusedWhereAnInstructionReadsOrWritesTheOneInFront) {
  // mov 401006(%rip), %esi
  EXPECT_EQ(plan_of(hex("8b 35 00 00 00 00") + kMov + kSyscall + kRet),
            std::string("40100b D 40100b+2: ") + kData);
  // movl $39, 40100b(%rip)
  EXPECT_EQ(plan_of(hex("c7 05 01 00 00 00 27 00 00 00") + kMov + kSyscall + kRet),
            std::string("40100f D 40100f+2: ") + kData);
  // mov 401002(%rip), %esi: up to the mov
  EXPECT_EQ(plan_of(hex("8b 35 fc ff ff ff") + kMov + kSyscall + kRet),
            std::string("40100b A 401006+7: ") + kA);
}

// musl's utimensat.
TEST(PlanTierA, NeverCoversALongNop) {
  // je 401008; jmp 401000; nopw 0(%rax,%rax); syscall
  const Bytes code = hex("74 08  eb fc  66 0f 1f 44 00 00") + kSyscall + kRet;
  EXPECT_EQ(plan_of(code),
            "40100a D 40100a+2: no 5 bytes to displace and no dead padding within "
            "reach\n");
}

TEST(PlanTierA, NeverCoversWhatDoesNotFallThrough) {
  // je 401007; jmp 401002 (5 bytes); syscall
  EXPECT_EQ(plan_of(hex("74 05  e9 fb ff ff ff") + kSyscall + kRet).substr(0, 8), "401007 D");
}

TEST(PlanTierA, NeverCoversACallOrAConditionalBranch) {
  EXPECT_EQ(plan_of(hex("e8 fb ff ff ff") + kSyscall + kRet).substr(0, 8), "401005 D");
  EXPECT_EQ(plan_of(hex("0f 84 fa ff ff ff") + kSyscall + kRet).substr(0, 8), "401006 D");
}

TEST(PlanTierA, NeverCoversAnEndbr64) {
  EXPECT_EQ(plan_of(hex("f3 0f 1e fa") + kSyscall + kRet),
            "401004 D 401004+2: an instruction of the window cannot run elsewhere\n");
}

TEST(PlanTierA, CoversAWindowThatStraddlesAPage) {
  Bytes code = repeat(0x90, 0xffb) + kMov + kSyscall + kRet;
  EXPECT_EQ(plan_of(code), std::string("402000 A 401ffb+7: ") + kA);
  code = repeat(0x90, 0xffa) + kMov + kSyscall + kRet;  // the syscall itself straddles it
  EXPECT_EQ(plan_of(code), std::string("401fff A 401ffa+7: ") + kA);
}

}  // namespace

}  // namespace sysrewrite
