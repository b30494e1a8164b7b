// verify takes its evidence from what the original says of itself: flow of functions, unwind
// tables, symbols, lists of what tracers write over.
#include <gtest/gtest.h>

#include "tests/rewritten_samples.h"
#include "tests/verdicts.h"

namespace sysrewrite {

namespace {

using namespace test;

// The same behind many instructions of which most decodes see another half: flow has the word.
TEST(VerifyEvidence, SeesABranchIntoTheMiddleOfAnInstructionThatMostDecodesMiss) {
  Bytes code;
  for (int i = 0; i < 20; ++i) code = std::move(code) + hex("48 b8") + repeat(0x90, 7) + hex("a9");
  const uint64_t jump = kCode + code.size(), window = jump + 16;
  code = std::move(code) + hex("e9 00 00 00 00 c3") + repeat(0xcc, 10);
  const Bytes call = hex("b8 c3 00 00 00 0f 05 c3");
  const Whole whole = rewrite_whole(ElfBuilder()
                                        .code(kCode, code + call)
                                        .symbol("f", kCode, code.size() - 10)
                                        .symbol("g", window, call.size())
                                        .build());
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kInstruction);
  EXPECT_EQ(verdict(whole.output), "proven");
  const auto jumping_to = [&](uint64_t target) {
    return with_code(whole, jump + 1, bytes_of(static_cast<uint32_t>(target - (jump + 5))));
  };
  EXPECT_TRUE(finds(jumping_to(window + 1), "a branch: found that it leads to"));
  EXPECT_EQ(verdict(jumping_to(window)), "proven");
}

TEST(VerifyEvidence, SeesAnOptionThatSysloadDoesNotObey) {
  const auto proven_with = [](const std::string& option) {
    Options options;
    options.loader_options = {option};
    return verdict(rewrite_whole(every_tier().build(), options).output) == "proven";
  };
  for (const char* option : {"hook=count", "hook=none", "hook=trace:filter=%file", "hook=./my.so",
                             "vdso=hide", "vdso=keep"})
    EXPECT_TRUE(proven_with(option)) << option;
  for (const char* option : {"zzz=1", "hook=nosuch", "hook=", "vdso=away"})
    EXPECT_FALSE(proven_with(option)) << option;
}

// A probe's note counts from where .stapsdt.base was when it was written, 32 bytes further on.
TEST(VerifyEvidence, ReadsProbesAndSequencesAsTheRewriterDoes) {
  const Bytes code = hex("b8 27 00 00 00 0f 05 c3");
  const auto probe_at = [&](uint64_t noted) {
    const Bytes note =
        hex("00 00 00 00 18 00 00 00 03 00 00 00") + words({noted, kCode + 0x5020, 0});
    return ElfBuilder()
        .code(kCode, code)
        .data(0x405000, note)
        .data(0x406000, Bytes(1))
        .section(".note.stapsdt", elf::kShtNote, 0, 0x405000, note.size())
        .section(".stapsdt.base", 1, 2, 0x406000, 1)
        .build();
  };
  const Whole probed = rewrite_whole(probe_at(kCode));
  ASSERT_EQ(probed.report.sites.at(0).tier, Tier::kInstruction);
  EXPECT_EQ(verdict(probed.output), "proven");
  EXPECT_TRUE(finds(with_input(probed, probe_at(kCode + 0x20)), "an SDT probe"));
  EXPECT_TRUE(
      finds(with_input(probed, counted_by_the_null_entry(probe_at(kCode + 0x20))), "an SDT probe"));

  const Whole sequence = rewrite_whole(ElfBuilder()
                                           .code(kCode, code)
                                           .data(0x405000, words({0, kCode, 0x20000, 0}))
                                           .section("__rseq_cs", 1, 3, 0x405000, 32)
                                           .build());
  EXPECT_NE(sequence.report.sites.at(0).tier, Tier::kInstruction);
  EXPECT_EQ(verdict(sequence.output), "proven");
  const Whole counted = rewrite_whole(counted_by_the_null_entry(sequence.input));
  EXPECT_NE(counted.report.sites.at(0).tier, Tier::kInstruction);
  EXPECT_EQ(verdict(counted.output), "proven");
}

// f: push, pop, eleven bytes with the call, and five of padding up to 401010. Behind that g.
TEST(VerifyEvidence, SeesTheStartOfAFunctionThatOnlyAnUnwindTableNames) {
  const auto file = [](const std::vector<Frame>& more) {
    std::vector<Frame> frames{{kCode, 11}};
    frames.insert(frames.end(), more.begin(), more.end());
    Bytes table = eh_frame(0x403000, frames);
    table.resize(256);
    return ElfBuilder()
        .code(kCode, hex("50 58 50 58 50 58 50 58 0f 05 c3") + repeat(0x90, 5) + hex("c3"))
        .entry(kCode)
        .segment(0x403000, table, elf::kFlagRead)
        .section(".eh_frame", 1, 2, 0x403000, table.size())
        .build();
  };
  const Whole whole = rewrite_whole(file({{kCode + 16, 1}}));
  ASSERT_EQ(whole.report.sites.at(0).springboard, Vaddr{kCode + 11});
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with_input(whole, file({{kCode + 13, 1}})), "the start of a function"));
  const Bytes signal = file({{kCode + 16, 1, 0, true}});
  EXPECT_NE(rewrite_whole(signal).report.sites.at(0).tier, Tier::kSpringboard);
  EXPECT_TRUE(finds(with_input(whole, signal), "the byte in front of a signal frame's function"));
}

