// Tier B: a springboard, and what padding is dead enough to hold one.
#include <gtest/gtest.h>

#include "tests/plans.h"

namespace sysrewrite {

namespace {

using namespace test;

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

// Unwinders look a signal frame up one byte before its start, so that byte stays what it is. libcs
// write the FDE with that byte or without it.
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

}  // namespace

}  // namespace sysrewrite
