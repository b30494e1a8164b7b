// The rules by which a site gets its tier, each on the smallest code that shows it. Whole windows,
// springboards and stubs as bytes are the golden pairs' subject (tests/golden).
//
// Each test compares "<site> <tier> <window>+<size> [by <springboard>]: <reason>", a line a site.
#include "rewriter/plan.h"

#include <gtest/gtest.h>

#include "tests/rewrites.h"

namespace sysrewrite {

namespace {

using namespace test;

const Bytes kMov = hex("b8 27 00 00 00");  // mov $39, %eax
const Bytes kShort = hex("6a 27 58");      // push $39; pop %rax: moves the stack, displaces nowhere
const Bytes kSyscall = hex("0f 05");
const Bytes kRet = hex("c3");

constexpr char kA[] = "the instruction before the syscall is 5 bytes or longer and falls through\n";
constexpr char kAnyway[] =
    "the jump covers the instruction before; a branch to the syscall itself meets the trap\n";
constexpr char kB[] = "springboard in dead padding within reach\n";
constexpr char kBranchB[] =
    "a branch may go straight to the syscall, so nothing is displaced; springboard\n";
constexpr char kBefore[] = "instructions before the syscall, none of them entered\n";
constexpr char kAcross[] = "the syscall and instructions before it, none entered\n";
constexpr char kBehind[] = "the syscall and instructions behind it, none entered\n";

std::string plan_of(const ElfBuilder& builder, const Options& options = {}) {
  return describe(rewrite_whole(builder.build(), options).report);
}
std::string plan_of(const Bytes& code, const Options& options = {}) {
  return plan_of(code_file(code), options);
}

// Code of one function, then `padding` up to the next multiple of 16.
ElfBuilder padded(Bytes code, uint8_t padding = 0x90) {
  const uint64_t size = code.size();
  while (code.size() % 16 != 0) code.push_back(std::byte{padding});
  return ElfBuilder().code(kCode, std::move(code)).symbol("f", kCode, size);
}

Options tiers(bool a, bool b, bool c, bool d) {
  Options options;
  options.tiers = {a, b, c, d};
  return options;
}

// --- Tier A
// ----------------------------------------------------------------------------------------

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

// An instruction that starts in front of the window ends in it: je 401001 into `mov $0x5b8, %eax`,
// in which `mov $5, %eax` stands, and reads on from the window's first byte as its last.
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

TEST(PlanTierA, IsRefusedWhereAnOverlappingInstructionReadsOnIntoTheWindow) {
  // je 401003; mov $0x000005b8, %eax; mov $39, %eax; syscall
  const Bytes code = hex("74 01  b8 b8 05 00 00") + kMov + kSyscall + kRet;
  EXPECT_EQ(plan_of(code), "40100c D 40100c+2: a branch may go into the window\n");
}

// musl's utimensat.
constexpr char kData[] = "an instruction reads or writes these bytes as data\n";

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

TEST(Plan, LeavesASyscallNativeThatAnInstructionReads) {
  // movzwl 40100c(%rip), %esi
  EXPECT_EQ(plan_of(hex("0f b7 35 05 00 00 00") + kMov + kSyscall + kRet),
            std::string("40100c N 40100c+0: ") + kData);
}

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

// --- Tier B
// ----------------------------------------------------------------------------------------

TEST(PlanTierB, TakesInt3PaddingToo) {
  EXPECT_EQ(plan_of(padded(kShort + kSyscall + kRet, 0xcc)),
            std::string("401003 B 401003+2 by 401006: ") + kB);
}

TEST(PlanTierB, TakesPaddingInFrontOfTheFunction) {
  const Bytes code = kRet + repeat(0xcc, 15) + kShort + kSyscall + kRet;
  const auto file =
      ElfBuilder().code(kCode, code).symbol("before", kCode, 1).symbol("f", 0x401010, 6);
  EXPECT_EQ(plan_of(file), std::string("401013 B 401013+2 by 401001: ") + kB);
}

TEST(PlanTierB, TakesPaddingInsideTheFunctionBehindAJump) {
  // push; pop; syscall; jmp 401010; (nops to 401010); ret
  const Bytes code = kShort + kSyscall + hex("eb 09") + repeat(0x90, 9) + kRet;
  EXPECT_EQ(plan_of(code), std::string("401003 B 401003+2 by 401007: ") + kB);
}

TEST(PlanTierB, WantsFiveBytes) {
  // The function ends at ...b: five bytes of padding; one later: four.
  EXPECT_EQ(plan_of(padded(hex("90 90 90 90 90") + kShort + kSyscall + kRet)).substr(0, 8),
            "401008 B");
  EXPECT_EQ(plan_of(padded(hex("90 90 90 90 90 90") + kShort + kSyscall + kRet)).substr(0, 8),
            "401009 D");
}

TEST(PlanTierB, LeavesNopsAloneThatAreFallenInto) {
  // behind a call, which may return
  EXPECT_EQ(plan_of(padded(kShort + kSyscall + hex("e8 f6 ff ff ff"))).substr(0, 8), "401003 D");
  // behind a plain instruction
  EXPECT_EQ(plan_of(padded(kShort + kSyscall + hex("50"))).substr(0, 8), "401003 D");
}

TEST(PlanTierB, LeavesNopsAloneBehindAnInt3ThatAHandlerReturnsTo) {
  EXPECT_EQ(plan_of(padded(kShort + kSyscall + hex("cc"))).substr(0, 8), "401003 D");
  // Behind ud2, which would only raise its signal again, nothing runs on.
  EXPECT_EQ(plan_of(padded(kShort + kSyscall + hex("0f 0b"))),
            std::string("401003 B 401003+2 by 401007: ") + kB);
}

TEST(PlanTierB, LeavesNopsAloneThatABranchGoesInto) {
  // push; pop; syscall; jmp 401010; ...; 401010: jmp 40100b
  const Bytes code = kShort + kSyscall + hex("eb 09") + repeat(0x90, 9) + hex("eb f9");
  EXPECT_EQ(plan_of(code).substr(0, 8), "401003 D");
}

TEST(PlanTierB, TakesTheAlignedPartOfARunThatNoBranchEnters) {
  // push; pop; syscall; jmp 401018; nops from 401007 on; 401018: je 401010
  const Bytes code = kShort + kSyscall + hex("eb 11") + repeat(0x90, 17) + hex("74 f6 c3");
  EXPECT_EQ(plan_of(code), std::string("401003 B 401003+2 by 401007: ") + kB);
  // 401018: je 40100f: what is left in front ends at no aligned address, so it may be anything.
  const Bytes odd = kShort + kSyscall + hex("eb 11") + repeat(0x90, 17) + hex("74 f5 c3");
  EXPECT_EQ(plan_of(odd).substr(0, 8), "401003 D");
}

TEST(PlanTierB, LeavesNopsAloneThatASymbolNames) {
  const auto file = padded(kShort + kSyscall + kRet).symbol("entry", kCode + 6, 0, elf::kSttNotype);
  EXPECT_EQ(plan_of(file).substr(0, 8), "401003 D");
}

TEST(PlanTierB, LeavesNopsAloneThatDataPointsAt) {
  const auto pointed_at = [](std::initializer_list<uint64_t> places) {
    return plan_of(padded(kShort + kSyscall + kRet).data(0x403000, words(places)));
  };
  EXPECT_EQ(pointed_at({kCode + 16}), std::string("401003 B 401003+2 by 401006: ") + kB);
  // Whoever goes there runs on to the end, so only what stands in front is dead.
  EXPECT_EQ(pointed_at({kCode + 11}), std::string("401003 B 401003+2 by 401006: ") + kB);
  EXPECT_EQ(pointed_at({kCode + 10}).substr(0, 8), "401003 D");
  EXPECT_EQ(pointed_at({kCode + 6}).substr(0, 8), "401003 D");
}

TEST(PlanTierB, ReachesPaddingUpTo127BytesAhead) {
  const auto at_distance = [](size_t distance) {
    return plan_of(padded(kShort + kSyscall + repeat(0x50, distance - 1) + kRet)).substr(0, 8);
  };
  EXPECT_EQ(at_distance(127), "401003 B");
  EXPECT_EQ(at_distance(128), "401003 D");
}

TEST(PlanTierB, ReachesPaddingUpTo128BytesBack) {
  // ret; 7 bytes of padding from 401001 on; f, whose syscall ends `distance` behind 401001
  const auto at_distance = [](size_t distance) {
    const Bytes code = kRet + repeat(0xcc, 7) + repeat(0x50, distance - 9) + kSyscall + kRet;
    return plan_of(ElfBuilder()
                       .code(kCode, code)
                       .symbol("before", kCode, 1)
                       .symbol("f", kCode + 8, code.size() - 8));
  };
  EXPECT_EQ(at_distance(128), std::string("40107f B 40107f+2 by 401001: ") + kB);
  EXPECT_EQ(at_distance(129), std::string("401080 B 401080+2 by 401002: ") + kB);
  EXPECT_EQ(at_distance(130), std::string("401081 B 401081+2 by 401003: ") + kB);
  EXPECT_EQ(at_distance(131).substr(0, 8), "401082 D");
}

TEST(PlanTierB, GivesEachSiteASpringboardOfItsOwn) {
  const Bytes code = kShort + kSyscall + kShort + kSyscall + kRet;  // 11 bytes, 5 of padding
  EXPECT_EQ(plan_of(padded(code)),
            std::string("401003 B 401003+2 by 40100b: ") + kB +
                "401008 D 401008+2: an instruction of the window cannot run elsewhere\n");
  Bytes room = code;
  room.resize(32, std::byte{0x90});
  EXPECT_EQ(
      plan_of(ElfBuilder().code(kCode, room).symbol("f", kCode, code.size())),
      std::string("401003 B 401003+2 by 40100b: ") + kB + "401008 B 401008+2 by 401010: " + kB);
}

constexpr char kComputed[] = "the function has an indirect jump whose targets are not known\n";

// f: lea `label`(%rip), %rcx; eight pushes; the call; ret; 11 nops to 401020; ret
std::string plan_of_labelled(uint32_t distance, uint64_t size) {
  const Bytes code = hex("48 8d 0d") + bytes_of(distance) + repeat(0x50, 8) + kShort + kSyscall +
                     kRet + repeat(0x90, 11) + kRet;
  return plan_of(ElfBuilder(elf::kTypeDyn).code(kCode, code).symbol("f", kCode, size).entry(kCode));
}

TEST(PlanTierB, LeavesNopsAloneInAFunctionThatTakesALabelOfItsOwn) {
  const std::string taken = std::string("401012 B 401012+2 by 401015: ") + kB;
  EXPECT_EQ(plan_of_labelled(0x18, 0x21), std::string("401012 D 401012+2: ") + kComputed);
  // A label behind the end is another function's.
  EXPECT_EQ(plan_of_labelled(0x1a, 0x21), taken);
  // Padding behind the end is nobody's.
  EXPECT_EQ(plan_of_labelled(0x08, 0x15), taken);
}

// A function inside another is part of both.
TEST(PlanTierB, LeavesNopsAloneWhereAnOuterFunctionTakesALabelOfItsOwn) {
  const auto file = [](uint32_t distance) {
    const Bytes code = hex("48 8d 0d") + bytes_of(distance) + kRet + repeat(0x50, 7) + kShort +
                       kSyscall + kRet + repeat(0x90, 11) + kRet;
    return plan_of(ElfBuilder(elf::kTypeDyn)
                       .code(kCode, code)
                       .symbol("outer", kCode, code.size())
                       .symbol("inner", kCode + 8, code.size() - 8)
                       .entry(kCode))
        .substr(0, 8);
  };
  EXPECT_EQ(file(0x1a), "401012 B");
  EXPECT_EQ(file(0x18), "401012 D");
}

// Code that nothing names: a lea, an indirect jump some way behind it, and the site near the label.
TEST(PlanTierB, LeavesNopsAloneNearALabelThatNamelessCodeGoesOnFrom) {
  // The label is 4012ff. `start`: of a function, if not 0.
  const auto has_springboard = [](const Bytes& end, uint64_t start) {
    Bytes code = repeat(0x50, 0x200) + hex("48 8d 15 f8 00 00 00") + repeat(0x50, 200) + end +
                 repeat(0x50, 198) + kMov + repeat(0x50, 1) + kSyscall + kRet;
    const size_t size = code.size();
    while (code.size() % 16 != 0 || code.size() < size + kSpringboardSize)
      code.push_back(std::byte{0x90});
    ElfBuilder file(elf::kTypeDyn);
    file.code(kCode, code + repeat(0x50, 0x200) + kRet).entry(0);
    if (start != 0) file.symbol("g", start, 0);
    return plan_of(file).find(kB) != std::string::npos;
  };
  EXPECT_TRUE(has_springboard(hex("c3 c3"), 0));
  EXPECT_FALSE(has_springboard(hex("ff e2"), 0));
  // Another function starts between label and padding.
  EXPECT_TRUE(has_springboard(hex("ff e2"), kCode + 0x340));
  EXPECT_FALSE(has_springboard(hex("ff e2"), kCode + 0x2f0));
  // Another function starts behind a call that does not return, and jumps.
  const Bytes call = hex("e8 00 10 00 00 66 90");
  EXPECT_TRUE(has_springboard(call + hex("ff e2"), kCode + 0x2cf + call.size()));
  EXPECT_FALSE(has_springboard(call + hex("ff e2"), 0));
}

// Unwinders look a signal frame up one byte before its start, so that byte stays what it is. libcs
// write the FDE with that byte or without it.
// Table of nops behind a return: what an instruction reads there is no padding.
TEST(PlanTierB, LeavesNopsAloneThatAnInstructionReads) {
  // mov DISTANCE + 40100c(%rip), %rax; add %rcx, %rax; xor %ecx, %ecx; ret; 14 nops
  const auto reading = [](const std::string& distance) {
    return plan_of(padded(kShort + kSyscall + hex("48 8b 05" + distance + "48 01 c8 31 c9 c3")));
  };
  EXPECT_EQ(reading("0c 00 00 00"), std::string("401003 B 401003+2 by 401012: ") + kB);
  EXPECT_EQ(reading("0a 00 00 00"), std::string("401003 C 401003+9: ") + kBehind);
  // What stands behind a table may be a part of it.
  EXPECT_EQ(reading("06 00 00 00"), std::string("401003 C 401003+9: ") + kBehind);
}

// Pushes, and the code up to 40101a, where six bytes of padding begin.
std::string before_padding(const Bytes& code) {
  const Bytes front = kShort + kSyscall;
  return plan_of(padded(front + repeat(0x53, 26 - front.size() - code.size()) + code)).substr(0, 8);
}

TEST(PlanTierB, LeavesNopsAloneThatAnInstructionWritesOrJumpsThrough) {
  EXPECT_EQ(before_padding(hex("c3")), "401003 B");
  EXPECT_EQ(before_padding(hex("c7 05 03 00 00 00 00 00 00 00 c3")),
            "401003 D");                                                     // movl $0, MEMORY
  EXPECT_EQ(before_padding(hex("80 3d 03 00 00 00 00 c3")), "401003 D");     // cmpb $0, MEMORY
  EXPECT_EQ(before_padding(hex("c5 f9 6f 05 03 00 00 00 c3")), "401003 D");  // vmovdqa
  EXPECT_EQ(before_padding(hex("ff 25 02 00 00 00")), "401003 D");           // jmp *MEMORY
  EXPECT_EQ(before_padding(hex("0f 1f 05 03 00 00 00 c3")), "401003 B");     // nopl MEMORY
}

// mov $0x8b, %al; add $3, %eax: 8b 05 03 00 00 00 would read the padding.
TEST(PlanTierB, TakesNopsThatOnlyBytesOfOtherInstructionsSeemToRead) {
  EXPECT_EQ(before_padding(hex("b0 8b 05 03 00 00 00 c3")), "401003 B");
}

TEST(PlanTierB, LeavesTheByteBeforeASignalFrame) {
  const auto restorer_behind = [](size_t padding, uint64_t early) {
    const Bytes code = kShort + kSyscall + kRet + repeat(0x90, padding);
    const uint64_t restorer = kCode + code.size();
    const Bytes frames = eh_frame(0x403000, {{kCode, 6}, {restorer - early, 9 + early, 0, true}});
    return plan_of(ElfBuilder()
                       .code(kCode, code + hex("48 c7 c0 0f 00 00 00 0f 05"))
                       .segment(0x403000, frames, elf::kFlagRead)
                       .section(".eh_frame", 1, 2, 0x403000, frames.size()));
  };
  for (const uint64_t early : {uint64_t{0}, uint64_t{1}}) {
    EXPECT_EQ(restorer_behind(10, early).substr(0, 29), "401003 B 401003+2 by 401006: ") << early;
    EXPECT_EQ(restorer_behind(2, early).substr(0, 8), "401003 D") << early;
  }
}

// Where a branch leads behind a prefix of the syscall, no patch serves both ways, nor does a trap.
TEST(Plan, LeavesASyscallNativeThatABranchEntersBehindItsPrefix) {
  for (const char* prefix : {"66", "48", "f3"}) {
    const Bytes call = hex(prefix) + kSyscall;
    const auto code = [&](const char* branch) { return hex(branch) + kMov + call + kRet; };
    EXPECT_EQ(plan_of(padded(code("74 06"))),
              "401007 N 401007+0: a branch may go into the window\n");
    EXPECT_EQ(plan_of(code("74 06")), "401007 N 401007+0: a branch may go into the window\n");
    EXPECT_EQ(plan_of(padded(code("74 05"))).substr(0, 24), "401007 B 401007+3 by 401");
    EXPECT_EQ(plan_of(code("74 00")), std::string("401007 A 401002+8: ") + kA);
  }
}

// --- Tier C
// ----------------------------------------------------------------------------------------

TEST(PlanTierC, TakesTwoInstructionsInFront) {
  // mov %rdi, %rsi; mov %edx, %eax
  EXPECT_EQ(plan_of(hex("48 89 fe 89 d0") + kSyscall + kRet),
            std::string("401005 C 401000+7: ") + kBefore);
}

TEST(PlanTierC, TakesTheShortestWindow) {
  // mov %rdi, %rsi; mov %rsi, %rdx: one of them makes five bytes
  EXPECT_EQ(plan_of(hex("48 89 fe 48 89 f2") + kSyscall + kRet),
            std::string("401006 C 401003+5: ") + kBefore);
}

TEST(PlanTierC, ReachesAcrossTheSyscall) {
  // f: mov %edx, %eax; syscall; mov %eax, %ecx
  EXPECT_EQ(plan_of(hex("89 d0") + kSyscall + hex("89 c1") + kRet),
            std::string("401002 C 401000+6: ") + kAcross);
}

TEST(PlanTierC, ReachesBehindTheSyscall) {
  EXPECT_EQ(plan_of(kShort + kSyscall + hex("48 89 c1") + kRet),
            std::string("401003 C 401003+5: ") + kBehind);
}

TEST(PlanTierC, IsRefusedWhereABranchEntersTheWindow) {
  // mov %rdi, %rsi; mov %edx, %eax; syscall; je 401003
  EXPECT_EQ(plan_of(hex("48 89 fe 89 d0") + kSyscall + hex("74 fa") + kRet),
            "401005 D 401005+2: a branch may go into the window\n");
}

TEST(PlanTierC, MayBeEnteredAtItsFirstInstruction) {
  // ...; je 401000
  EXPECT_EQ(plan_of(hex("48 89 fe 89 d0") + kSyscall + hex("74 f7") + kRet),
            std::string("401005 C 401000+7: ") + kBefore);
}

TEST(PlanTierC, IsRefusedWhereASymbolLiesInTheWindow) {
  const auto file = code_file(hex("48 89 fe 89 d0") + kSyscall + kRet)
                        .symbol("label", kCode + 3, 0, elf::kSttNotype);
  EXPECT_EQ(plan_of(file), "401005 D 401005+2: a symbol or function start lies in the window\n");
}

TEST(PlanTierC, IsRefusedWhereAnInstructionReadsTheWindow) {
  // mov 401006(%rip), %cl; mov %rdi, %rsi; mov %edx, %eax
  EXPECT_EQ(plan_of(hex("8a 0d 00 00 00 00 48 89 fe 89 d0") + kSyscall + kRet),
            std::string("40100b D 40100b+2: ") + kData);
}

TEST(PlanTierC, IsRefusedWhereDataPointsIntoTheWindow) {
  const auto file =
      code_file(hex("48 89 fe 89 d0") + kSyscall + kRet).data(0x403000, words({kCode + 3}));
  EXPECT_EQ(plan_of(file), "401005 D 401005+2: data may hold a pointer into the window\n");
}

TEST(PlanTierC, IsRefusedWhereAnUnalignedWordPointsIntoTheWindow) {
  const auto file =
      code_file(hex("48 89 fe 89 d0") + kSyscall + kRet).data(0x403000, hex("00 03 10 40 00 00"));
  EXPECT_EQ(plan_of(file), "401005 D 401005+2: data may hold a pointer into the window\n");
}

// Above 4 GiB an address has 64 bits, in a table as in a movabs.
TEST(PlanTierC, IsRefusedWhereA64BitWordPointsIntoAWindowAbove4GiB) {
  constexpr uint64_t kHigh = 0x200001000;
  const Bytes code = hex("48 89 fe 89 d0") + kSyscall + kRet;
  const auto pointed_at = [&](uint64_t base, uint64_t address) {
    return plan_of(ElfBuilder()
                       .code(base, code)
                       .symbol("f", base, code.size())
                       .entry(base)
                       .data(base + 0x2000, hex("00") + words({address})));
  };
  EXPECT_EQ(pointed_at(kHigh, kHigh + 3),
            "200001005 D 200001005+2: data may hold a pointer into the window\n");
  EXPECT_EQ(pointed_at(kHigh, kHigh),
            std::string("200001005 C 200001000+7: instructions before the syscall, none of them "
                        "entered\n"));
  // Windows on both sides of the border.
  EXPECT_EQ(pointed_at(0xfffffffd, 0x100000000).substr(0, 11), "100000002 D");
  EXPECT_EQ(pointed_at(0xfffffff8, 0xfffffffb).substr(0, 10), "fffffffd D");
}

constexpr char kHidden[] = "a jump table or landing pad leads into the window\n";
const Bytes kTwo = hex("48 89 fe 89 d0");  // mov %rdi, %rsi; mov %edx, %eax

TEST(PlanTierC, IsRefusedInAFunctionThatComputesAnAddressOfItsOwnAndJumps) {
  // lea 401009(%rip), %rcx; mov, mov; syscall; jmp *%rcx
  EXPECT_EQ(plan_of(hex("48 8d 0d 02 00 00 00") + kTwo + kSyscall + hex("ff e1")),
            "40100c D 40100c+2: the function has an indirect jump whose targets are not known\n");
  // Its own start, from which all of its labels can be computed.
  EXPECT_EQ(plan_of(hex("48 8d 0d f9 ff ff ff") + kTwo + kSyscall + hex("ff e1")).substr(0, 8),
            "40100c D");
}

TEST(PlanTierC, IsAllowedInAFunctionThatJumpsThroughAPointerItWasGiven) {
  EXPECT_EQ(plan_of(kTwo + kSyscall + hex("ff e1")), std::string("401005 C 401000+7: ") + kBefore);
}

// The jump may be elsewhere: `lea 401009(%rip), %rcx` without one, as a thunk's caller has it.
TEST(PlanTierC, IsRefusedInAFunctionThatTakesALabelOfItsOwn) {
  EXPECT_EQ(plan_of(hex("48 8d 0d 02 00 00 00") + kTwo + kSyscall + kRet),
            std::string("40100c D 40100c+2: ") + kComputed);
  // Its own start, which it may hand to somebody, and what lies behind its end.
  EXPECT_EQ(plan_of(hex("48 8d 0d f9 ff ff ff") + kTwo + kSyscall + kRet).substr(0, 8), "40100c C");
  EXPECT_EQ(plan_of(hex("48 8d 0d 08 00 00 00") + kTwo + kSyscall + kRet).substr(0, 8), "40100c C");
}

// add $0x401008, %rax; lea 0x401008(,%rdi,1), %rax; movabs $0x401008, %rax
TEST(PlanTierC, IsRefusedWhereALabelOfItsOwnIsAConstantOfTheFunction) {
  for (const char* taken :
       {"48 05 08 10 40 00", "48 8d 04 3d 08 10 40 00", "48 b8 08 10 40 00 00 00 00 00"}) {
    const auto file = [&](uint16_t type) {
      const Bytes code = hex(taken) + kTwo + kSyscall + kRet;
      return plan_of(
          ElfBuilder(type).code(kCode, code).symbol("f", kCode, code.size()).entry(kCode));
    };
    EXPECT_NE(file(elf::kTypeExec).find(kComputed), std::string::npos) << taken;
    // In a file that moves it is a number like any other.
    EXPECT_EQ(file(elf::kTypeDyn).find(kComputed), std::string::npos) << taken;
  }
}

TEST(PlanTierC, IsRefusedWhereALabelAbove4GiBIsAConstantOfTheFunction) {
  constexpr uint64_t kHigh = 0x200001000;
  const auto file = [](uint64_t label) {
    const Bytes code = hex("48 b8") + words({label}) + kTwo + kSyscall + kRet;
    return plan_of(ElfBuilder().code(kHigh, code).symbol("f", kHigh, code.size()).entry(kHigh));
  };
  EXPECT_NE(file(kHigh + 8).find(kComputed), std::string::npos);
  EXPECT_EQ(file(kHigh).find(kComputed), std::string::npos);
}

// Code that nothing names: `taken`, then 200 bytes to what ends its path, then the site.
std::string plan_of_nameless(const Bytes& taken, const Bytes& end) {
  const Bytes code =
      repeat(0x50, 0x200) + taken + repeat(0x50, 200) + end + repeat(0x50, 200) + kTwo + kSyscall;
  return plan_of(ElfBuilder(elf::kTypeDyn).code(kCode, code + hex("48 89 c1 c3")).entry(0));
}

TEST(PlanTierC, IsRefusedNearALabelThatALeaOfNamelessCodeTakesAndThatAJumpFollows) {
  const auto has_window = [](const char* taken, const char* end) {
    const std::string plan = plan_of_nameless(hex(taken), hex(end));
    if (plan.find(kComputed) != std::string::npos) return false;
    EXPECT_NE(plan.find(" C "), std::string::npos) << plan;
    return true;
  };
  constexpr char kLea[] = "48 8d 15 f8 00 00 00";            // lea 248 bytes on, %rdx
  EXPECT_FALSE(has_window(kLea, "ff e2"));                   // jmp *%rdx
  EXPECT_FALSE(has_window(kLea, "3e ff 24 d0"));             // notrack jmp *(%rax,%rdx,8)
  EXPECT_FALSE(has_window(kLea, "e8 07 00 00 00"));          // call over a few bytes: a thunk
  EXPECT_TRUE(has_window(kLea, "c3"));                       // ret
  EXPECT_TRUE(has_window(kLea, "ff 25 00 10 00 00"));        // jmp *0x1000(%rip): of a PLT
  EXPECT_TRUE(has_window("48 8d 15 f8 00 00 01", "ff e2"));  // far away
  // Handed to a call, and lost behind it: a function. Kept in rbx, or read before: it may be used.
  EXPECT_TRUE(has_window("48 8d 15 f8 00 00 00 4c 89 f7 e8 00 10 00 00", "ff e0"));
  EXPECT_FALSE(has_window("48 8d 1d f8 00 00 00 4c 89 f7 e8 00 10 00 00", "ff e0"));
  EXPECT_FALSE(has_window("48 8d 15 f8 00 00 00 48 89 d3 e8 00 10 00 00", "ff e3"));
  EXPECT_FALSE(has_window("48 8d 15 f8 00 00 00 48 01 d0 e8 00 10 00 00", "ff e0"));
}

// f: movabs $(0x404000 + offset), %rdx, counted from 0x404000; mov, mov;
// syscall; ret. In the data at 0x403000 the distance to the second mov.
std::string plan_of_got_offset(uint64_t offset, bool by_section) {
  const Bytes code = hex("48 ba") + words({offset}) + kTwo + kSyscall + kRet;
  ElfBuilder file(elf::kTypeDyn);
  file.code(kCode, code).symbol("f", kCode, code.size()).entry(kCode);
  file.data(0x403000, bytes_of(static_cast<uint32_t>(kCode + 13 - 0x403000)));
  if (by_section)
    file.data(0x404000, Bytes(24)).section(".got.plt", elf::kShtProgbits, 3, 0x404000, 24);
  else
    file.dynamic(0x405000, {{3, 0x404000}});  // DT_PLTGOT
  return plan_of(file);
}

TEST(PlanTierC, IsRefusedWhereATableThatIsCountedFromTheGlobalOffsetTableLeadsInside) {
  for (const bool by_section : {false, true}) {
    const auto at = [&](uint64_t address) {
      return plan_of_got_offset(address - 0x404000, by_section);
    };
    EXPECT_EQ(at(0x403000).substr(0, 8), "40100f D") << by_section;
    EXPECT_EQ(at(0x403004).substr(0, 8), "40100f C") << by_section;
    // A label of its own, and the same distance from somewhere else.
    EXPECT_NE(at(kCode + 13).find(kComputed), std::string::npos) << by_section;
    EXPECT_EQ(at(0x404000 + kCode + 13).substr(0, 8), "40100f C") << by_section;
  }
}

TEST(PlanTierC, IsRefusedWhereAnotherFunctionTakesTheAddress) {
  // g: lea 401003(%rip), %rcx; jmp *%rcx
  const auto file = [](const char* lea) {
    return ElfBuilder()
        .code(kCode, kTwo + kSyscall + kRet + hex(lea) + hex("ff e1"))
        .symbol("f", kCode, 8)
        .symbol("g", kCode + 8, 9);
  };
  EXPECT_EQ(plan_of(file("48 8d 0d f4 ff ff ff")), std::string("401005 D 401005+2: ") + kHidden);
  EXPECT_EQ(plan_of(file("48 8d 0d f1 ff ff ff")),  // 401000: the window's start
            std::string("401005 C 401000+7: ") + kBefore);
}

// g: lea table(%rip), %rcx; movslq (%rcx,%rdi,4), %rax; add %rcx, %rax; jmp *%rax
ElfBuilder with_table(std::initializer_list<int32_t> entries) {
  Bytes table;
  for (const int32_t entry : entries) table = std::move(table) + bytes_of(entry);
  const Bytes g = hex("48 8d 0d f1 1f 00 00 48 63 04 b9 48 01 c8 ff e0");
  return ElfBuilder()
      .code(kCode, kTwo + kSyscall + kRet + g)
      .symbol("f", kCode, 8)
      .symbol("g", kCode + 8, g.size())
      .segment(0x403000, table, elf::kFlagRead);
}

TEST(PlanTierC, IsRefusedWhereARelativeJumpTableLeadsIntoTheWindow) {
  constexpr int32_t kToCode = 0x401000 - 0x403000;
  EXPECT_EQ(plan_of(with_table({kToCode + 3})), std::string("401005 D 401005+2: ") + kHidden);
  EXPECT_EQ(plan_of(with_table({kToCode + 8, kToCode + 12, kToCode + 3})),
            std::string("401005 D 401005+2: ") + kHidden);
  EXPECT_EQ(plan_of(with_table({kToCode + 8, kToCode})),
            std::string("401005 C 401000+7: ") + kBefore);
  // Text that follows ends the table.
  EXPECT_EQ(plan_of(with_table({kToCode + 8, 0x7a7a7a7a, kToCode + 3})),
            std::string("401005 C 401000+7: ") + kBefore);
}

// The function's landing pads, one call site each: start, length, pad (from the function), action.
std::string plan_with_pads(const Bytes& call_sites) {
  constexpr uint64_t kFrames = 0x403000, kLsda = 0x405000;
  const Bytes frames = eh_frame(kFrames, {{kCode, 8, kLsda}});
  // pads count from the function; no types; uleb128 call sites
  const Bytes lsda =
      hex("ff ff 01") + bytes_of(static_cast<uint8_t>(call_sites.size())) + call_sites;
  return plan_of(ElfBuilder()
                     .code(kCode, kTwo + kSyscall + kRet)
                     .segment(kFrames, frames, elf::kFlagRead)
                     .segment(kLsda, lsda, elf::kFlagRead)
                     .section(".eh_frame", 1, 2, kFrames, frames.size()));
}

TEST(PlanTierC, IsRefusedWhereALandingPadLiesInTheWindow) {
  EXPECT_EQ(plan_with_pads(hex("00 03 03 00")), std::string("401005 D 401005+2: ") + kHidden);
  EXPECT_EQ(plan_with_pads(hex("00 01 00 00  01 02 03 01")),
            std::string("401005 D 401005+2: ") + kHidden);
}

TEST(PlanTierC, IsAllowedWhereNoLandingPadLiesInTheWindow) {
  EXPECT_EQ(plan_with_pads(hex("00 03 07 00")), std::string("401005 C 401000+7: ") + kBefore);
  EXPECT_EQ(plan_with_pads(hex("00 03 00 00")), std::string("401005 C 401000+7: ") + kBefore);
}

TEST(PlanTierC, IsRefusedWhereLandingPadsCannotBeRead) {
  constexpr char kUnread[] =
      "401005 D 401005+2: the function's exception landing pads could not be read\n";
  EXPECT_EQ(plan_with_pads(hex("00 03 07")), kUnread);
  EXPECT_EQ(plan_with_pads(hex("00 03 80 80")), kUnread);
}

TEST(PlanTierC, NeverCrossesIntoTheNeighbour) {
  // f: syscall (2 bytes, its last); g: mov %rdi, %rsi; ret
  const auto file = ElfBuilder()
                        .code(kCode, kSyscall + hex("48 89 fe c3"))
                        .symbol("f", kCode, 2)
                        .symbol("g", kCode + 2, 4);
  EXPECT_EQ(plan_of(file).substr(0, 10), "401000 D 4");
}

TEST(PlanTierC, NeverDisplacesAnEndbr64) {
  // endbr64; mov %edx, %eax; syscall; ret: 4 + 2 would be enough
  EXPECT_EQ(plan_of(hex("f3 0f 1e fa 89 d0") + kSyscall + kRet),
            "401006 D 401006+2: an instruction of the window cannot run elsewhere\n");
  // syscall; endbr64; ret
  EXPECT_EQ(plan_of(kSyscall + hex("f3 0f 1e fa") + kRet),
            "401000 D 401000+2: an instruction of the window cannot run elsewhere\n");
}

TEST(PlanTierC, NeverDisplacesBranchesCallsOrTheStackPointer) {
  for (const char* before : {"e2 fe ff c0", "e3 fe ff c0", "74 fe ff c0",  // loop, jrcxz, je
                             "50 ff c0", "58 ff c0", "c9 ff c0"}) {        // push, pop, leave
    const std::string plan = plan_of(hex(before) + kSyscall + kRet);
    EXPECT_NE(plan.find(" D "), std::string::npos) << before << ": " << plan;
  }
}

TEST(PlanTierC, NeverTakesTheBytesOfAnotherSite) {
  // syscall; syscall: neither window may hold the other
  EXPECT_EQ(plan_of(hex("ff c0") + kSyscall + kSyscall + hex("ff c1 ff c2") + kRet),
            std::string("401002 D 401002+2: an instruction of the window cannot run elsewhere\n") +
                "401004 C 401004+6: " + kBehind);
}

TEST(Plan, TreatsTwoSitesNextToEachOther) {
  EXPECT_EQ(plan_of(kMov + kSyscall + kSyscall + hex("48 89 c1") + kRet),
            std::string("401005 A 401000+7: ") + kA + "401007 C 401007+5: " + kBehind);
}

TEST(Plan, LetsCheapPatchesTakeTheirBytesFirst) {
  // The first site's only window would hold the mov that the second one covers.
  EXPECT_EQ(plan_of(kSyscall + kMov + kSyscall + kRet),
            std::string("401000 D 401000+2: another site's patch needs the same bytes\n") +
                "401007 A 401002+7: " + kA);
}

// --- Relocations
// -----------------------------------------------------------------------------------

// A relocation of the word at `place`, by a RELA entry with the given addend.
ElfBuilder relocated(const Bytes& code, uint64_t place, uint64_t addend,
                     uint32_t type = elf::kRRelative) {
  return padded(code)
      .data(0x403000, words({place, type, addend}))
      .dynamic(0x405000, {{elf::kDtRela, 0x403000}, {elf::kDtRelasz, 24}});
}

TEST(PlanRelocations, ForbidTheBytesTheyWrite) {
  const Bytes code = kMov + kSyscall + kRet + repeat(0xcc, 40);
  EXPECT_EQ(plan_of(relocated(code, kCode + 0x20, 0)), std::string("401005 A 401000+7: ") + kA);
  EXPECT_EQ(plan_of(relocated(code, kCode + 1, 0)).substr(0, 8), "401005 N");
  EXPECT_EQ(plan_of(relocated(code, kCode + 6, 0)),
            "401005 N 401005+0: a relocation applies to the window\n");
}

TEST(PlanRelocations, LeaveASyscallBehindARelocatedInstructionToTheSpringboard) {
  // The widest relocation writes 16 bytes: this one ends right before the syscall.
  const Bytes code = repeat(0x50, 11) + kMov + kSyscall + kRet;
  const std::string sprung = std::string("401010 B 401010+2 by 401013: ") + kB;
  EXPECT_EQ(plan_of(relocated(code, kCode, 0, elf::kRTlsdesc)), sprung);
  EXPECT_EQ(plan_of(relocated(code, kCode + 1, 0, elf::kRTlsdesc)).substr(0, 8), "401010 N");
  EXPECT_EQ(plan_of(relocated(code, kCode + 8, 0)), sprung);
  EXPECT_EQ(plan_of(relocated(code, kCode + 9, 0)).substr(0, 8), "401010 N");
  // movabs $symbol, %rsi; syscall, in a library with relocations of its code
  const Bytes movabs = repeat(0x50, 8) + hex("48 be 00 00 00 00 00 00 00 00") + kSyscall + kRet;
  EXPECT_EQ(plan_of(relocated(movabs, kCode + 10, 0)),
            std::string("401012 B 401012+2 by 401015: ") + kB);
}

TEST(PlanRelocations, PointIntoWindowsByTheirAddends) {
  const Bytes code = hex("48 89 fe 89 d0") + kSyscall + kRet;
  const auto file = code_file(code)
                        .data(0x403000, words({0x405000, 8, kCode + 3}))
                        .dynamic(0x405000, {{elf::kDtRela, 0x403000}, {elf::kDtRelasz, 24}});
  EXPECT_EQ(plan_of(file), "401005 D 401005+2: data may hold a pointer into the window\n");
}

TEST(PlanRelocations, PointIntoWindowsByASymbolAndAnAddend) {
  constexpr uint64_t kOfOne = uint64_t{1} << 32 | elf::kR64;
  const Bytes code = hex("48 89 fe 89 d0") + kSyscall + kRet;
  const auto file = [&](uint64_t value, uint64_t addend) {
    return plan_of(
        code_file(code)
            .data(0x403000, words({0x407000, kOfOne, addend}))
            .data(0x405000, words({0, 0, 0, 0, value, 0}))
            .dynamic(0x406000,
                     {{elf::kDtRela, 0x403000}, {elf::kDtRelasz, 24}, {elf::kDtSymtab, 0x405000}}));
  };
  EXPECT_EQ(file(kCode, 3), "401005 D 401005+2: data may hold a pointer into the window\n");
  EXPECT_EQ(file(kCode, 0), std::string("401005 C 401000+7: ") + kBefore);
}

// --- Options
// ---------------------------------------------------------------------------------------

TEST(PlanOptions, RestrictTheTiers) {
  const Bytes code = kMov + kSyscall + kRet;
  EXPECT_EQ(plan_of(padded(code), tiers(false, true, true, true)),
            std::string("401005 B 401005+2 by 401008: ") + kB);
  EXPECT_EQ(plan_of(padded(code), tiers(false, false, true, true)),
            std::string("401005 C 401000+7: ") + kBefore);
  EXPECT_EQ(plan_of(padded(code), tiers(false, false, false, true)).substr(0, 8), "401005 D");
  EXPECT_EQ(plan_of(padded(code), tiers(false, false, false, false)).substr(0, 8), "401005 N");
}

TEST(PlanOptions, KeepAnUnpatchableSiteNative) {
  Options options;
  options.on_unpatchable = OnUnpatchable::kKeep;
  EXPECT_EQ(plan_of(kSyscall + kRet, options),
            "401000 N 401000+0: no 5 bytes to displace and no dead padding within reach\n");
}

TEST(PlanOptions, FailOnAnUnpatchableSite) {
  Options options;
  options.on_unpatchable = OnUnpatchable::kFail;
  const Error error = rewrite_error(code_file(kSyscall + kRet).build(), options);
  EXPECT_EQ(error.code, ErrorCode::kUnpatchable);
  EXPECT_EQ(error.where, kCode);
  EXPECT_EQ(error.message,
            "no jump fits at 0x401000: no 5 bytes to displace and no dead padding within reach; "
            "--on-unpatchable=trap poisons it, keep leaves it native");
}

TEST(PlanOptions, RefuseLiteboxWithNativeTails) {
  Options options;
  options.format = Format::kLitebox;
  const Error error = rewrite_error(code_file(kMov + kSyscall).build(), options);
  EXPECT_EQ(error.code, ErrorCode::kOptions);
  EXPECT_EQ(error.message,
            "a litebox file holds no syscall instruction, so it cannot have native tails; add "
            "--no-native-tail");
}

}  // namespace

}  // namespace sysrewrite
