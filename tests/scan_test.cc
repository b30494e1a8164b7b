// What runs over all code at memory speed, each against the plainest way to do the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "rewriter/evidence.h"
#include "rewriter/patch_points.h"
#include "tests/elf_builder.h"

namespace sysrewrite {

namespace {

using namespace test;

// --- Branches
// --------------------------------------------------------------------------------------

// Every position is taken for each kind of branch, one after the other.
std::vector<uint64_t> plain_branches(const Bytes& code, uint64_t start, const RangeSet& ranges) {
  std::vector<uint64_t> found;
  const auto byte = [&code](size_t i) { return std::to_integer<uint32_t>(code[i]); };
  const auto target = [&](uint64_t end, int64_t displacement) {
    const uint64_t to = start + end + static_cast<uint64_t>(displacement);
    if (ranges.contains(to)) found.push_back(to);
  };
  for (size_t i = 0; i < code.size(); ++i) {
    const bool short_branch = (byte(i) >= 0x70 && byte(i) <= 0x7f) || byte(i) == 0xeb ||
                              (byte(i) >= 0xe0 && byte(i) <= 0xe3);
    if (short_branch && i + 2 <= code.size()) target(i + 2, static_cast<int8_t>(byte(i + 1)));
    size_t opcode = 0;
    if (byte(i) == 0xe8 || byte(i) == 0xe9) opcode = 1;
    if (byte(i) == 0x0f && i + 1 < code.size() && byte(i + 1) >= 0x80 && byte(i + 1) <= 0x8f)
      opcode = 2;
    if (byte(i) == 0xc7 && i + 1 < code.size() && byte(i + 1) == 0xf8) opcode = 2;
    if (opcode != 0 && i + opcode + 4 <= code.size())
      target(i + opcode + 4, *load<int32_t>(code, i + opcode));
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<uint64_t> scanned_branches(const Bytes& code, uint64_t start, const RangeSet& ranges) {
  const Bytes file = ElfBuilder(elf::kTypeDyn).code(start, code).build();
  const auto image = ElfImage::parse(file);
  EXPECT_TRUE(image.ok());
  std::vector<uint64_t> found;
  for (const PossibleBranch& branch : scan_code(*image, ranges).branches)
    found.push_back(branch.target);
  std::sort(found.begin(), found.end());
  return found;
}

TEST(BranchScan, FindsEachKindOfBranch) {
  const struct {
    const char* bytes;
    uint64_t target;
  } kBranches[] = {
      {"70 10", 0x12},
      {"7f 10", 0x12},
      {"eb 10", 0x12},
      {"e0 10", 0x12},
      {"e1 10", 0x12},
      {"e2 10", 0x12},
      {"e3 10", 0x12},
      {"e9 10 00 00 00", 0x15},
      {"e8 10 00 00 00", 0x15},
      {"0f 80 10 00 00 00", 0x16},
      {"0f 8f 10 00 00 00", 0x16},
      {"c7 f8 10 00 00 00", 0x16},
      {"2e 74 10", 0x13},
      {"f2 e9 10 00 00 00", 0x16},
      {"67 e3 10", 0x13},
  };
  for (const auto& branch : kBranches) {
    for (uint64_t at = 0; at < 40; ++at) {
      Bytes code = repeat(0, at) + hex(branch.bytes);
      code.resize(100);
      RangeSet ranges;
      ranges.add({0x1000 + at + branch.target}, {0x1000 + at + branch.target + 1});
      ranges.seal();
      ASSERT_EQ(scanned_branches(code, 0x1000, ranges).size(), 1U) << branch.bytes << " at " << at;
    }
  }
}

TEST(BranchScan, SeesBranchesAtTheEdgesOfTheSegment) {
  RangeSet first, last;
  first.add({0x1000}, {0x1001});
  first.seal();
  EXPECT_EQ(scanned_branches(hex("eb fe"), 0x1000, first).size(), 1U);
  EXPECT_EQ(scanned_branches(hex("e9 fb ff ff ff"), 0x1000, first).size(), 1U);
  EXPECT_TRUE(scanned_branches(hex("e9 fb ff ff"), 0x1000, first).empty());
  EXPECT_TRUE(scanned_branches(hex("eb"), 0x1000, first).empty());
  Bytes code = repeat(0x90, 200) + hex("eb fe");
  last.add({0x1000 + 200}, {0x1000 + 201});
  last.seal();
  EXPECT_EQ(scanned_branches(code, 0x1000, last).size(), 1U);
}

TEST(BranchScan, FindsWhatAPlainScanFindsOverRandomBytes) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 30; ++round) {
    const size_t size = 1 + random() % 3000;
    Bytes code = random_bytes(random, size);
    for (size_t i = 0; i + 6 < size; ++i) {  // make long branches that stay near likely
      const auto kind = random() % 16;
      if (kind > 2) continue;
      const Bytes branch =
          (kind == 0   ? hex("e9")
           : kind == 1 ? hex("0f 84")
                       : hex("c7 f8")) +
          bytes_of(static_cast<int32_t>(random() % size) - static_cast<int32_t>(size / 2));
      std::copy(branch.begin(), branch.end(), code.begin() + static_cast<std::ptrdiff_t>(i));
    }
    const uint64_t start = round % 3 == 0 ? 0 : 0x1000 * (1 + random() % 1000);
    RangeSet ranges;
    for (int i = 0; i < 20; ++i) {
      const uint64_t from = start + random() % size;
      // Far enough apart that merged ranges do not hide which one a branch was found for.
      ranges.add({from}, {from + 1 + random() % 12});
    }
    ranges.seal();
    ASSERT_EQ(scanned_branches(code, start, ranges), plain_branches(code, start, ranges)) << round;
  }
}

// At every place of the 64 that are looked at together.
TEST(OperandScan, FindsModRmBytesWhoseOperandMayMeetARange) {
  const auto found = [](uint64_t at, const std::string& bytes, uint64_t from, uint64_t to) {
    Bytes code = repeat(0, at) + hex(bytes);
    code.resize(200);
    RangeSet ranges;
    ranges.add({from}, {to});
    ranges.seal();
    const Bytes file = ElfBuilder(elf::kTypeDyn).code(0x1000, code).build();
    return scan_code(*ElfImage::parse(file), ranges).operands;
  };
  for (uint64_t at = 0; at < 70; ++at) {
    const uint64_t end = 0x1000 + at + 6;
    const std::vector<uint64_t> modrm{0x1001 + at};
    EXPECT_EQ(found(at, "8b 05 00 10 00 00", end + 0x1000, end + 0x1001), modrm);
    EXPECT_EQ(found(at, "8b 3d 00 10 00 00", end + 0x1000, end + 0x1001), modrm);
    EXPECT_EQ(found(at, "8b 3d 00 10 00 00", end + 0x1000 + 67, end + 0x1100), modrm);
    EXPECT_TRUE(found(at, "8b 3d 00 10 00 00", end + 0x1000 + 68, end + 0x1100).empty());
    EXPECT_TRUE(found(at, "8b 3d 00 10 00 00", end + 0xf00, end + 0x1000).empty());
    EXPECT_TRUE(found(at, "8b 45 00 10 00 00", end + 0x1000, end + 0x1001).empty());
  }
}

TEST(BranchScan, CrossesSegments) {
  const Bytes file = ElfBuilder(elf::kTypeDyn)
                         .code(0x1000, hex("e9 fb 0f 00 00"))  // jmp 0x2000
                         .code(0x2000, hex("90 90"))
                         .build();
  const auto image = ElfImage::parse(file);
  RangeSet ranges;
  ranges.add({0x2000}, {0x2001});
  ranges.seal();
  const std::vector<PossibleBranch> found = scan_code(*image, ranges).branches;
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].target, 0x2000U);
}