// A library without section headers, whose symbols ld.so finds by either hash table: f, and at
// `other` what `type` says.
Bytes without_sections(int64_t hash_tag, uint64_t other, uint8_t type) {
  const auto symbol = [](uint64_t address, uint64_t size, uint8_t kind) {
    elf::Sym entry{};
    entry.name = 1;
    entry.info = static_cast<uint8_t>(elf::kStbGlobal << 4 | kind);
    entry.shndx = 1;
    entry.value = address;
    entry.size = size;
    return bytes_of(entry);
  };
  const Bytes symbols = Bytes(sizeof(elf::Sym)) + symbol(kCode, 11, elf::kSttFunc) +
                        symbol(other, type == elf::kSttObject ? 5 : 1, type);
  const auto word = [](uint32_t value) { return bytes_of(value); };
  const Bytes old_hash = word(1) + word(3), gnu_hash = word(1) + word(1) + word(1) + word(0) +
                                                       words({0}) + word(1) + word(2) + word(3);
  return ElfBuilder(elf::kTypeDyn)
      .code(kCode, hex("50 58 50 58 50 58 50 58 0f 05 c3") + repeat(0x90, 5) + hex("c3"))
      .data(0x403000, symbols)
      .data(0x404000, text(std::string_view("\0name\0", 6)))
      .data(0x405000, hash_tag == elf::kDtHash ? old_hash : gnu_hash)
      .dynamic(0x406000, {{elf::kDtSymtab, 0x403000},
                          {elf::kDtStrtab, 0x404000},
                          {elf::kDtStrsz, 6},
                          {hash_tag, 0x405000}})
      .entry(0)
      .build();
}

TEST(VerifyEvidence, SeesTheSymbolsOfAFileWithoutSectionHeaders) {
  constexpr uint64_t kPadding = kCode + 11;
  for (const int64_t tag : {elf::kDtHash, elf::kDtGnuHash}) {
    const Whole whole = rewrite_whole(without_sections(tag, kCode + 16, elf::kSttFunc));
    ASSERT_EQ(whole.report.sites.at(0).springboard, Vaddr{kPadding});
    EXPECT_EQ(verdict(whole.output), "proven");
    const Bytes entered = without_sections(tag, kPadding + 2, elf::kSttFunc);
    EXPECT_TRUE(finds(with_input(whole, entered), "the start of a function"));
    const Bytes read = without_sections(tag, kPadding, elf::kSttObject);
    EXPECT_TRUE(finds(with_input(whole, read), "a byte of a springboard"));
    EXPECT_EQ(verdict(rewrite_whole(entered).output), "proven");
    EXPECT_EQ(verdict(rewrite_whole(read).output), "proven");
  }
}

// A table that is longer than the file, or without names: what is there speaks against a patch.
TEST(VerifyEvidence, AgreesWithTheRewriterOnDynamicSymbolsThatAreCutOff) {
  constexpr uint64_t kHash = 0x405000, kPadding = kCode + 11;
  const auto at = [](const Bytes& file, uint64_t address, uint32_t value) {
    return with(file, ElfImage::parse(file)->offset_of({address})->value, value);
  };
  const auto names_away = [](Bytes file) {
    const auto image = ElfImage::parse(file);
    const uint64_t dynamic = image->find_header(elf::kPtDynamic)->offset;
    return with(file, dynamic + sizeof(elf::Dyn), elf::Dyn{0x6fff0000, 0});
  };
  const Bytes plain = without_sections(elf::kDtHash, kPadding + 2, elf::kSttFunc);
  const Bytes gnu = without_sections(elf::kDtGnuHash, kPadding + 2, elf::kSttFunc);
  for (const Bytes& file :
       {at(plain, kHash + 4, 4), at(plain, kHash + 4, UINT32_MAX), names_away(plain),
        at(gnu, kHash, UINT32_MAX), at(gnu, kHash + 24, UINT32_MAX), at(gnu, kHash + 32, 0),
        names_away(gnu)}) {
    const Whole whole = rewrite_whole(file);
    EXPECT_NE(whole.report.sites.at(0).springboard, Vaddr{kPadding});
    EXPECT_EQ(verdict(whole.output), "proven");
  }
}

// Near the begin of a segment, where few decodes begin, and known by the entry point alone, or not
// even by that: cmpb $0xb8, data(%rip); mov $60, %eax; syscall.
TEST(VerifyEvidence, SeesAnInstructionThatReadsAPatchNearTheBeginOfASegment) {
  for (const bool entry : {true, false}) {
    const uint64_t front = entry ? 2 : 40;
    const Bytes code = repeat(0x50, front) + hex("80 3d 00 10 00 00 b8 b8 3c 00 00 00 0f 05 c3");
    const Whole whole = rewrite_whole(
        ElfBuilder().code(kCode, code).entry(entry ? kCode : kCode + front + 14).build());
    ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kInstruction);
    EXPECT_EQ(verdict(whole.output), "proven");
    EXPECT_TRUE(finds(with_code(whole, kCode + front + 3, Bytes(2)), "an operand: found the"))
        << entry;
  }
}

}  // namespace

}  // namespace sysrewrite
