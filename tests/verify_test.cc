// verify says yes to every output, and names what is wrong with a damaged one.
#include <gtest/gtest.h>

#include <cstddef>

#include "tests/rewritten_samples.h"
#include "tests/sample_files.h"
#include "tests/verdicts.h"

namespace sysrewrite {

namespace {

using namespace test;

class VerifySample : public testing::TestWithParam<SampleFile> {};

TEST_P(VerifySample, EveryFormIsProven) {
  const Bytes input = read_sample(GetParam());
  for (const Options& options : every_form()) {
    const Whole whole = rewrite_whole(input, options);
    ASSERT_EQ(verdict(whole.output), "proven");
    ASSERT_EQ(verdict(whole.output, whole.input), "proven");
  }
}

INSTANTIATE_TEST_SUITE_P(Files, VerifySample, testing::ValuesIn(kSampleFiles),
                         [](const auto& it) { return it.param.name; });

TEST(Verify, SmallOutputsOfEveryFormAreProven) {
  for (const RewrittenSample& sample : rewritten_samples()) {
    EXPECT_EQ(verdict(sample.whole.output), "proven") << sample.name;
    EXPECT_EQ(verdict(sample.whole.output, sample.whole.input), "proven") << sample.name;
  }
}

TEST(Verify, CountsTheSitesOfEachTier) {
  const Verdict verdict = verify(rewrite_whole(every_tier().build()).output);
  EXPECT_EQ(verdict.covered, 2U);
  EXPECT_EQ(verdict.sprung, 1U);
  EXPECT_EQ(verdict.windowed, 1U);
  EXPECT_EQ(verdict.trapped, 1U);
  EXPECT_EQ(verdict.native, 0U);
  EXPECT_EQ(verdict.candidates, 5U);
}

TEST(Verify, SaysWhatHasNoTrailer) {
  EXPECT_EQ(verdict({}),
            "file offset 0x0: the end of the file: found no trailer: it was never rewritten, or "
            "has lost its end since (strip and objcopy drop it), expected a trailer");
}

TEST(Verify, SeesADifferenceThatNothingRecords) {
  const Whole whole = rewrite_whole(every_tier().build());
  const Bytes edited = with_code(whole, kEveryTierUntouched, hex("90"));
  EXPECT_EQ(verdict(edited), "proven");
  EXPECT_NE(verdict(edited, whole.input).find("as in the original"), std::string::npos);
}

TEST(Verify, SeesAnOriginalOfAnotherSize) {
  const Whole whole = rewrite_whole(every_tier().build());
  Bytes longer = whole.input;
  longer.push_back(std::byte{0});
  EXPECT_NE(verdict(whole.output, longer).find("the input's size"), std::string::npos);
}

// Code beside the windows is not bound by the checksum: whoever changes it there can lead a branch
// into a window, which only a scan sees.
TEST(Verify, SeesBranchesIntoAWindow) {
  // mov $39, %rax; syscall: a branch behind the REX prefix makes another instruction of it.
  const Bytes code = hex("48 c7 c0 27 00 00 00 0f 05 90 90 90 90 90 90 c3");
  const Whole whole = rewrite_whole(ElfBuilder().code(kCode, code).symbol("f", kCode, 16).build());
  ASSERT_EQ(describe(whole.report).substr(0, 10), "401007 A 4");
  const auto branch = [&](const std::string& bytes) {
    return finds(with_code(whole, kCode + 9, hex(bytes)), "a branch: found that it leads to");
  };
  EXPECT_TRUE(branch("eb f6"));              // jmp 401001
  EXPECT_TRUE(branch("74 f6"));              // je
  EXPECT_TRUE(branch("e2 f6"));              // loop
  EXPECT_TRUE(branch("e9 f3 ff ff ff"));     // jmp, long
  EXPECT_TRUE(branch("e8 f3 ff ff ff"));     // call
  EXPECT_TRUE(branch("0f 84 f2 ff ff ff"));  // je, long
  EXPECT_TRUE(finds(with_code(whole, kCode + 9, hex("c7 f8 f2 ff ff ff")), "a transaction"));
  EXPECT_FALSE(branch("eb f5"));  // to the window's start
  EXPECT_FALSE(branch("eb fc"));  // to the syscall, which is poison now
}

TEST(Verify, SeesABranchIntoTheInsideOfAWindowOfSeveralInstructions) {
  const Whole whole = rewrite_whole(every_tier().build());
  // 48 89 fe | 89 d0 | 0f 05: the jump ends before the syscall, which is poison that the trap
  // serves.
  const auto branch = [&](uint8_t back) {
    const Bytes code = hex("eb") + Bytes{std::byte{back}};
    return finds(with_code(whole, kEveryTierUntouched, code), "a branch: found that it leads to");
  };
  const auto to = [](uint64_t target) {
    return static_cast<uint8_t>(target - (kEveryTierUntouched + 2));
  };
  EXPECT_TRUE(branch(to(kEveryTierWindow + 3)));
  EXPECT_FALSE(branch(to(kEveryTierWindow + 5)));
  EXPECT_FALSE(branch(to(kEveryTierWindow)));
}

// A branch into the middle of the instruction that a jump replaced: nearly all that look like one
// are bytes of something else, as in the last case, the constant of a mov.
TEST(Verify, SeesABranchIntoTheMiddleOfAnInstruction) {
  const Bytes code = repeat(0x50, 64) + hex("a9 66 90 b0 27 0f 05") + repeat(0x90, 64) + hex("c3");
  const Whole whole = rewrite_whole(code_file(code).build());
  ASSERT_EQ(describe(whole.report).substr(0, 15), "401045 A 401040");
  const auto branch = [&](const std::string& bytes) {
    return finds(with_code(whole, kCode + 0x50, hex(bytes)), "a branch: found that it leads to");
  };
  EXPECT_TRUE(branch("74 ef"));            // je 401041
  EXPECT_TRUE(branch("74 f2"));            // je 401044
  EXPECT_TRUE(branch("e9 ec ff ff ff"));   // jmp 401041
  EXPECT_TRUE(branch("eb f4"));            // jmp 401046, behind the poison's first byte
  EXPECT_FALSE(branch("eb f3"));           // jmp 401045
  EXPECT_FALSE(branch("74 ee"));           // je 401040
  EXPECT_FALSE(branch("b8 00 74 ed 90"));  // mov $0x90ed7400, %eax
}

TEST(Verify, SeesABranchIntoAWindowThatLiesInTwoSegments) {
  // xor %esi, %esi; mov %ebx, %eax; mov %edx, %ecx; syscall; ud2; nops
  const Bytes code = hex("31 f6 89 d8 89 d1 0f 05 0f 0b") + repeat(0x90, 8);
  for (uint64_t cut = 12; cut <= 15; ++cut) {
    const auto middle = code.begin() + static_cast<std::ptrdiff_t>(cut);
    const Whole whole = rewrite_whole(ElfBuilder()
                                          .code(kCode, Bytes(code.begin(), middle))
                                          .code(kCode + cut, Bytes(middle, code.end()))
                                          .symbol("f", kCode, code.size())
                                          .build());
    ASSERT_EQ(describe(whole.report).substr(0, 17), "401006 C 401002+6");
    EXPECT_EQ(verdict(whole.output), "proven");
    const auto jump = [&](uint64_t target) {
      const auto distance = static_cast<uint32_t>(target - (kCode + 16));
      return finds(with_code(whole, kCode + 11, hex("e9") + bytes_of(distance)),
                   "a branch: found that it leads to");
    };
    EXPECT_TRUE(jump(kCode + 4)) << cut;
    EXPECT_FALSE(jump(kCode + 2)) << cut;
  }
}

TEST(Verify, SeesAPointerIntoAWindow) {
  for (const uint64_t base : {uint64_t{kCode}, uint64_t{0x200001000}}) {
    const Whole whole = rewrite_whole(ElfBuilder()
                                          .code(base, hex("48 89 fe 89 d0 0f 05 c3"))
                                          .symbol("f", base, 8)
                                          .entry(base)
                                          .data(base + 0x2000, words({0, 0}))
                                          .build());
    ASSERT_EQ(whole.report.sites[0].tier, Tier::kWindow);
    const uint64_t at = offset_of(whole, base + 0x2003);
    EXPECT_TRUE(finds(with(whole.output, at, base + 3), "a pointer: found that it leads to"));
    EXPECT_FALSE(finds(with(whole.output, at, base), "a pointer"));
  }
}

// In whatever tier: push and pop, or mov, and a syscall with a prefix.
TEST(Verify, SeesAPointerBehindAPrefixOfTheSyscall) {
  const Bytes call = hex("f3 0f 05 c3"), pad = repeat(0x90, 9);
  const std::vector<std::pair<Tier, Bytes>> inputs = {
      {Tier::kInstruction, hex("b8 27 00 00 00") + call},
      {Tier::kSpringboard, hex("6a 27 58") + call + pad},
      {Tier::kTrap, hex("6a 27 58") + call}};
  for (const auto& [tier, code] : inputs) {
    const Whole whole = rewrite_whole(code_file(code).data(0x403000, words({0, 0})).build());
    ASSERT_EQ(whole.report.sites[0].tier, tier);
    const uint64_t at = offset_of(whole, 0x403003), site = whole.report.sites[0].address.value;
    EXPECT_TRUE(finds(with(whole.output, at, site + 1), "a pointer: found that it leads to"));
    EXPECT_FALSE(finds(with(whole.output, at, site), "a pointer"));
  }
}

TEST(Verify, SeesABranchToASyscallWhoseFirstByteTheJumpHasTaken) {
  const uint64_t window = kCode + 128, untouched = window + 7;
  const Bytes code =
      repeat(0x90, 128) + hex("48 89 46 08 0f 05 c3") + repeat(0x90, 128) + hex("c3");
  const Whole whole = rewrite_whole(
      ElfBuilder().code(kCode, code).symbol("f", kCode, 135).symbol("g", untouched, 129).build());
  ASSERT_EQ(whole.report.sites[0].tier, Tier::kWindow);
  ASSERT_EQ(whole.report.sites[0].window.value, window);
  const auto branch = [&](uint64_t target) {
    const auto back = static_cast<uint8_t>(target - (untouched + 2));
    return finds(with_code(whole, untouched, hex("eb") + Bytes{std::byte{back}}),
                 "a branch: found that it leads to");
  };
  EXPECT_TRUE(branch(window + 4));
  EXPECT_FALSE(branch(window));
}

TEST(Verify, SeesABranchIntoThePaddingBeforeASpringboard) {
  const Whole whole = rewrite_whole(every_tier().build());
  ASSERT_TRUE(whole.report.sites[2].springboard.has_value());
  const uint64_t board = whole.report.sites[2].springboard->value;
  const auto jump = [&](uint64_t target) {
    const auto distance = static_cast<uint32_t>(target - (kEveryTierUntouched + 5));
    return finds(with_code(whole, kEveryTierUntouched, hex("e9") + bytes_of(distance)),
                 "a branch: found that it leads to");
  };
  EXPECT_TRUE(jump(board));
  EXPECT_TRUE(jump(board + 4));
  EXPECT_FALSE(jump(board + 5));
  // The rewriter takes the padding's first bytes, so what is in front is no padding.
  EXPECT_FALSE(jump(board - 1));
}

// Ten bytes behind the segment's begin as many decodes say no as yes; the function in front knows.
TEST(Verify, ProvesASpringboardBehindTheFirstFunctionOfASegment) {
  const Bytes first = hex("74 05 b8 27 00 00 00 0f 05 c3"), second = hex("58 50 58 0f 05 c3");
  Options options;
  options.only = {{{kCode + 19}, {kCode + 20}, ""}};  // its padding is not for the first one
  const Whole whole = rewrite_whole(ElfBuilder()
                                        .code(kCode, first + repeat(0xcc, 6) + second)
                                        .symbol("f", kCode, first.size())
                                        .symbol("g", kCode + 16, second.size())
                                        .build(),
                                    options);
  ASSERT_TRUE(whole.report.sites.at(1).springboard.has_value());
  EXPECT_EQ(verdict(whole.output), "proven");
}

// Padding between functions is in none, and what may take its address is looked for near it.
TEST(Verify, ProvesThousandsOfSpringboardsBetweenFunctions) {
  constexpr uint64_t kFunctions = 4000;
  Bytes code;
  for (uint64_t i = 0; i < kFunctions; ++i)
    code = std::move(code) + hex("31 c0 0f 05 c3") + repeat(0x90, 11);
  ElfBuilder file = ElfBuilder().code(kCode, code);
  for (uint64_t i = 0; i < kFunctions; ++i) file.symbol("f" + std::to_string(i), kCode + 16 * i, 5);
  const Whole whole = rewrite_whole(file.build());
  EXPECT_EQ(whole.report.count(Tier::kSpringboard), kFunctions);
  EXPECT_EQ(verdict(whole.output), "proven");
}

// f: seven bytes, eight pushes, a call with a springboard behind its ret, ret. The seven bytes
// become `lea label(%rip), %rcx`, or an address in the code of a file that cannot move.
TEST(Verify, SeesASpringboardInAFunctionThatTakesALabelOfItsOwn) {
  const Bytes code = repeat(0x50, 15) + hex("6a 27 58 0f 05 c3") + repeat(0x90, 11) + hex("c3");
  const auto verdict_with = [&](uint16_t type, const Bytes& taken, bool frame) {
    const Bytes frames = eh_frame(0x403000, {{kCode, code.size()}});
    ElfBuilder file = ElfBuilder(type).code(kCode, code).entry(kCode);
    if (frame)
      file.segment(0x403000, frames, elf::kFlagRead)
          .section(".eh_frame", 1, 2, 0x403000, frames.size());
    else
      file.symbol("f", kCode, code.size());
    const Whole whole = rewrite_whole(file.build());
    EXPECT_EQ(whole.report.sites.at(0).tier, Tier::kSpringboard);
    return verdict(with_code(whole, kCode, taken));
  };
  const std::string label = "which takes the address of 0x40101f";
  for (const bool frame : {false, true}) {
    const auto takes = [&](uint16_t type, const char* taken) {
      return verdict_with(type, hex(taken), frame).find(label) != std::string::npos;
    };
    EXPECT_TRUE(takes(elf::kTypeDyn, "48 8d 0d 18 00 00 00")) << frame;
    EXPECT_TRUE(takes(elf::kTypeExec, "48 c7 c1 1f 10 40 00")) << frame;
    EXPECT_FALSE(takes(elf::kTypeDyn, "48 c7 c1 1f 10 40 00")) << frame;
    // Its own start, and what lies behind its end.
    EXPECT_EQ(verdict_with(elf::kTypeDyn, hex("48 8d 0d f9 ff ff ff"), frame), "proven");
    EXPECT_EQ(verdict_with(elf::kTypeDyn, hex("48 8d 0d 1a 00 00 00"), frame), "proven");
  }
}

// The same code. The first seven bytes become an instruction with a RIP-relative operand.
TEST(Verify, SeesAnInstructionThatReadsAPatch) {
  const Bytes code = repeat(0x50, 15) + hex("6a 27 58 0f 05 c3") + repeat(0x90, 11) + hex("c3");
  for (const bool frame : {false, true}) {
    const Bytes frames = eh_frame(0x403000, {{kCode, code.size()}});
    ElfBuilder file = ElfBuilder().code(kCode, code).entry(kCode);
    if (frame)
      file.segment(0x403000, frames, elf::kFlagRead)
          .section(".eh_frame", 1, 2, 0x403000, frames.size());
    else
      file.symbol("f", kCode, code.size());
    const Whole whole = rewrite_whole(file.build());
    ASSERT_EQ(describe(whole.report),
              "401012 B 401012+2 by 401015: springboard in dead padding "
              "within reach\n");
    const auto sees = [&](const char* bytes) {
      return finds(with_code(whole, kCode, hex(bytes)), "an operand: found the");
    };
    EXPECT_TRUE(sees("48 8b 0d 12 00 00 00")) << frame;   // mov 401019(%rip), %rcx
    EXPECT_FALSE(sees("48 8b 0d 13 00 00 00")) << frame;  // 40101a
    EXPECT_TRUE(sees("48 8b 0d 04 00 00 00")) << frame;   // 40100b, up to 401012
    EXPECT_FALSE(sees("48 8b 0d 03 00 00 00")) << frame;
    EXPECT_TRUE(sees("80 3d 0c 00 00 00 90")) << frame;   // cmpb $0x90, 401013(%rip)
    EXPECT_FALSE(sees("48 8d 0d 12 00 00 00")) << frame;  // lea
    EXPECT_FALSE(sees("b9 48 8b 0d 12 90 90")) << frame;  // mov $0x120d8b48, %ecx
  }
}

// f: ten bytes, which become `movabs $(label - 0x404000), %rcx`, and a call
// with a springboard behind its ret. The label counts from DT_PLTGOT.
TEST(Verify, SeesALabelThatIsCountedFromTheGlobalOffsetTable) {
  const Bytes code = repeat(0x50, 15) + hex("6a 27 58 0f 05 c3") + repeat(0x90, 11) + hex("c3");
  const Whole whole = rewrite_whole(ElfBuilder(elf::kTypeDyn)
                                        .code(kCode, code)
                                        .symbol("f", kCode, code.size())
                                        .dynamic(0x405000, {{3, 0x404000}})
                                        .entry(kCode)
                                        .build());
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kSpringboard);
  const auto taking = [&](uint64_t label) {
    return verdict(with_code(whole, kCode, hex("48 b9") + words({label - 0x404000})));
  };
  const std::string own = "which takes the address of 0x40101f";
  EXPECT_NE(taking(kCode + 0x1f).find(own), std::string::npos) << taking(kCode + 0x1f);
  EXPECT_EQ(taking(kCode + 0x21), "proven");
  // Into the padding itself.
  EXPECT_NE(
      taking(kCode + 0x16).find("an offset from the global offset table: found that it leads"),
      std::string::npos)
      << taking(kCode + 0x16);
}

// Bytes that no decode gets over, and then a jump of which most bytes decode to something that
// falls through: only who goes on behind the table sees the jump.
TEST(Verify, SeesDeadPaddingBehindAFunctionBehindATable) {
  const Bytes table = repeat(0x06, 64), jump = hex("e9 10 00 00 00"), pad = repeat(0x90, 11);
  const auto file = ElfBuilder()
                        .code(kCode, table + jump + pad + hex("89 d0 0f 05 c3 c3"))
                        .symbol("jump", kCode + 64, 5)
                        .symbol("call", kCode + 80, 5)
                        .entry(kCode + 64);
  const Whole whole = rewrite_whole(file.build());
  ASSERT_EQ(whole.report.sites.size(), 1U);
  ASSERT_EQ(whole.report.sites[0].tier, Tier::kSpringboard);
  EXPECT_EQ(verdict(whole.output), "proven");
}

// Found by the fuzzer: the output's own table may name a segment that the input has not.
TEST(Verify, SeesASpringboardWhereTheInputHasNoSegment) {
  const Whole whole = rewrite_whole(every_tier().data(0x480000, Bytes(16)).build());
  const auto header = *load<elf::Ehdr>(whole.output, 0);
  Bytes edited = whole.output;
  for (uint64_t i = 0; i < header.phnum; ++i) {
    const uint64_t at = header.phoff + i * sizeof(elf::Phdr);
    auto segment = *load<elf::Phdr>(whole.output, at);
    if (segment.vaddr != 0x480000) continue;
    segment.vaddr = segment.paddr = 0x490000;
    edited = with(edited, at, segment);
  }
  ASSERT_NE(edited, whole.output);
  const MetaHeader& meta = whole.file.meta();
  const uint64_t record =
      whole.file.meta_offset().value + meta.sites.offset + 2 * sizeof(SiteRecord);
  const auto moved = static_cast<uint32_t>(0x490000 - meta.base_vaddr);
  edited = with(edited, record + offsetof(SiteRecord, springboard), moved);
  EXPECT_TRUE(finds(sealed(edited), "the original bytes of a springboard"));
}

TEST(Verify, SeesPaddingThatIsRun) {
  const Whole whole = rewrite_whole(every_tier().build());
  const uint64_t board = whole.report.sites[2].springboard->value;
  // The ret in front of the padding becomes a nop.
  EXPECT_TRUE(finds(with_code(whole, board - 1, hex("90")), "the original bytes of a springboard"));
}

TEST(Verify, SeesASymbolInAWindow) {
  const auto file = [](uint64_t label) {
    const Bytes code = hex("48 89 fe 89 d0 0f 05 c3");
    return rewrite_whole(ElfBuilder()
                             .code(kCode, code)
                             .symbol("f", kCode, 8)
                             .symbol("label", label, 0, elf::kSttNotype)
                             .build());
  };
  const Whole whole = file(kCode + 7);
  ASSERT_EQ(describe(whole.report).substr(0, 8), "401005 C");
  // The symbol table of the same file with its label elsewhere, behind the patched code.
  const Bytes other = ElfBuilder()
                          .code(kCode, hex("48 89 fe 89 d0 0f 05 c3"))
                          .symbol("f", kCode, 8)
                          .symbol("label", kCode + 3, 0, elf::kSttNotype)
                          .build();
  Bytes output = whole.output;
  for (size_t i = 0; i < other.size(); ++i)
    if (other[i] != whole.input[i]) output[i] = other[i];
  EXPECT_TRUE(finds(output, "a symbol or entry point"));
}

TEST(Verify, SeesASymbolInsideASyscallOfAnyTier) {
  const Bytes call = hex("f3 0f 05 c3"), pad = repeat(0x90, 9);
  for (const Bytes& code :
       {hex("b8 27 00 00 00") + call, hex("6a 27 58") + call + pad, hex("6a 27 58") + call}) {
    const auto file = [&code = code](uint64_t label) {
      return code_file(code).symbol("label", label, 0, elf::kSttNotype).build();
    };
    const Whole whole = rewrite_whole(file(kCode));
    const uint64_t site = whole.report.sites.at(0).address.value;
    EXPECT_FALSE(finds(with_input(whole, file(site)), "a symbol or entry point"));
    EXPECT_TRUE(finds(with_input(whole, file(site + 1)), "a symbol or entry point"));
    EXPECT_TRUE(finds(with_input(whole, file(site + 2)), "a symbol or entry point"));
  }
}

// What is read from end to end wherever it is could else be read a thousand times.
TEST(Verify, SeesTablesThatShareBytes) {
  const Whole whole = rewrite_whole(every_tier()
                                        .data(0x480000, Bytes(96))
                                        .section("__mcount_loc", 1, 2, 0x480000, 48)
                                        .section("__mcount_loc", 1, 2, 0x480030, 48)
                                        .build());
  EXPECT_EQ(verdict(whole.output), "proven");
  const auto field = [&](uint64_t index, size_t offset, auto value) {
    const uint64_t table = load<elf::Ehdr>(whole.output, 0)->shoff;
    return with(whole.output, table + index * sizeof(elf::Shdr) + offset, value);
  };
  const uint64_t offset = offset_of(whole, 0x480000);
  const char* list = "a list of places that a tracer writes over: found what section 1 holds";
  EXPECT_TRUE(finds(field(2, offsetof(elf::Shdr, offset), offset + 40), list));
  EXPECT_TRUE(finds(field(2, offsetof(elf::Shdr, addr), uint64_t{0x480028}), list));
  EXPECT_FALSE(finds(field(2, offsetof(elf::Shdr, addr), uint64_t{0x480060}), list));
  // .symtab is behind those two.
  Bytes symbols = field(1, offsetof(elf::Shdr, type), elf::kShtSymtab);
  EXPECT_FALSE(finds(symbols, "a symbol table"));
  const uint64_t table = load<elf::Ehdr>(symbols, 0)->shoff;
  for (uint64_t i = 0; i < load<elf::Ehdr>(symbols, 0)->shnum; ++i) {
    const uint64_t at = table + i * sizeof(elf::Shdr);
    if (i != 1 && load<elf::Shdr>(symbols, at)->type == elf::kShtSymtab)
      symbols = with(symbols, at + offsetof(elf::Shdr, offset), offset + 8);
  }
  EXPECT_TRUE(finds(symbols, "a symbol table: found bytes of section 1"));
}

TEST(Verify, SeesARelocationInAWindow) {
  const Bytes code = hex("b8 27 00 00 00 0f 05 c3");
  const Whole whole =
      rewrite_whole(ElfBuilder(elf::kTypeDyn)
                        .code(0x1000, code)
                        .data(0x3000, words({0x3000, 8, 0}))
                        .dynamic(0x4000, {{elf::kDtRela, 0x3000}, {elf::kDtRelasz, 24}})
                        .build());
  EXPECT_EQ(verdict(whole.output), "proven");
  const uint64_t at = offset_of(whole, 0x3000);
  EXPECT_TRUE(
      finds(with(whole.output, at, uint64_t{0x1002}), "a relocation: found that it writes"));
  EXPECT_TRUE(finds(with(whole.output, at, uint64_t{0xff9}), "a relocation: found that it writes"));
  EXPECT_FALSE(finds(with(whole.output, at, uint64_t{0xff8}), "a relocation"));
  EXPECT_FALSE(finds(with(whole.output, at, uint64_t{0x1007}), "a relocation"));
  const auto of_type = [&](uint64_t place, uint64_t type) {
    return finds(with(with(whole.output, at, place), at + 8, type), "a relocation");
  };
  EXPECT_TRUE(of_type(0xff1, elf::kRTlsdesc));
  EXPECT_FALSE(of_type(0xff0, elf::kRTlsdesc));
  EXPECT_TRUE(of_type(0xffd, elf::kR32));
  EXPECT_FALSE(of_type(0xffc, elf::kR32));
}

TEST(Verify, SeesARelocationThatNamesAWindowByASymbolAndAnAddend) {
  const Bytes code = hex("48 89 fe 89 d0 0f 05 c3");
  const uint64_t of_one = uint64_t{1} << 32 | elf::kR64;
  const Whole whole = rewrite_whole(
      ElfBuilder(elf::kTypeDyn)
          .code(0x1000, code)
          .symbol("f", 0x1000, 8)
          .data(0x3000, words({0x3000, of_one, 0}))
          .data(0x4000, words({0, 0, 0, 0, 0x1000, 0}))
          .dynamic(0x5000, {{elf::kDtRela, 0x3000}, {elf::kDtRelasz, 24}, {elf::kDtSymtab, 0x4000}})
          .build());
  ASSERT_EQ(whole.report.sites[0].tier, Tier::kWindow);
  EXPECT_EQ(verdict(whole.output), "proven");
  const uint64_t addend = offset_of(whole, 0x3010);
  EXPECT_TRUE(finds(with(whole.output, addend, uint64_t{3}), "what a relocation writes"));
}

TEST(Verify, ReadsTheRelocationsOfTheLastTableThatIsNamed) {
  const Whole whole = rewrite_whole(
      ElfBuilder(elf::kTypeDyn)
          .code(0x1000, hex("48 89 fe 89 d0 0f 05 c3"))
          .symbol("f", 0x1000, 8)
          .data(0x3000, words({0x4000, elf::kRRelative, 0x1003}))
          .data(0x5000, words({0x4000, elf::kRRelative, 0x1000}))
          .dynamic(0x7000, {{elf::kDtRela, 0x3000}, {elf::kDtRelasz, 24}, {elf::kDtRela, 0x5000}})
          .build());
  ASSERT_EQ(whole.report.sites[0].tier, Tier::kWindow);
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with(whole.output, offset_of(whole, 0x7028), uint64_t{0x3000}),
                    "what a relocation writes"));
}