// --- Patch points
// ----------------------------------------------------------------------------------

std::vector<uint64_t> patch_points(const ElfBuilder& builder) {
  const Bytes file = builder.build();
  const auto image = ElfImage::parse(file);
  EXPECT_TRUE(image.ok());
  RangeSet ranges;
  ranges.add({0x1000}, {0x1100});
  ranges.seal();
  return scan_patch_points(*image, ranges);
}

std::vector<uint64_t> bytes_from(uint64_t from, uint64_t to) {
  std::vector<uint64_t> all;
  for (; from < to; ++from) all.push_back(from);
  return all;
}

TEST(PatchPoints, AreReadFromEachList) {
  const auto listed = [](const char* name, const Bytes& list) {
    return patch_points(ElfBuilder(elf::kTypeDyn)
                            .code(0x1000, hex("c3 f3 0f 1e fa 90 66 90 c3") + Bytes(0x1000))
                            .data(0x3000, list)
                            .section(name, 1, 3, 0x3000, list.size()));
  };
  EXPECT_EQ(
      listed("__mcount_loc", words({0x1020, 0x9000, 0xffe, UINT64_MAX})),
      (std::vector<uint64_t>{0x1000, 0x1001, 0x1002, 0x1020, 0x1021, 0x1022, 0x1023, 0x1024}));
  EXPECT_EQ(listed("__patchable_function_entries", words({0x1001, 0x1005, 0x1001})),
            bytes_from(0x1005, 0x1008));
  EXPECT_EQ(listed("xray_instr_map", words({0x10f8, 0, 0, 0})), bytes_from(0x10f8, 0x1100));
  EXPECT_EQ(listed("xray_instr_map", words({0 - uint64_t{0x3000 - 0x1010}, 0, 0x20000, 0})),
            bytes_from(0x1010, 0x101b));
  EXPECT_EQ(listed("__rseq_cs", words({0, 0xffc, 6, 0})), bytes_from(0x1000, 0x1002));
  // Long ones, which may overlap; what leaves the address space is none.
  EXPECT_EQ(listed("__rseq_cs", words({0, 0x1080, 70000, 0, 0, 0x1010, 65537, 0})),
            bytes_from(0x1010, 0x1100));
  EXPECT_EQ(listed("__rseq_cs", words({0, 0x1000, UINT64_MAX, 0})), std::vector<uint64_t>{});
  EXPECT_EQ(
      listed(".note.stapsdt", hex("00 00 00 00 18 00 00 00 03 00 00 00") + words({0x1006, 0, 0})),
      bytes_from(0x1006, 0x1008));
  EXPECT_EQ(listed(".data", words({0x1020})), std::vector<uint64_t>{});
}

