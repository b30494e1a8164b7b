// The byte pairs that may be system calls, against the plainest way to find them.
#include "rewriter/candidates.h"

#include <gtest/gtest.h>

#include <random>

#include "rewriter/verify.h"
#include "tests/rewrites.h"

namespace sysrewrite {

namespace {

using namespace test;

std::vector<uint64_t> candidates_of(const Bytes& file) {
  const auto image = ElfImage::parse(file);
  EXPECT_TRUE(image.ok());
  std::vector<uint64_t> found;
  for (const Candidate& candidate : find_candidates(*image))
    found.push_back(candidate.address.value);
  return found;
}

TEST(Candidates, AreFoundAtEveryOffsetOfEveryLength) {
  for (size_t size = 2; size <= 140; ++size) {
    for (size_t at = 0; at + 2 <= size; ++at) {
      Bytes code = repeat(0x90, size);
      code[at] = std::byte{0x0f};
      code[at + 1] = std::byte{0x05};
      ASSERT_EQ(candidates_of(ElfBuilder().code(kCode, code).build()),
                std::vector<uint64_t>{kCode + at})
          << at << " of " << size;
    }
  }
}

TEST(Candidates, NeedBothBytesInOneSegment) {
  EXPECT_TRUE(
      candidates_of(ElfBuilder().code(kCode, repeat(0x90, 15) + hex("0f")).build()).empty());
  EXPECT_TRUE(
      candidates_of(ElfBuilder().code(kCode, repeat(0x90, 31) + hex("0f")).build()).empty());
  EXPECT_TRUE(candidates_of(ElfBuilder().code(kCode, hex("05 90")).build()).empty());
}

TEST(Candidates, AreSeenAcrossTwoAdjoiningSegments) {
  const auto cut = [](uint64_t second, uint32_t flags) {
    return ElfBuilder()
        .code(kCode, hex("b8 27 00 00 00") + repeat(0x90, 0xffa) + hex("0f"))
        .segment(second, hex("05 c3"), flags)
        .build();
  };
  constexpr uint32_t kCodeFlags = elf::kFlagRead | elf::kFlagExec;
  EXPECT_EQ(candidates_of(cut(kCode + 0x1000, kCodeFlags)), std::vector<uint64_t>{kCode + 0xfff});
  EXPECT_TRUE(candidates_of(cut(kCode + 0x2000, kCodeFlags)).empty());
  EXPECT_TRUE(candidates_of(cut(kCode + 0x1000, elf::kFlagRead)).empty());
  // Nothing can be done about it but to say so.
  for (const auto policy : {UncertainPolicy::kLeave, UncertainPolicy::kPatch}) {
    Options options;
    options.uncertain = policy;
    const Whole whole = rewrite_whole(cut(kCode + 0x1000, kCodeFlags), options);
    ASSERT_EQ(whole.report.candidates.size(), 1U);
    EXPECT_EQ(whole.report.candidates[0].kind, CandidateClass::kUncertain);
    EXPECT_EQ(whole.report.candidates[0].evidence, CandidateEvidence::kTwoSegments);
    EXPECT_TRUE(whole.report.incomplete());
    EXPECT_TRUE(verify(whole.output).proven());
  }
}

TEST(Candidates, AreLookedForInExecutableSegmentsOnly) {
  const Bytes file = ElfBuilder()
                         .code(0x401000, hex("0f 05"))
                         .data(0x402000, hex("0f 05"))
                         .segment(0x403000, hex("0f 05"), elf::kFlagRead)
                         .segment(0x404000, hex("0f 05"), elf::kFlagExec)
                         .segment(0x405000, hex("0f 05"), 7)
                         .build();
  EXPECT_EQ(candidates_of(file), (std::vector<uint64_t>{0x401000, 0x404000, 0x405000}));
}

TEST(Candidates, AreTheThreeWaysIntoTheKernel) {
  const Bytes file = ElfBuilder().code(kCode, hex("0f 34 cd 80 0f 05 0f 0f 05 cd cd 80")).build();
  const auto image = ElfImage::parse(file);
  std::vector<std::pair<uint64_t, PairKind>> found;
  for (const Candidate& c : find_candidates(*image)) found.emplace_back(c.address.value, c.kind);
  EXPECT_EQ(found, (std::vector<std::pair<uint64_t, PairKind>>{{kCode, PairKind::kSysenter},
                                                               {kCode + 2, PairKind::kInt80},
                                                               {kCode + 4, PairKind::kSyscall},
                                                               {kCode + 7, PairKind::kSyscall},
                                                               {kCode + 10, PairKind::kInt80}}));
}

TEST(Candidates, AreThoseOfAPlainScanOverRandomBytes) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 20; ++round) {
    Bytes code = random_bytes(random, 5000 + static_cast<size_t>(round));
    constexpr uint8_t kFrequent[] = {0x0f, 0x05, 0x34, 0xcd, 0x80};
    for (std::byte& byte : code)
      if (random() % 2 == 0) byte = static_cast<std::byte>(kFrequent[random() % 5]);
    std::vector<uint64_t> plain;
    for (size_t i = 0; i + 2 <= code.size(); ++i) {
      const auto a = std::to_integer<int>(code[i]), b = std::to_integer<int>(code[i + 1]);
      if ((a == 0x0f && (b == 0x05 || b == 0x34)) || (a == 0xcd && b == 0x80))
        plain.push_back(kCode + i);
    }
    ASSERT_EQ(candidates_of(ElfBuilder().code(kCode, code).build()), plain);
  }
}

}  // namespace

}  // namespace sysrewrite
