#include "rewriter/functions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "rewriter/eh_frame.h"
#include "tests/elf_builder.h"

namespace sysrewrite {

namespace {

using namespace test;

constexpr uint64_t kFrames = 0x403000;

FunctionIndex index_of(const Bytes& file) {
  const auto image = ElfImage::parse(file);
  if (!image) {
    ADD_FAILURE() << image.error().message;
    return {};
  }
  return FunctionIndex::build(*image);
}

// "401000..401010 L" of the function that covers an address: L landing pads, S signal frame,
// ? where the end is a guess.
std::string covering(const FunctionIndex& index, uint64_t address) {
  const auto function = index.covering({address});
  if (!function) return "none";
  return fmt::format("{:x}..{:x}{}{}{}", function->start.value, function->end.value,
                     function->lsda ? " L" : "", function->signal_frame ? " S" : "",
                     function->sized ? "" : " ?");
}

const std::vector<Frame> kThree = {
    {kCode, 16}, {kCode + 16, 32, 0x12345678}, {kCode + 48, 16, 0, true}};

ElfBuilder code_of(size_t size) {
  return ElfBuilder().code(kCode, repeat(0x90, size)).entry(0);
}

void expect_three(const FunctionIndex& index) {
  EXPECT_EQ(covering(index, kCode), "401000..401010");
  EXPECT_EQ(covering(index, kCode + 15), "401000..401010");
  EXPECT_EQ(covering(index, kCode + 16), "401010..401030 L");
  EXPECT_EQ(covering(index, kCode + 47), "401010..401030 L");
  EXPECT_EQ(covering(index, kCode + 48), "401030..401040 S");
  EXPECT_EQ(covering(index, kCode + 64), "none");
  EXPECT_TRUE(index.signal_frame_at({kCode + 48}));
  EXPECT_FALSE(index.signal_frame_at({kCode + 16}));
}

TEST(FunctionIndex, ReadsUnwindTablesThroughTheirHeader) {
  const uint64_t header = 0x405000;
  const Bytes file = code_of(0x80)
                         .segment(kFrames, eh_frame(kFrames, kThree), elf::kFlagRead)
                         .segment(header, eh_frame_header(header, kFrames), elf::kFlagRead)
                         .header(elf::kPtGnuEhFrame, header, 8)
                         .build();
  expect_three(index_of(file));
}

TEST(FunctionIndex, ReadsUnwindTablesOfASectionWithoutHeader) {
  const Bytes frames = eh_frame(kFrames, kThree);
  const Bytes file = code_of(0x80)
                         .segment(kFrames, frames, elf::kFlagRead)
                         .section(".eh_frame", 1, 2, kFrames, frames.size())
                         .build();
  expect_three(index_of(file));
}

TEST(FunctionIndex, FallsBackToTheSectionWhereTheHeaderPointsNowhere) {
  const uint64_t header = 0x405000;
  const Bytes frames = eh_frame(kFrames, kThree);
  const Bytes file = code_of(0x80)
                         .segment(kFrames, frames, elf::kFlagRead)
                         .segment(header, eh_frame_header(header, 0x900000), elf::kFlagRead)
                         .header(elf::kPtGnuEhFrame, header, 8)
                         .section(".eh_frame", 1, 2, kFrames, frames.size())
                         .build();
  expect_three(index_of(file));
}

TEST(FunctionIndex, KnowsNothingFromAnUnwindTableWithoutHeaderOrSection) {
  const Bytes file =
      code_of(0x80).segment(kFrames, eh_frame(kFrames, kThree), elf::kFlagRead).build();
  EXPECT_EQ(covering(index_of(file), kCode), "none");
}

TEST(FunctionIndex, LeavesOutEntriesThatDoNotParse) {
  const Bytes good = eh_frame(kFrames, {{kCode, 16}, {kCode + 16, 16}, {kCode + 32, 16}});
  const auto read = [](const Bytes& frames) {
    const Bytes file = code_of(0x80)
                           .segment(kFrames, frames, elf::kFlagRead)
                           .section(".eh_frame", 1, 2, kFrames, frames.size())
                           .build();
    const auto image = ElfImage::parse(file);
    size_t count = 0;
    for_each_frame_entry(*image, [&count](const FrameEntry&) { ++count; });
    return count;
  };
  EXPECT_EQ(read(good), 3U);
  // A CIE is 20 bytes, an FDE 20: the second pair begins at 40.
  EXPECT_EQ(read(with(good, 40 + 8, uint8_t{9})), 3U);        // another version, same fields
  EXPECT_EQ(read(with(good, 40 + 9, uint8_t{'?'})), 2U);      // unknown augmentation
  EXPECT_EQ(read(with(good, 40 + 11, uint8_t{'x'})), 2U);     // one that does not end
  EXPECT_EQ(read(with(good, 60 + 4, uint32_t{0xffff})), 2U);  // a CIE in front of the table
  EXPECT_EQ(read(with(good, 60 + 12, uint32_t{0})), 2U);      // no bytes
  EXPECT_EQ(read(with(good, 40, uint32_t{0x10000})), 1U);     // a length that leaves the table
  EXPECT_EQ(read(with(good, 40, uint32_t{0xffffffff})), 1U);  // the 64-bit format
  EXPECT_EQ(read(with(good, 40, uint32_t{0})), 1U);           // the end
}

TEST(FunctionIndex, ClipsAFrameEntryAtItsSegment) {
  const Bytes frames = eh_frame(kFrames, {{kCode + 4, 0x7fffffff}});
  const Bytes file = code_of(0x80)
                         .segment(kFrames, frames, elf::kFlagRead)
                         .section(".eh_frame", 1, 2, kFrames, frames.size())
                         .build();
  EXPECT_EQ(covering(index_of(file), kCode + 0x7f), "401004..401080");
}

TEST(FunctionIndex, BeginsASignalFrameAtTheRestorerNotOneByteBefore) {
  const Bytes frames = eh_frame(kFrames, {{kCode + 15, 10, 0, true}});
  const Bytes file =
      ElfBuilder()
          .code(kCode, repeat(0x90, 16) + hex("48 c7 c0 0f 00 00 00 0f 05") + repeat(0x90, 16))
          .entry(0)
          .segment(kFrames, frames, elf::kFlagRead)
          .section(".eh_frame", 1, 2, kFrames, frames.size())
          .build();
  EXPECT_EQ(covering(index_of(file), kCode + 16), "401010..401019 S");
  EXPECT_EQ(covering(index_of(file), kCode + 15), "none");
}

TEST(FunctionIndex, SaysWhetherUnwindTablesCoverMostOfTheCode) {
  const auto covers = [](uint64_t size) {
    const Bytes frames = eh_frame(kFrames, {{kCode, size}});
    return index_of(code_of(0x80)
                        .segment(kFrames, frames, elf::kFlagRead)
                        .section(".eh_frame", 1, 2, kFrames, frames.size())
                        .build())
        .unwind_covers_most();
  };
  EXPECT_TRUE(covers(0x41));
  EXPECT_FALSE(covers(0x40));
}

// --- Symbols
// ---------------------------------------------------------------------------------------

TEST(FunctionIndex, TakesFunctionsFromSymbols) {
  const FunctionIndex index = index_of(code_of(0x80)
                                           .symbol("a", kCode, 16)
                                           .symbol("a_alias", kCode, 0)
                                           .symbol("b", kCode + 16, 16)
                                           .symbol("b.cold", kCode + 32, 16)
                                           .symbol("g", kCode + 48, 8, elf::kSttGnuIfunc)
                                           .build());
  EXPECT_EQ(covering(index, kCode + 3), "401000..401010");
  EXPECT_EQ(covering(index, kCode + 16), "401010..401020");
  EXPECT_EQ(covering(index, kCode + 32), "401020..401030");
  EXPECT_EQ(covering(index, kCode + 50), "401030..401038");
  EXPECT_EQ(covering(index, kCode + 56), "none");
}

TEST(FunctionIndex, EndsAnUnsizedSymbolAtTheNextStart) {
  const FunctionIndex index =
      index_of(code_of(0x80).symbol("a", kCode, 0).symbol("b", kCode + 16, 0).build());
  EXPECT_EQ(covering(index, kCode + 15), "401000..401010 ?");
  EXPECT_EQ(covering(index, kCode + 0x7f), "401010..401080 ?");
}

TEST(FunctionIndex, PrefersTheInnermostFunction) {
  const FunctionIndex index =
      index_of(code_of(0x80).symbol("outer", kCode, 64).symbol("inner", kCode + 16, 16).build());
  EXPECT_EQ(covering(index, kCode + 20), "401010..401020");
  EXPECT_EQ(covering(index, kCode + 40), "401000..401040");
}

TEST(FunctionIndex, CountsLabelsAsStartsButNotAsFunctions) {
  const FunctionIndex index = index_of(
      code_of(0x80).symbol("a", kCode, 16).symbol("label", kCode + 4, 0, elf::kSttNotype).build());
  EXPECT_EQ(covering(index, kCode + 4), "401000..401010");
  EXPECT_TRUE(index.start_in({kCode + 4}, {kCode + 5}));
  EXPECT_FALSE(index.start_in({kCode + 1}, {kCode + 4}));
  EXPECT_EQ(index.next_start({kCode}, {kCode + 16}).value, kCode + 4);
  EXPECT_EQ(index.next_start({kCode + 4}, {kCode + 16}).value, kCode + 16);
  EXPECT_EQ(index.previous_start({kCode + 10}, {kCode})->value, kCode + 4);
  EXPECT_EQ(index.previous_start({kCode + 4}, {kCode})->value, kCode + 4);
  EXPECT_FALSE(index.previous_start({kCode + 10}, {kCode + 5}));
}

TEST(FunctionIndex, TakesDataFromObjectSymbolsWithASize) {
  const FunctionIndex index = index_of(code_of(0x80)
                                           .symbol("table", kCode + 16, 16, elf::kSttObject)
                                           .symbol("mark", kCode + 64, 0, elf::kSttObject)
                                           .symbol("far", 0x900000, 16, elf::kSttObject)
                                           .build());
  EXPECT_FALSE(index.is_object({kCode + 15}));
  EXPECT_TRUE(index.is_object({kCode + 16}));
  EXPECT_TRUE(index.is_object({kCode + 31}));
  EXPECT_FALSE(index.is_object({kCode + 32}));
  EXPECT_FALSE(index.is_object({kCode + 64}));
  EXPECT_FALSE(index.is_object({0x900000}));
}

TEST(FunctionIndex, SurvivesSymbolsThatLie) {
  const FunctionIndex index =
      index_of(code_of(0x80)
                   .symbol("huge", kCode + 8, UINT64_MAX)
                   .symbol("high", UINT64_MAX - 4, 16)
                   .symbol("object", kCode + 4, UINT64_MAX - 8, elf::kSttObject)
                   .build());
  EXPECT_EQ(covering(index, kCode + 0x7f), "401008..401080");
  EXPECT_FALSE(index.is_object({kCode + 4}));
}

TEST(FunctionIndex, FindsNothingInAFileWithoutEvidence) {
  const FunctionIndex index = index_of(code_of(0x80).build());
  EXPECT_EQ(covering(index, kCode), "none");
  EXPECT_FALSE(index.start_in({0}, {UINT64_MAX}));
}

TEST(FunctionIndex, TakesTheEntryPointAndInitAndFini) {
  const FunctionIndex index =
      index_of(code_of(0x80)
                   .entry(kCode + 8)
                   .dynamic(0x405000, {{elf::kDtInit, kCode + 32}, {elf::kDtFini, kCode + 64}})
                   .build());
  EXPECT_EQ(covering(index, kCode + 8), "401008..401020 ?");
  EXPECT_EQ(covering(index, kCode + 40), "401020..401040 ?");
  EXPECT_EQ(covering(index, kCode + 70), "401040..401080 ?");
  EXPECT_EQ(covering(index, kCode + 7), "none");
}

// --- Dynamic symbols without section headers
// -------------------------------------------------------

Bytes dynamic_symbols() {
  elf::Sym function{};
  function.name = 1;
  function.info = elf::kSttFunc;
  function.shndx = 1;
  function.value = kCode + 16;
  function.size = 16;
  return Bytes(sizeof(elf::Sym)) + bytes_of(function);
}

ElfBuilder with_dynamic_symbols(Bytes hash, int64_t hash_tag) {
  return code_of(0x80)
      .data(0x403000, dynamic_symbols())
      .data(0x404000, text(std::string_view("\0work\0", 6)))
      .data(0x405000, std::move(hash))
      .dynamic(0x406000, {{elf::kDtSymtab, 0x403000},
                          {elf::kDtStrtab, 0x404000},
                          {elf::kDtStrsz, 6},
                          {hash_tag, 0x405000}});
}

TEST(FunctionIndex, CountsDynamicSymbolsByTheOldHashTable) {
  const auto covered = [](uint32_t chains) {
    const Bytes hash = bytes_of(uint32_t{1}) + bytes_of(chains);
    return covering(index_of(with_dynamic_symbols(hash, elf::kDtHash).build()), kCode + 16);
  };
  EXPECT_EQ(covered(2), "401010..401020");
  EXPECT_EQ(covered(1), "none");
  EXPECT_EQ(covered(3), "401010..401020");  // of which the third is not in the file
  EXPECT_EQ(covered(UINT32_MAX), "401010..401020");
}

TEST(FunctionIndex, CountsDynamicSymbolsByTheGnuHashTable) {
  const auto covered = [](uint32_t buckets, uint32_t first, uint32_t bloom, uint32_t bucket,
                          uint32_t chain) {
    const Bytes hash = bytes_of(buckets) + bytes_of(first) + bytes_of(bloom) +
                       bytes_of(uint32_t{0}) + words({0}) + bytes_of(bucket) + bytes_of(chain);
    return covering(index_of(with_dynamic_symbols(hash, elf::kDtGnuHash).build()), kCode + 16);
  };
  EXPECT_EQ(covered(1, 1, 1, 1, 1), "401010..401020");
  // What does not end in the file counts as far as it goes.
  EXPECT_EQ(covered(1, 1, 1, 1, 0), "401010..401020");           // a chain
  EXPECT_EQ(covered(UINT32_MAX, 1, 1, 1, 1), "401010..401020");  // buckets
  EXPECT_EQ(covered(1, 1, UINT32_MAX, 1, 1), "none");            // nothing leads beyond the first
  EXPECT_EQ(covered(1, 1, 1, UINT32_MAX, 1), "401010..401020");
  EXPECT_EQ(covered(1, UINT32_MAX, 1, 1, 1), "401010..401020");
}

// --- Go
// --------------------------------------------------------------------------------------------

// A .gopclntab of two functions; `magic` names the linker's version. From byte 8 on, words:
// functions, files, (from 1.18 on) the text's start, and the offsets of five tables, the functions'
// last.
Bytes go_table(uint32_t magic, uint64_t text_start) {
  const Bytes first = bytes_of(magic) + hex("00 00 01 08") + words({2, 0});
  constexpr uint64_t kOther = 8;  // where no table of functions is
  if (magic == 0xfffffffa)        // 1.16: entries are addresses
    return first + words({kOther, kOther, kOther, kOther, 64}) +
           words({kCode, 0, kCode + 16, 0, kCode + 48});
  Bytes table = first + words({text_start, kOther, kOther, kOther, kOther, 72});
  for (const uint32_t entry : {0U, 0U, 16U, 0U, 48U}) table = std::move(table) + bytes_of(entry);
  return table;
}

TEST(FunctionIndex, ReadsGosTableOfEachVersion) {
  for (const uint32_t magic : {0xfffffffaU, 0xfffffff0U, 0xfffffff1U}) {
    const Bytes table = go_table(magic, kCode);
    const FunctionIndex index = index_of(code_of(0x80)
                                             .segment(0x405000, table, elf::kFlagRead)
                                             .section(".gopclntab", 1, 2, 0x405000, table.size())
                                             .build());
    EXPECT_EQ(covering(index, kCode + 3), "401000..401010") << std::hex << magic;
    EXPECT_EQ(covering(index, kCode + 16), "401010..401030") << std::hex << magic;
    EXPECT_EQ(covering(index, kCode + 48), "none") << std::hex << magic;
  }
}

TEST(FunctionIndex, FindsGosTableWithoutSectionHeaders) {
  const Bytes table = go_table(0xfffffff1, kCode);
  const FunctionIndex index =
      index_of(code_of(0x80).segment(0x405000, repeat(0, 64) + table, elf::kFlagRead).build());
  EXPECT_EQ(covering(index, kCode + 16), "401010..401030");
}

TEST(FunctionIndex, CountsGosOffsetsFromTheTextSectionWhereTheHeaderNamesNone) {
  const Bytes table = go_table(0xfffffff1, 0);
  const FunctionIndex index = index_of(code_of(0x80)
                                           .segment(0x405000, table, elf::kFlagRead)
                                           .section(".text", 1, 6, kCode, 0x80)
                                           .section(".gopclntab", 1, 2, 0x405000, table.size())
                                           .build());
  EXPECT_EQ(covering(index, kCode + 16), "401010..401030");
}

TEST(FunctionIndex, SurvivesAGoTableThatLies) {
  const auto lying = [](uint64_t at, uint64_t value) {
    const Bytes table = with(go_table(0xfffffff1, kCode), at, value);
    return covering(index_of(code_of(0x80)
                                 .segment(0x405000, table, elf::kFlagRead)
                                 .section(".gopclntab", 1, 2, 0x405000, table.size())
                                 .build()),
                    kCode + 16);
  };
  EXPECT_EQ(lying(8, 1000), "401010..401030");  // more functions than bytes
  EXPECT_EQ(lying(8, UINT64_MAX), "none");
  EXPECT_EQ(lying(64, UINT64_MAX), "none");  // their table outside the file
  EXPECT_EQ(lying(24, UINT64_MAX), "none");  // their code outside the file
}

// --- Part of the index

// Functions of all lengths, nested in each other, beside labels and objects, some without a size.
Bytes crowded_file(std::mt19937_64& random, uint64_t size) {
  ElfBuilder builder;
  builder.code(kCode, repeat(0x90, size)).entry(kCode + random() % size);
  const size_t count = 1 + random() % 200;
  for (size_t i = 0; i < count; ++i) {
    constexpr uint64_t kLengths[] = {0, 16, 300, 5000, 20000, 150000};
    constexpr uint8_t kTypes[] = {elf::kSttFunc, elf::kSttFunc, elf::kSttNotype, elf::kSttObject};
    const uint64_t length = kLengths[random() % (i % 7 == 0 ? 6 : 3)];
    builder.symbol("s", kCode + random() % size, length, kTypes[random() % 4]);
  }
  std::vector<Frame> frames;
  for (size_t i = 0; i < count / 2; ++i)
    frames.push_back({kCode + random() % size, 1 + random() % 400, 0, random() % 5 == 0});
  return builder.segment(kCode + 0x100000, eh_frame(kCode + 0x100000, frames), elf::kFlagRead)
      .section(".eh_frame", 1, 2, kCode + 0x100000, frames.size() * 20 + 24)
      .build();
}

// Of a function that is believed near its start only: whether it would be.
bool counts(const std::optional<Function>& function, Vaddr address) {
  return function && (function->sized || address.value - function->start.value <= 4096);
}

TEST(FunctionIndex, SaysNearAnAddressWhatTheWholeIndexSays) {
  constexpr uint64_t kSize = 200000, kDistance = FunctionIndex::kIndexedDistance;
  std::mt19937_64 random(9);
  size_t covered = 0, left_out = 0;
  for (int round = 0; round < 60; ++round) {
    const Bytes file = crowded_file(random, kSize);
    const auto image = ElfImage::parse(file);
    const FunctionIndex whole = FunctionIndex::build(*image);
    std::vector<Vaddr> asked;
    for (int i = 0; i < 3; ++i) asked.push_back({kCode + random() % kSize});
    std::sort(asked.begin(), asked.end());
    const FunctionIndex part = FunctionIndex::build_near(*image, asked);
    EXPECT_EQ(part.unwind_covers_most(), whole.unwind_covers_most());
    for (const Vaddr center : asked) {
      const Vaddr low = center - kDistance, high = center + kDistance;
      ASSERT_TRUE(part.knows(low, high));
      for (Vaddr at = low; at < high; at = at + (1 + random() % 40)) {
        const auto expected = whole.covering(at), got = part.covering(at);
        // Functions without a size that start elsewhere are out of question within this distance.
        const bool inner = at >= low + 4096;
        if (inner) {
          ASSERT_EQ(counts(got, at), counts(expected, at)) << round;
          if (counts(expected, at)) {
            ASSERT_EQ(got->start, expected->start) << round;
            ASSERT_EQ(got->sized, expected->sized) << round;
            const Vaddr end = got->sized ? got->end : expected->end;
            ASSERT_EQ(end, expected->end) << round;
            ++covered;
          }
        }
        const Vaddr to = std::min(at + random() % 200, high);
        ASSERT_EQ(part.start_in(at, to), whole.start_in(at, to)) << round;
        ASSERT_EQ(part.next_start(at, to), whole.next_start(at, to)) << round;
        ASSERT_EQ(part.previous_start(at, low), whole.previous_start(at, low)) << round;
        ASSERT_EQ(part.signal_frame_at(at), whole.signal_frame_at(at)) << round;
        ASSERT_EQ(part.is_object(at), whole.is_object(at)) << round;
      }
    }
    const Vaddr elsewhere{kCode + random() % kSize};
    if (!part.knows(elsewhere, elsewhere + 1) && whole.start_in(elsewhere, elsewhere + 1000))
      ++left_out;
  }
  EXPECT_GT(covered, 1000U);
  EXPECT_GT(left_out, 3U);
}

// The function starts far outside of what was asked for, and so many others start between that the
// whole index gives up looking: a part that left those out would look further.
TEST(FunctionIndex, LooksBackAsFarInAPartAsInTheWhole) {
  constexpr uint64_t kAsked = kCode + 100000;
  for (const size_t between : {0U, 10U, 63U, 64U, 200U}) {
    ElfBuilder builder = code_of(200000);
    builder.symbol("f", kCode, 150000);
    for (size_t i = 0; i < between; ++i) builder.symbol("g", kCode + 1000 + 100 * i, 8);
    const Bytes file = builder.build();
    const auto image = ElfImage::parse(file);
    const auto part = FunctionIndex::build_near(*image, {{kAsked}});
    EXPECT_EQ(covering(part, kAsked), covering(FunctionIndex::build(*image), kAsked)) << between;
    EXPECT_EQ(covering(part, kAsked), between < 64 ? "401000..4259f0" : "none") << between;
  }
}

TEST(FunctionIndex, KnowsWhatItLeftOut) {
  const Bytes file = code_of(200000).symbol("f", kCode + 90000, 20).build();
  const auto image = ElfImage::parse(file);
  const auto part = FunctionIndex::build_near(*image, {{kCode}, {kCode + 20000}});
  EXPECT_TRUE(part.knows({kCode}, {kCode + 8192}));
  EXPECT_FALSE(part.knows({kCode}, {kCode + 8193}));
  EXPECT_FALSE(part.knows({kCode + 10000}, {kCode + 10001}));
  EXPECT_TRUE(part.knows({kCode + 20000 - 8192}, {kCode + 20000 + 8192}));
  EXPECT_FALSE(part.start_in({kCode + 90000}, {kCode + 90001}));
  EXPECT_TRUE(FunctionIndex::build(*image).knows({0}, {UINT64_MAX}));
}

}  // namespace

}  // namespace sysrewrite
