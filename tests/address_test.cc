#include "trampoline/address.h"

#include <gtest/gtest.h>

namespace sysrewrite {

namespace {

constexpr Vaddr kHere{0x7f0000000000};
constexpr uint64_t kReach = uint64_t{1} << 31;

TEST(Rel32, ReachesExactlyTwoGibibytesBackAndOneByteLessAhead) {
  EXPECT_EQ(Rel32::between(kHere, kHere)->value, 0);
  EXPECT_EQ(Rel32::between(kHere, kHere + (kReach - 1))->value, INT32_MAX);
  EXPECT_FALSE(Rel32::between(kHere, kHere + kReach));
  EXPECT_EQ(Rel32::between(kHere, kHere - kReach)->value, INT32_MIN);
  EXPECT_FALSE(Rel32::between(kHere, kHere - (kReach + 1)));
}

TEST(Rel32, ReachesAcrossAddressZeroIntoANegativeTrampoline) {
  const Vaddr negative{uint64_t{0} - 0x2000};
  EXPECT_EQ(Rel32::between({0x1000}, negative)->value, -0x3000);
  EXPECT_EQ(Rel32::between(negative, {0x1000})->value, 0x3000);
}

TEST(Rel32, DoesNotReachTheOtherHalfOfTheAddressSpace) {
  EXPECT_FALSE(Rel32::between({0}, {uint64_t{1} << 63}));
  EXPECT_FALSE(Rel32::between({0}, {uint64_t{1} << 32}));
}

TEST(Rel8, Reaches128BytesBackAnd127Ahead) {
  EXPECT_EQ(Rel8::between(kHere, kHere + 127)->value, 127);
  EXPECT_FALSE(Rel8::between(kHere, kHere + 128));
  EXPECT_EQ(Rel8::between(kHere, kHere - 128)->value, -128);
  EXPECT_FALSE(Rel8::between(kHere, kHere - 129));
}

TEST(Address, DifferenceIsSignedAndSumWraps) {
  EXPECT_EQ(Vaddr{0x10} - Vaddr{0x20}, -0x10);
  EXPECT_EQ((Vaddr{UINT64_MAX} + 2).value, 1U);
  EXPECT_EQ((Vaddr{1} - 2).value, UINT64_MAX);
}

}  // namespace

}  // namespace sysrewrite
