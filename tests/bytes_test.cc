#include "trampoline/bytes.h"

#include <gtest/gtest.h>

#include "tests/byte_literals.h"

namespace sysrewrite {

namespace {

using test::hex;

constexpr uint64_t kMost = UINT64_MAX;

TEST(CheckedAdd, GivesNothingWhereTheSumDoesNotFit) {
  EXPECT_EQ(checked_add(kMost, 0), kMost);
  EXPECT_EQ(checked_add(kMost - 1, 1), kMost);
  EXPECT_EQ(checked_add(kMost, 1), std::nullopt);
  EXPECT_EQ(checked_add(uint64_t{1} << 63, uint64_t{1} << 63), std::nullopt);
}

TEST(CheckedMultiply, GivesNothingWhereTheProductDoesNotFit) {
  EXPECT_EQ(checked_multiply(kMost, 1), kMost);
  EXPECT_EQ(checked_multiply(kMost, 0), 0U);
  EXPECT_EQ(checked_multiply(uint64_t{1} << 32, (uint64_t{1} << 32) - 1), 0xffffffff00000000U);
  EXPECT_EQ(checked_multiply(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
}

TEST(CheckedAlignUp, RoundsUpAndStopsAtTheLastMultiple) {
  EXPECT_EQ(checked_align_up(0, 4096), 0U);
  EXPECT_EQ(checked_align_up(1, 4096), 4096U);
  EXPECT_EQ(checked_align_up(4096, 4096), 4096U);
  EXPECT_EQ(checked_align_up(4097, 1), 4097U);
  EXPECT_EQ(checked_align_up(kMost - 4095, 4096), kMost - 4095);
  EXPECT_EQ(checked_align_up(kMost - 4094, 4096), std::nullopt);
}

TEST(AlignDown, KeepsMultiplesAndCutsTheRest) {
  EXPECT_EQ(align_down(0x1fff, 0x1000), 0x1000U);
  EXPECT_EQ(align_down(0x1000, 0x1000), 0x1000U);
  EXPECT_TRUE(is_aligned(0x2000, 0x1000));
  EXPECT_FALSE(is_aligned(0x2001, 0x1000));
}

TEST(RangeFits, ComputesWithoutOverflow) {
  EXPECT_TRUE(range_fits(0, 0, 0));
  EXPECT_TRUE(range_fits(10, 0, 10));
  EXPECT_TRUE(range_fits(3, 7, 10));
  EXPECT_FALSE(range_fits(3, 8, 10));
  EXPECT_FALSE(range_fits(11, 0, 10));
  EXPECT_FALSE(range_fits(1, kMost, 10));
  EXPECT_FALSE(range_fits(kMost, 1, 10));
  EXPECT_FALSE(range_fits(kMost, 2, kMost));
  EXPECT_TRUE(range_fits(0, kMost, kMost));
}

TEST(Slice, IsThePartAskedForOrNothing) {
  const auto bytes = hex("00 11 22 33");
  const auto middle = slice(bytes, 1, 2);
  ASSERT_TRUE(middle);
  EXPECT_EQ(test::to_hex(*middle), "11 22");
  EXPECT_EQ(slice(bytes, 4, 0)->size(), 0U);
  EXPECT_FALSE(slice(bytes, 4, 1));
  EXPECT_FALSE(slice(bytes, 2, kMost));
}

TEST(Load, ReadsLittleEndianAtAnyOffset) {
  const auto bytes = hex("ff 78 56 34 12 ff");
  EXPECT_EQ(load<uint32_t>(bytes, 1), 0x12345678U);
  EXPECT_EQ(load<uint8_t>(bytes, 5), 0xffU);
  EXPECT_EQ(load<uint32_t>(bytes, 2), 0xff123456U);
  EXPECT_EQ(load<uint32_t>(bytes, 3), std::nullopt);
  EXPECT_EQ(load<uint32_t>(bytes, kMost), std::nullopt);
  EXPECT_EQ(load<uint64_t>(bytes, 0), std::nullopt);
}

TEST(Store, WritesAllOrNothing) {
  auto bytes = hex("00 00 00 00 00");
  EXPECT_TRUE(store(MutableByteView(bytes), 1, uint32_t{0x12345678}));
  EXPECT_EQ(test::to_hex(bytes), "00 78 56 34 12");
  EXPECT_FALSE(store(MutableByteView(bytes), 2, uint32_t{0xffffffff}));
  EXPECT_FALSE(store(MutableByteView(bytes), kMost, uint8_t{0xff}));
  EXPECT_EQ(test::to_hex(bytes), "00 78 56 34 12");
}

}  // namespace

}  // namespace sysrewrite
