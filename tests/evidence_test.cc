// What speaks against a patch: relocations, pointers and addresses that code takes, each against
// the plainest way to find the same.
#include "rewriter/evidence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "rewriter/relocations.h"
#include "tests/elf_builder.h"

namespace sysrewrite {

namespace {

using namespace test;

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
