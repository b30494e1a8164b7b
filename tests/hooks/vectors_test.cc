// Keeping vector registers by moves: each width that this processor has, with upper
// halves in use and not.
#include "loader/vectors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace sysrewrite {

namespace {

struct Registers {
  alignas(64) std::byte vectors[32][64];
  uint64_t masks[8];
  uint32_t mxcsr;
  uint32_t used;
};
static_assert(offsetof(Registers, masks) == 2048 && offsetof(Registers, mxcsr) == 2112);

using Keep = void(const Registers*, Registers*, std::byte*, uint64_t);
extern "C" Keep keep_xmm, keep_ymm, keep_zmm;

struct Width {
  VectorKind kind;
  Keep* keep;
  size_t registers, bytes, masks;
};
constexpr Width kWidths[] = {{VectorKind::kXmm, keep_xmm, 16, 16, 0},
                             {VectorKind::kYmm, keep_ymm, 16, 32, 0},
                             {VectorKind::kZmm, keep_zmm, 32, 64, 8}};

Registers random_registers() {
  static std::mt19937_64 random(1);
  Registers registers{};
  for (auto& vector : registers.vectors)
    for (std::byte& byte : vector) byte = static_cast<std::byte>(random());
  for (uint64_t& mask : registers.masks) mask = random();
  registers.mxcsr = 0x1f80 | (random() & 0x603f);
  return registers;
}

void expect_kept(const Width& width, const Registers& before, bool lower_only) {
  Registers after{};
  alignas(64) static std::byte area[8192];
  width.keep(&before, &after, area, lower_only ? 1 : 0);
  for (size_t i = 0; i < width.registers; ++i) {
    std::byte expected[64]{};
    const bool is_cut = lower_only && i < 16;
    memcpy(expected, before.vectors[i], is_cut ? 16 : width.bytes);
    EXPECT_EQ(memcmp(expected, after.vectors[i], width.bytes), 0) << width.bytes << ", " << i;
  }
  for (size_t i = 0; i < width.masks; ++i) EXPECT_EQ(before.masks[i], after.masks[i]) << i;
  EXPECT_EQ(before.mxcsr, after.mxcsr);
  constexpr uint32_t kUpper = 0x44;  // AVX, ZMM_Hi256
  if (lower_only) {
    EXPECT_EQ(after.used & kUpper, 0U);
  }
}

template <typename Try>
void for_each_width(Try with) {
  const VectorKind widest = widest_vectors();
  ASSERT_NE(widest, VectorKind::kXsave);
  for (const Width& width : kWidths) {
    if (width.kind <= widest) with(width);
  }
}

}  // namespace

TEST(Vectors, ComeBackAsTheyWere) {
  for_each_width([](const Width& width) {
    for (int i = 0; i < 200; ++i) expect_kept(width, random_registers(), false);
  });
}

TEST(Vectors, UpperHalvesThatWereNotInUseAreNotAfterwards) {
  for_each_width([](const Width& width) {
    if (width.kind != VectorKind::kXmm) expect_kept(width, random_registers(), true);
  });
}

TEST(Vectors, OneBitOfAnUpperHalfIsEnough) {
  for_each_width([](const Width& width) {
    for (size_t i = 0; i < 16; ++i)
      for (size_t at = 16; at < width.bytes; at += 4) {
        Registers before{};
        before.mxcsr = 0x1f80;
        before.vectors[i][at] = std::byte{1};
        expect_kept(width, before, false);
      }
  });
}

}  // namespace sysrewrite
