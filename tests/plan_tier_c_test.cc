// Tier C: a window of several instructions, and what may enter it.
#include <gtest/gtest.h>

#include "rewriter/verify.h"
#include "tests/plans.h"

namespace sysrewrite {

namespace {

using namespace test;

constexpr char kAcross[] = "the syscall and instructions before it, none entered\n";

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

// A program that has a hash table with two symbols, the second of which lies in the window: ld.so
// finds it, whatever the section's header says.
TEST(PlanTierC, IsRefusedWhereASymbolThatNoSectionHoldsLiesInTheWindow) {
  const auto file = [](uint64_t label, uint64_t section_size) {
    constexpr uint32_t kNotype = 1 << 16 | 0x10;  // section 1, global
    const Bytes symbols = repeat(0, 24) + bytes_of(uint32_t{0}) + bytes_of(kNotype) +
                          bytes_of(label) + bytes_of(uint64_t{0});
    const Bytes hash = bytes_of(uint32_t{1}) + bytes_of(uint32_t{2}) + repeat(0, 12);
    const ElfBuilder builder = ElfBuilder(elf::kTypeDyn)
                                   .code(kCode, hex("48 89 fe 89 d0") + kSyscall + kRet)
                                   .symbol("f", kCode, 8)
                                   .data(0x403000, symbols)
                                   .data(0x404000, hash)
                                   .data(0x405000, repeat(0, 8))
                                   .dynamic(0x407000, {{elf::kDtSymtab, 0x403000},
                                                       {elf::kDtHash, 0x404000},
                                                       {elf::kDtStrtab, 0x405000},
                                                       {elf::kDtStrsz, 8}});
    return ElfBuilder(builder).section(".dynsym", elf::kShtDynsym, elf::kShfAlloc, 0x403000,
                                       section_size);
  };
  for (const uint64_t size : {uint64_t{24}, uint64_t{48}}) {
    EXPECT_EQ(plan_of(file(kCode + 3, size)),
              "401005 D 401005+2: a symbol or function start lies in the window\n");
    EXPECT_EQ(plan_of(file(kCode, size)), std::string("401005 C 401000+7: ") + kBefore);
    const Whole whole = rewrite_whole(file(kCode, size).build());
    EXPECT_TRUE(verify(whole.output).proven());
    const uint64_t value = whole.file.offset_of({0x403020}, 8)->value;
    EXPECT_FALSE(verify(with(whole.output, value, kCode + 3)).proven());
  }
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

}  // namespace

}  // namespace sysrewrite