TEST(Verify, NamesTheInstructionThatAStubGotWrong) {
  const Whole whole = rewrite_whole(every_tier().build());
  const uint64_t stub = whole.file.trailer().offset + whole.file.site(0).stub;
  const Bytes edited = sealed(with(whole.output, stub + 1, uint8_t{0x28}));
  EXPECT_TRUE(finds(edited,
                    "the copy of the instruction at 0x401000: found `mov $0x28, %eax` (b8 "
                    "28 00 00 00), expected `mov $0x27, %eax`"))
      << verdict(edited);
}

// The copy of a RIP-relative operand names another address by the same bytes.
TEST(Verify, SeesADisplacementThatWasNotMended) {
  const Whole whole = rewrite_whole(every_tier().build());
  const uint64_t stub = whole.file.trailer().offset + whole.file.site(1).stub;
  Bytes edited = whole.output;
  const ByteView original = whole.file.original_window(whole.file.site(1));
  std::copy(original.begin(), original.begin() + 7,
            edited.begin() + static_cast<std::ptrdiff_t>(stub));
  EXPECT_TRUE(finds(sealed(edited), "the copy of the instruction at 0x401007"));
}

TEST(Verify, SeesTwoStubsSwapped) {
  const Bytes code = hex("b8 27 00 00 00 0f 05 b8 28 00 00 00 0f 05 c3");
  const Whole whole = rewrite_whole(ElfBuilder().code(kCode, code).build());
  const SiteRecord first = whole.file.site(0), second = whole.file.site(1);
  ASSERT_EQ(first.stub_size, second.stub_size);
  Bytes swapped = whole.output;
  const auto at = swapped.begin() + static_cast<std::ptrdiff_t>(whole.file.trailer().offset);
  std::swap_ranges(at + first.stub, at + first.stub + first.stub_size, at + second.stub);
  EXPECT_TRUE(finds(sealed(swapped), "the copy of the instruction at 0x401000"));
  // The jumps swapped with them: each site now runs the other's stub.
  const uint64_t window = offset_of(whole, kCode);
  Bytes crossed = whole.output;
  for (const auto& [from, to] : {std::pair(0, 1), std::pair(1, 0)}) {
    const uint64_t target = whole.file.stub_vaddr(whole.file.site(static_cast<uint32_t>(to))).value;
    const uint64_t here = kCode + 7 * static_cast<uint64_t>(from);
    crossed = with(crossed, window + 7 * static_cast<uint64_t>(from) + 1,
                   static_cast<uint32_t>(target - (here + 5)));
  }
  EXPECT_EQ(verdict(sealed(crossed)).substr(0, 34), "address 0x401000: a window: found ");
}

}  // namespace

}  // namespace sysrewrite
