// Sets of ranges, whose filter must hide nothing, against a plain search.
#include "rewriter/range_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace sysrewrite {

namespace {

TEST(RangeSet, HoldsWhatWasAddedAndNothingElse) {
  RangeSet set;
  set.add({10}, {20});
  set.add({30}, {31});
  set.add({31}, {33});
  set.add({40}, {40});
  set.add({50}, {45});
  set.seal();
  for (uint64_t at = 0; at < 60; ++at)
    EXPECT_EQ(set.contains(at), (at >= 10 && at < 20) || (at >= 30 && at < 33)) << at;
  EXPECT_EQ(set.ranges().size(), 2U);
  EXPECT_FALSE(set.contains(UINT64_MAX));
}

TEST(RangeSet, IsEmptyWithoutRanges) {
  RangeSet set;
  set.seal();
  EXPECT_TRUE(set.empty());
  for (const uint64_t at : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) EXPECT_FALSE(set.contains(at));
}

TEST(RangeSet, NamesTheFirstRangeThatEndsBehindAnAddress) {
  RangeSet set;
  set.add({10}, {20});
  set.add({30}, {31});
  set.seal();
  const auto from = [&set](uint64_t address) {
    const auto range = set.first_ending_behind(address);
    return range == set.ranges().end() ? uint64_t{0} : range->from.value;
  };
  EXPECT_EQ(from(0), 10U);
  EXPECT_EQ(from(19), 10U);
  EXPECT_EQ(from(20), 30U);
  EXPECT_EQ(from(30), 30U);
  EXPECT_EQ(from(31), 0U);
  EXPECT_EQ(set.lowest(), 10U);
  EXPECT_EQ(set.highest(), 31U);
}

// A filter as coarse as its ranges are long, and ranges longer than the whole filter.
TEST(RangeSet, HoldsLongRanges) {
  for (const unsigned shift : {0U, 4U, 16U, 40U}) {
    RangeSet set(shift);
    set.add({0x1000}, {0x1000 + (uint64_t{1} << 34)});
    set.add({uint64_t{1} << 40}, {(uint64_t{1} << 40) + 5});
    set.seal();
    EXPECT_FALSE(set.contains(0xfff)) << shift;
    EXPECT_TRUE(set.contains(0x1000)) << shift;
    EXPECT_TRUE(set.contains(0xfff + (uint64_t{1} << 34))) << shift;
    EXPECT_FALSE(set.contains(0x1000 + (uint64_t{1} << 34))) << shift;
    EXPECT_TRUE(set.contains((uint64_t{1} << 40) + 4)) << shift;
    EXPECT_FALSE(set.contains((uint64_t{1} << 40) + 5)) << shift;
  }
}

// The filter in front must let no address through that a plain search would not, and the other way
// round, also where addresses that are far apart share a bit of it.
TEST(RangeSet, AgreesWithAPlainSearchOverRandomRanges) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    RangeSet set;
    std::vector<std::pair<uint64_t, uint64_t>> plain;
    const uint64_t base = round % 2 == 0 ? 0 : UINT64_MAX - (uint64_t{1} << 24);
    for (int i = 0; i < 40; ++i) {
      const uint64_t from = base + random() % (1 << 24);
      const uint64_t to = from + random() % 40;
      set.add({from}, {to});
      plain.emplace_back(from, to);
    }
    set.seal();
    const auto holds = [&plain](uint64_t at) {
      return std::any_of(plain.begin(), plain.end(),
                         [at](const auto& r) { return at >= r.first && at < r.second; });
    };
    for (const auto& [from, to] : plain)
      for (uint64_t at = from - 20; at != to + 20; ++at) ASSERT_EQ(set.contains(at), holds(at));
    for (int i = 0; i < 2000; ++i) {
      const uint64_t at = base + random() % (1 << 24);
      ASSERT_EQ(set.contains(at), holds(at));
      ASSERT_FALSE(set.contains(at + (uint64_t{1} << 40)));
    }
  }
}

}  // namespace

}  // namespace sysrewrite
