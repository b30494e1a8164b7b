// What runs over a whole file at memory speed, each against the plainest way to do the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "rewriter/candidates.h"
#include "rewriter/evidence.h"
#include "rewriter/patch_points.h"
#include "rewriter/relocations.h"
#include "rewriter/verify.h"
#include "tests/elf_builder.h"
#include "tests/rewrites.h"

namespace sysrewrite {

namespace {

using namespace test;

Bytes random_bytes(std::mt19937_64& random, size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// --- Candidates
// ------------------------------------------------------------------------------------

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

// --- Ranges
// ----------------------------------------------------------------------------------------

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
  EXPECT_EQ(listed("__rseq_cs", words({0, 0x1000, 65537, 0})), std::vector<uint64_t>{});
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

// --- Relocations
// -----------------------------------------------------------------------------------

std::vector<std::pair<uint64_t, uint64_t>> relocations_of(const ElfBuilder& builder) {
  const Bytes file = builder.build();
  const auto image = ElfImage::parse(file);
  EXPECT_TRUE(image.ok());
  std::vector<std::pair<uint64_t, uint64_t>> found;
  for_each_relocation(
      *image, [&found](const Relocation& r) { found.emplace_back(r.place.value, r.target); });
  return found;
}

using Places = std::vector<std::pair<uint64_t, uint64_t>>;

ElfBuilder library() {
  return ElfBuilder(elf::kTypeDyn).code(0x1000, hex("c3"));
}

TEST(Relocations, AreReadFromRelaAndFromThePltsOwnTable) {
  EXPECT_EQ(relocations_of(library()
                               .data(0x3000, words({0x5000, 8, 0x1111, 0x5008, 8, 0x2222}))
                               .data(0x4000, words({0x5010, 7, 0}))
                               .dynamic(0x6000, {{elf::kDtRela, 0x3000},
                                                 {elf::kDtRelasz, 48},
                                                 {elf::kDtJmprel, 0x4000},
                                                 {elf::kDtPltrelsz, 24}})),
            (Places{{0x5000, 0x1111}, {0x5008, 0x2222}, {0x5010, 0}}));
}

// Symbol 1 has the value 0x1008; there is no symbol 9 in the segment.
TEST(Relocations, OfASymbolCountFromItsValue) {
  const uint64_t of_one = uint64_t{1} << 32 | elf::kR64, of_nine = uint64_t{9} << 32 | elf::kR64;
  const auto file = [&](int64_t table, int64_t size_tag, uint64_t size, const Bytes& relocations) {
    return relocations_of(
        library()
            .data(0x3000, relocations)
            .data(0x4000, words({0, 0, 0, 0, 0x1008, 0}))
            .data(0x5000, words({0x20}))
            .dynamic(0x6000, {{table, 0x3000}, {size_tag, size}, {elf::kDtSymtab, 0x4000}}));
  };
  EXPECT_EQ(file(elf::kDtRela, elf::kDtRelasz, 72,
                 words({0x5000, of_one, 3, 0x5008, of_nine, 4, 0x5010, of_one, UINT64_MAX})),
            (Places{{0x5000, 0x100b}, {0x5008, 4}, {0x5010, 0x1007}}));
  EXPECT_EQ(file(elf::kDtRel, elf::kDtRelsz, 16, words({0x5000, of_one})),
            (Places{{0x5000, 0x1028}}));
}

TEST(Relocations, OfRelHaveTheirAddendInPlace) {
  EXPECT_EQ(relocations_of(library()
                               .data(0x3000, words({0x4000, 8, 0x4008, 8, 0x9000, 8}))
                               .data(0x4000, words({0x1111, 0x2222}))
                               .dynamic(0x6000, {{elf::kDtRel, 0x3000}, {elf::kDtRelsz, 48}})),
            (Places{{0x4000, 0x1111}, {0x4008, 0x2222}, {0x9000, 0}}));
}

TEST(Relocations, OfRelrAreWordsAndTheBitmapsBehindThem) {
  Bytes data(size_t{8} * 140);
  for (uint64_t i = 0; i < 140; ++i) data = with(data, i * 8, 0x1000 + i);
  // 0x4000; then bits 1, 3 and 63 of the 63 words behind it; then bit 2 of the next 63.
  const uint64_t first = 1 | 1U << 1 | 1U << 3 | uint64_t{1} << 63, second = 1 | 1U << 2;
  EXPECT_EQ(relocations_of(library()
                               .data(0x3000, words({0x4000, first, second}))
                               .data(0x4000, data)
                               .dynamic(0x6000, {{elf::kDtRelr, 0x3000}, {elf::kDtRelrsz, 24}})),
            (Places{{0x4000, 0x1000},
                    {0x4008, 0x1001},
                    {0x4018, 0x1003},
                    {0x4008 + 62 * 8, 0x1000 + 63},
                    {0x4008 + 63 * 8 + 8, 0x1000 + 65}}));
}

TEST(Relocations, OutsideTheFileArePassedOver) {
  EXPECT_EQ(
      relocations_of(library().dynamic(0x6000, {{elf::kDtRela, 0x3000}, {elf::kDtRelasz, 24}})),
      Places{});
  EXPECT_EQ(relocations_of(library()
                               .data(0x3000, words({0x5000, 8, 1}))
                               .dynamic(0x6000, {{elf::kDtRela, 0x3000}, {elf::kDtRelasz, 25}})),
            Places{});
  EXPECT_EQ(relocations_of(library()
                               .data(0x3000, words({UINT64_MAX - 3, 8, UINT64_MAX}))
                               .dynamic(0x6000, {{elf::kDtRela, 0x3000}, {elf::kDtRelasz, 24}})),
            (Places{{UINT64_MAX - 3, UINT64_MAX}}));
}

// --- Evidence
// --------------------------------------------------------------------------------------

RangeSet one_range(uint64_t from, uint64_t to) {
  RangeSet ranges;
  ranges.add({from}, {to});
  ranges.seal();
  return ranges;
}

TEST(Evidence, FindsPointersAtOddPlacesAndOf32Bits) {
  const Bytes file =
      ElfBuilder().code(kCode, repeat(0x90, 16)).data(0x403000, hex("ff 04 10 40 00 ff")).build();
  const auto image = ElfImage::parse(file);
  EXPECT_EQ(scan_pointers(*image, one_range(kCode, kCode + 16)), std::vector<uint64_t>{kCode + 4});
}

TEST(Evidence, FindsThePointersOfAPlainScanOverRandomBytes) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 100; ++round) {
    // At both ends of the 32 bits too, where a signed comparison would go wrong, and beyond them.
    constexpr uint64_t kBases[] = {0x400000, 0x7fff0000, 0xfffe0000, 0xffff0000, 0x200000000};
    const uint64_t base = kBases[round % 5];
    RangeSet ranges;
    for (int i = 0; i < 5; ++i) {
      const uint64_t from = base + random() % 0x20000;
      ranges.add({from}, {from + 1 + random() % 40});
    }
    ranges.seal();
    Bytes data = random_bytes(random, 4 + static_cast<size_t>(round) + random() % 300);
    for (size_t i = 0; i + 8 <= data.size(); i += 1 + random() % 14) {
      const Range& range = ranges.ranges()[random() % ranges.ranges().size()];
      const uint64_t value = range.from.value - 2 + random() % 40;
      const bool whole = random() % 2 == 0;  // or its low half alone
      const Bytes word = whole ? bytes_of(value) : bytes_of(static_cast<uint32_t>(value));
      std::copy(word.begin(), word.end(), data.begin() + static_cast<std::ptrdiff_t>(i));
    }
    std::vector<uint64_t> plain;
    for (size_t i = 0; i + 4 <= data.size(); ++i) {
      const uint64_t value = *load<uint32_t>(data, i);
      if (ranges.contains(value)) plain.push_back(value);
      const auto whole = load<uint64_t>(data, i);
      if (whole && ranges.contains(*whole)) plain.push_back(*whole);
    }
    std::sort(plain.begin(), plain.end());
    plain.erase(std::unique(plain.begin(), plain.end()), plain.end());
    const Bytes file = ElfBuilder().code(0x1000, repeat(0x90, 4)).data(0x3000, data).build();
    ASSERT_EQ(scan_pointers(*ElfImage::parse(file), ranges), plain) << round;
  }
}

// What address_scan.cc tells in its essay, the long way: every table to the end of its run, once
// for each size of its entries.
template <typename Distance>
void read_tables(const Segment& code, const Segment& segment, ByteView bytes,
                 const std::vector<uint64_t>& tables, const RangeSet& ranges,
                 std::vector<uint64_t>& found) {
  constexpr uint64_t kTable = 65536 * 4;
  for (const uint64_t table : tables) {
    if (table % sizeof(Distance) != 0) continue;
    for (uint64_t at = table - segment.vaddr.value; at + sizeof(Distance) <= bytes.size();
         at += sizeof(Distance)) {
      const auto distance = static_cast<uint64_t>(int64_t{*load<Distance>(bytes, at)});
      const uint64_t counted = segment.vaddr.value + at + distance;
      if (counted - (code.vaddr.value - kTable) >= code.file_size + 2 * kTable) break;
      if (ranges.contains(table + distance)) found.push_back(table + distance);
    }
  }
}

std::vector<uint64_t> plain_taken(const ElfImage& image, const RangeSet& ranges) {
  std::vector<uint64_t> found;
  const Segment& code = image.segments()[0];
  for (const Segment& segment : image.segments()) {
    const ByteView bytes = image.bytes().subspan(segment.offset.value, segment.file_size);
    const ByteView instructions = image.bytes().subspan(code.offset.value, code.file_size);
    std::vector<uint64_t> tables;
    for (uint64_t i = 0; i + 6 <= instructions.size(); ++i) {
      if (instructions[i] != std::byte{0x8d}) continue;
      if ((instructions[i + 1] & std::byte{0xc7}) != std::byte{0x05}) continue;
      const auto taken = code.vaddr.value + i + 6 +
                         static_cast<uint64_t>(int64_t{*load<int32_t>(instructions, i + 2)});
      if (ranges.contains(taken)) found.push_back(taken);
      if (segment.holds({taken})) tables.push_back(taken);
    }
    read_tables<int32_t>(code, segment, bytes, tables, ranges, found);
    read_tables<int64_t>(code, segment, bytes, tables, ranges, found);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

// Tables at any address, of both sizes of entries.
TEST(Evidence, FindsTheTakenAddressesAndTablesOfAPlainScan) {
  std::mt19937_64 random(6);
  size_t hits = 0;
  for (int round = 0; round < 120; ++round) {
    constexpr uint64_t kText = 0x100000, kTextSize = 3000;
    const uint64_t start = 0x140000 + (round % 2 == 0 ? 0 : random() % 16);
    const bool wide = random() % 2 == 0;
    const uint64_t first = (0 - start) % 8, size = wide ? 8 : 4;
    const size_t entries = 1 + random() % 400;
    Bytes text = random_bytes(random, kTextSize), data(first);
    for (size_t i = 0; i + 6 <= kTextSize; i += 6 + random() % 60) {
      const bool of_code = random() % 4 == 0;
      const uint64_t taken = of_code ? kText + random() % kTextSize
                                     : start + first + size * (random() % (entries + 2));
      const Bytes lea = hex("8d 05") + bytes_of(static_cast<int32_t>(taken - kText - i - 6));
      std::copy(lea.begin(), lea.end(), text.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (size_t i = 0; i < entries; ++i) {
      const bool ends = random() % 50 == 0;
      const uint64_t table = start + first + size * (random() % entries);
      const uint64_t distance = kText + random() % kTextSize - table;
      if (wide)
        data = data + bytes_of(ends ? uint64_t{INT64_MAX} : distance);
      else
        data = data + bytes_of(ends ? INT32_MAX : static_cast<int32_t>(distance));
    }
    RangeSet ranges;
    for (int i = 0; i < 10; ++i) {
      const uint64_t from = kText + random() % kTextSize;
      ranges.add({from}, {from + 1 + random() % 20});
    }
    ranges.seal();
    const Bytes file = ElfBuilder(elf::kTypeDyn).code(kText, text).data(start, data).build();
    const auto image = ElfImage::parse(file);
    std::vector<uint64_t> found = scan_taken_addresses(*image, ranges);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    ASSERT_EQ(found, plain_taken(*image, ranges)) << round;
    hits += found.size();
  }
  EXPECT_GT(hits, 400U);
}

TEST(Evidence, BelievesOnlyRelocationsWhereTheImageCanMove) {
  const auto build = [](uint16_t type) {
    return ElfBuilder(type)
        .code(0x1000, repeat(0x90, 16))
        .data(0x3000, words({0x1004, 0x5000, 8, 0x1008}))
        .dynamic(0x6000, {{elf::kDtRela, 0x3008}, {elf::kDtRelasz, 24}})
        .build();
  };
  const Bytes moving = build(elf::kTypeDyn), fixed = build(elf::kTypeExec);
  const RangeSet ranges = one_range(0x1000, 0x1010);
  EXPECT_EQ(scan_pointers(*ElfImage::parse(moving), ranges), std::vector<uint64_t>{0x1008});
  EXPECT_EQ(scan_pointers(*ElfImage::parse(fixed), ranges),
            (std::vector<uint64_t>{0x1004, 0x1008}));
}

TEST(Evidence, TakesARelocationForAsManyBytesAsItsTypeWrites) {
  const auto written = [](uint32_t type) {
    const Bytes file = library()
                           .data(0x3000, words({0x1000 - 2, type, 0}))
                           .dynamic(0x6000, {{elf::kDtRela, 0x3000}, {elf::kDtRelasz, 24}})
                           .build();
    const auto bytes = scan_relocated_bytes(*ElfImage::parse(file), one_range(0x1000, 0x1020));
    for (size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], 0x1000 + i);
    return bytes.size() + 2;
  };
  for (const uint32_t type : {elf::kR64, elf::kRRelative, elf::kRJumpSlot, elf::kRIrelative})
    EXPECT_EQ(written(type), 8U) << type;
  for (const uint32_t type : {elf::kR32, elf::kRPc32}) EXPECT_EQ(written(type), 4U) << type;
  // Two words, and what nobody knows.
  for (const uint32_t type : {elf::kRTlsdesc, uint32_t{5}, uint32_t{999}})
    EXPECT_EQ(written(type), 16U) << type;
}

TEST(Evidence, AnyInIsHalfOpen) {
  const std::vector<uint64_t> list = {10, 20};
  EXPECT_TRUE(Evidence::any_in(list, {10}, {11}));
  EXPECT_FALSE(Evidence::any_in(list, {11}, {20}));
  EXPECT_TRUE(Evidence::any_in(list, {11}, {21}));
  EXPECT_FALSE(Evidence::any_in(list, {21}, {100}));
  EXPECT_FALSE(Evidence::any_in(list, {10}, {10}));
}

}  // namespace

}  // namespace sysrewrite