// Each list counts from where it begins.
TEST(PatchPoints, AreReadFromRelocationsOfTheListThatTheyWriteTo) {
  EXPECT_EQ(
      patch_points(ElfBuilder(elf::kTypeDyn)
                       .code(0x1000, Bytes(0x1000))
                       .data(0x3000, Bytes(40) + words({0, 0, 1, 0}))
                       .section("xray_instr_map", 1, 3, 0x3008, 32)
                       .section("__mcount_loc", 1, 3, 0x3000, 8)
                       .section("__rseq_cs", 1, 3, 0x3028, 32)
                       .data(0x4000, words({0x3000, 8, 0x1010, 0x3004, 8, 0x1020,  //
                                            0x3008, 8, 0x1030, 0x3010, 8, 0x1050,  //
                                            0x3028, 8, 0x1060, 0x3030, 8, 0x1070,  //
                                            0x3048, 8, 0x1080, 0x2ff8, 8, 0x1090}))
                       .dynamic(0x6000, {{elf::kDtRela, 0x4000}, {elf::kDtRelasz, 192}})),
      (std::vector<uint64_t>{0x1010, 0x1011, 0x1012, 0x1013, 0x1014, 0x1030, 0x1031, 0x1032, 0x1033,
                             0x1034, 0x1035, 0x1036, 0x1037, 0x1038, 0x1039, 0x103a, 0x1070}));
}

}  // namespace

}  // namespace sysrewrite
