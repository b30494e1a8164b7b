#include "rewriter/placement.h"

#include <gtest/gtest.h>

#include "tests/elf_builder.h"

namespace sysrewrite {

namespace {

using namespace test;

constexpr uint64_t kBound = 0x5000, kSize = 0x3000;

// Where a trampoline of kSize bytes would start: one of the places that all_choices() tells.
uint64_t place(const ElfBuilder& builder, Format format = Format::kSysrewrite) {
  const Bytes file = builder.build();
  const auto image = ElfImage::parse(file);
  EXPECT_TRUE(image.ok());
  const uint64_t start = Placement::choose(*image, format, kBound).start(kSize).value;
  const RangeSet choices = Placement::all_choices(*image, kBound);
  for (uint64_t page = start; page - start < kSize; page += kPageSize)
    EXPECT_TRUE(choices.contains(page)) << page;
  return start;
}

const Bytes kRet = hex("c3");

TEST(Placement, IsDirectlyBelowTheFirstSegmentOfAFixedProgram) {
  EXPECT_EQ(place(ElfBuilder().code(0x401000, kRet)), 0x401000 - kSize);
  EXPECT_EQ(place(ElfBuilder().code(0x401234, kRet)), 0x401000 - kSize);
}

TEST(Placement, IsNeverBelowWhatMayBeMapped) {
  // mmap_min_addr is 65536: room for the whole bound, or none.
  EXPECT_EQ(place(ElfBuilder().code(65536 + kBound, kRet)), 65536 + kBound - kSize);
  EXPECT_NE(place(ElfBuilder().code(65536 + kBound - 0x1000, kRet)),
            65536 + kBound - 0x1000 - kSize);
}

TEST(Placement, IsInAHoleWhereThereIsNoRoomBelow) {
  EXPECT_EQ(place(ElfBuilder().code(0x10000, kRet).data(0x20000, kRet)), 0x20000 - kSize);
  // The first hole is a page too small for the bound.
  EXPECT_EQ(place(ElfBuilder().code(0x10000, kRet).data(0x15000, kRet).data(0x80000, kRet)),
            0x80000 - kSize);
  EXPECT_EQ(place(ElfBuilder().code(0x10000, kRet).data(0x16000, kRet)), 0x16000 - kSize);
}

TEST(Placement, CountsAHoleFromTheEndOfBss) {
  EXPECT_EQ(place(ElfBuilder().code(0x10000, kRet).data(0x11000, kRet, 0x8001).data(0x1f000, kRet)),
            0x1f000 - kSize);
  EXPECT_NE(place(ElfBuilder().code(0x10000, kRet).data(0x11000, kRet, 0x9001).data(0x1f000, kRet)),
            0x1f000 - kSize);
}

TEST(Placement, IsFarBehindTheHeapWhereNothingElseIsFree) {
  EXPECT_EQ(place(ElfBuilder().code(0x10000, kRet)), 0x11000 + (uint64_t{5} << 30) / 4);
}

TEST(Placement, OfAPositionIndependentProgramIsBelowItAndMayBeNegative) {
  const auto pie = [] {
    return ElfBuilder(elf::kTypeDyn).dynamic(0x9000, {{elf::kDtFlags1, elf::kDf1Pie}});
  };
  EXPECT_EQ(place(pie().code(0xb000, kRet)), 0x9000 - kSize);
  EXPECT_EQ(place(ElfBuilder(elf::kTypeDyn).interpreter("/l", 0).code(0x1000, kRet)),
            uint64_t{0} - kSize);
}

TEST(Placement, IsNeverAcrossAddressZero) {
  const auto place_with_base = [](uint64_t base) {
    return place(ElfBuilder(elf::kTypeDyn)
                     .dynamic(base, {{elf::kDtFlags1, elf::kDf1Pie}})
                     .code(base + 0x1000, kRet));
  };
  EXPECT_EQ(place_with_base(0x1000), uint64_t{0} - kSize);
  EXPECT_EQ(place_with_base(kSize), uint64_t{0} - kSize);
  EXPECT_EQ(place_with_base(kBound - 0x1000), uint64_t{0} - kSize);
  EXPECT_EQ(place_with_base(kBound), kBound - kSize);
}

TEST(Placement, ChoicesHoldNothingOfTheFileItself) {
  const Bytes file =
      ElfBuilder().code(0x10000, kRet).data(0x12000, kRet, 0x1001).data(0x80000, kRet).build();
  const auto image = ElfImage::parse(file);
  const RangeSet choices = Placement::all_choices(*image, 0x3000);
  for (const uint64_t own : {0x10000U, 0x10fffU, 0x12000U, 0x13fffU, 0x80000U})
    EXPECT_FALSE(choices.contains(own)) << own;
  for (const uint64_t free : {0x11000U, 0x7d000U, 0x7ffffU, 0x81000U, 0x83fffU})
    EXPECT_TRUE(choices.contains(free)) << free;
  for (const uint64_t far : {0xffffU, 0x14000U, 0x7cfffU, 0x84000U})
    EXPECT_FALSE(choices.contains(far)) << far;
}

TEST(Placement, OfALibraryIsDirectlyBehindItsLastSegment) {
  EXPECT_EQ(place(ElfBuilder(elf::kTypeDyn).code(0, kRet)), 0x1000U);
  EXPECT_EQ(place(ElfBuilder(elf::kTypeDyn).code(0, kRet).data(0x3000, kRet, 0x1001)), 0x5000U);
}

TEST(Placement, ForLiteboxIsAlwaysBehindTheLastSegment) {
  EXPECT_EQ(place(ElfBuilder().code(0x401000, kRet), Format::kLitebox), 0x402000U);
  EXPECT_EQ(
      place(ElfBuilder(elf::kTypeDyn).interpreter("/l", 0).code(0x1000, kRet), Format::kLitebox),
      0x2000U);
}

TEST(Placement, ReachesWhatAJumpReachesFromEveryPlaceInTheSpan) {
  const Bytes file = ElfBuilder(elf::kTypeDyn).code(0, kRet).build();
  const auto image = ElfImage::parse(file);
  const Placement placement = Placement::choose(*image, Format::kSysrewrite, kBound);
  // The span is [0x1000, 0x6000).
  const uint64_t reach = uint64_t{1} << 31;
  EXPECT_TRUE(placement.reaches({0x1000 + reach - 65}));
  EXPECT_FALSE(placement.reaches({0x1000 + reach}));
  EXPECT_TRUE(placement.reaches({0x6000 - (reach - 65)}));
  EXPECT_FALSE(placement.reaches({0x6000 - reach}));
}

}  // namespace

}  // namespace sysrewrite
