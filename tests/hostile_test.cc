// Bad input. Whatever bytes come in, a rewrite either fails with a message or gives an output whose
// own trailer holds; under the sanitizers, without a read outside. A change of a header that
// nothing here depends on (e_flags, p_paddr) is no error.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstddef>
#include <random>

#include "rewriter/inspect.h"
#include "rewriter/symbol_names.h"
#include "tests/rewrites.h"
#include "tests/sample_files.h"
#include "tests/sanitized.h"

namespace sysrewrite {

namespace {

using namespace test;

struct Field {
  uint64_t offset;
  unsigned size;
};

#define FIELD(type, name) \
  { offsetof(elf::type, name), sizeof(elf::type::name) }

const std::vector<Field> kEhdrFields = {{4, 1},
                                        {5, 1},
                                        {6, 1},
                                        {7, 1},
                                        FIELD(Ehdr, type),
                                        FIELD(Ehdr, machine),
                                        FIELD(Ehdr, version),
                                        FIELD(Ehdr, entry),
                                        FIELD(Ehdr, phoff),
                                        FIELD(Ehdr, shoff),
                                        FIELD(Ehdr, flags),
                                        FIELD(Ehdr, ehsize),
                                        FIELD(Ehdr, phentsize),
                                        FIELD(Ehdr, phnum),
                                        FIELD(Ehdr, shentsize),
                                        FIELD(Ehdr, shnum),
                                        FIELD(Ehdr, shstrndx)};
const std::vector<Field> kPhdrFields = {FIELD(Phdr, type),  FIELD(Phdr, flags), FIELD(Phdr, offset),
                                        FIELD(Phdr, vaddr), FIELD(Phdr, paddr), FIELD(Phdr, filesz),
                                        FIELD(Phdr, memsz), FIELD(Phdr, align)};
const std::vector<Field> kShdrFields = {
    FIELD(Shdr, name),      FIELD(Shdr, type),   FIELD(Shdr, flags), FIELD(Shdr, addr),
    FIELD(Shdr, offset),    FIELD(Shdr, size),   FIELD(Shdr, link),  FIELD(Shdr, info),
    FIELD(Shdr, addralign), FIELD(Shdr, entsize)};
const std::vector<Field> kDynFields = {FIELD(Dyn, tag), FIELD(Dyn, value)};
const std::vector<Field> kSymFields = {FIELD(Sym, name), FIELD(Sym, info), FIELD(Sym, shndx),
                                       FIELD(Sym, value), FIELD(Sym, size)};

// The rewrite fails with a sentence, or its output holds.
void survive(ByteView input, const std::string& what) {
  const auto rewritten = rewrite(input, {});
  if (!rewritten) {
    ASSERT_FALSE(rewritten.error().message.empty()) << what;
    ASSERT_EQ(rewritten.error().message.find('\n'), std::string::npos) << what;
    return;
  }
  if (rewritten->report.already_rewritten) return;
  const Bytes output = materialize(input, rewritten->output);
  const auto parsed = RewrittenFile::parse(output);
  ASSERT_EQ(parsed.status, TrailerStatus::kValid) << what << ": " << parsed.problem;
  ASSERT_EQ(parsed.file.checksum(), parsed.file.meta().checksum) << what;
}

class Liar {
 public:
  // Of the fields one in `every` is tried.
  Liar(Bytes file, int random_values, size_t every = 1)
      : file_(std::move(file)), random_values_(random_values), every_(every) {}

  // Each field of a structure at `at` becomes 0, 1, its maximum, and random values.
  void lie(const char* what, uint64_t at, const std::vector<Field>& fields) {
    for (const Field& field : fields) {
      if (++field_ % every_ != 0) continue;
      std::vector<uint64_t> values = {0, 1, UINT64_MAX};
      for (int i = 0; i < random_values_; ++i) values.push_back(random_() >> (random_() % 64));
      const uint64_t here = at + field.offset;
      const Bytes before(file_.begin() + static_cast<std::ptrdiff_t>(here),
                         file_.begin() + static_cast<std::ptrdiff_t>(here + field.size));
      for (const uint64_t value : values) {
        std::memcpy(file_.data() + here, &value, field.size);
        survive(file_, fmt::format("{} + {} = {:#x}", what, field.offset, value));
      }
      std::copy(before.begin(), before.end(), file_.begin() + static_cast<std::ptrdiff_t>(here));
    }
  }

  void lie_about_headers() {
    lie("e_ident", 0, kEhdrFields);
    const auto ehdr = *load<elf::Ehdr>(file_, 0);
    for (uint64_t i = 0; i < ehdr.phnum; ++i)
      lie(fmt::format("program header {}", i).c_str(), ehdr.phoff + i * sizeof(elf::Phdr),
          kPhdrFields);
  }

  // At most `most` of them, spread over the table.
  void lie_about_sections(uint64_t most) {
    const auto ehdr = *load<elf::Ehdr>(file_, 0);
    const uint64_t step = std::max<uint64_t>(1, ehdr.shnum / most);
    for (uint64_t i = 0; i < ehdr.shnum; i += step)
      lie(fmt::format("section header {}", i).c_str(), ehdr.shoff + i * sizeof(elf::Shdr),
          kShdrFields);
  }

 private:
  Bytes file_;
  int random_values_;
  size_t every_, field_ = 0;
  std::mt19937_64 random_{6};
};

// A little of everything that is read: symbols, unwind tables, relocations, Go's table, a path.
constexpr uint64_t kFrames = 0x404000, kHeader = 0x406000, kRela = 0x408000, kRelr = 0x40a000,
                   kGo = 0x40c000, kDynamic = 0x40e000, kHash = 0x410000, kLsda = 0x412000;

Bytes rich_file() {
  const Bytes code = hex("b8 27 00 00 00 0f 05 c3 cc cc cc cc cc cc cc cc") +
                     hex("6a 27 58 0f 05 c3 0f 1f 44 00 00 66 0f 1f 44 00");
  const Bytes frames = eh_frame(kFrames, {{kCode, 8, kLsda}, {kCode + 16, 6}});
  const Bytes go =
      hex("f1 ff ff ff 00 00 01 08") + words({2, 0, kCode, 0, 0, 0, 0, 72}) + words({0, 16, 48, 0});
  const Bytes hash = bytes_of(uint32_t{1}) + bytes_of(uint32_t{1}) + bytes_of(uint32_t{1}) +
                     bytes_of(uint32_t{0}) + words({0}) + bytes_of(uint32_t{0}) +
                     bytes_of(uint32_t{1});
  return ElfBuilder()
      .interpreter("/lib64/ld-linux-x86-64.so.2")
      .code(kCode, code)
      .segment(kFrames, frames, elf::kFlagRead)
      .segment(kHeader, eh_frame_header(kHeader, kFrames), elf::kFlagRead)
      .header(elf::kPtGnuEhFrame, kHeader, 8)
      .data(kRela, words({kRela, 8, kCode + 3}))
      .data(kRelr, words({kRelr, 3}))
      .segment(kGo, go, elf::kFlagRead)
      .dynamic(kDynamic, {{elf::kDtRela, kRela},
                          {elf::kDtRelasz, 24},
                          {elf::kDtRelr, kRelr},
                          {elf::kDtRelrsz, 16},
                          {elf::kDtRel, kRelr},
                          {elf::kDtRelsz, 16},
                          {elf::kDtJmprel, kRela},
                          {elf::kDtPltrelsz, 24},
                          {elf::kDtSymtab, kRela},
                          {elf::kDtStrtab, kRela},
                          {elf::kDtStrsz, 8},
                          {elf::kDtGnuHash, kHash},
                          {elf::kDtInit, kCode},
                          {elf::kDtFlags1, 0}})
      .data(kHash, hash)
      .segment(kLsda, hex("ff ff 01 04 00 05 03 00"), elf::kFlagRead)
      .symbol("f", kCode, 8)
      .symbol("g", kCode + 16, 6)
      .symbol("table", kCode + 8, 4, elf::kSttObject)
      .section(".text", 1, 6, kCode, code.size())
      .section(".eh_frame", 1, 2, kFrames, frames.size())
      .section(".gopclntab", 1, 2, kGo, go.size())
      .build();
}

TEST(BadInput, TheRichFileIsGood) {
  const Whole whole = rewrite_whole(rich_file());
  EXPECT_EQ(whole.report.sites.size(), 2U);
}

TEST(BadInput, SurvivesEveryTruncationOfASmallFile) {
  const Bytes file = rich_file();
  const auto image = ElfImage::parse(file);
  ASSERT_TRUE(image.ok());
  const Segment& last = image->segments().back();
  for (size_t size = 0; size < file.size(); ++size) {
    const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    survive(cut, fmt::format("{} bytes", size));
    const bool program_is_whole = size >= last.offset.value + last.file_size;
    ASSERT_TRUE(program_is_whole || !rewrite(cut, {}).ok()) << size;
  }
}

TEST(BadInput, SurvivesLiesAboutEveryHeaderOfASmallFile) {
  Liar liar(rich_file(), 12);
  liar.lie_about_headers();
  liar.lie_about_sections(100);
}

TEST(BadInput, SurvivesLiesAboutEveryTableOfASmallFile) {
  const Bytes file = rich_file();
  const auto image = ElfImage::parse(file);
  ASSERT_TRUE(image.ok());
  Liar liar(file, 8);
  const uint64_t dynamic = image->find_header(elf::kPtDynamic)->offset;
  for (uint64_t i = 0; i < 15; ++i) liar.lie("dynamic", dynamic + i * 16, kDynFields);
  for (const elf::Shdr& section : image->sections())
    if (section.type == elf::kShtSymtab)
      for (uint64_t at = 0; at < section.size; at += sizeof(elf::Sym))
        liar.lie("symbol", section.offset + at, kSymFields);
  // Tables without a fixed structure: each 4 and each 1 bytes of them.
  const auto words_of = [&](const char* what, uint64_t address, uint64_t size) {
    const uint64_t offset = image->offset_of({address})->value;
    for (uint64_t at = 0; at + 4 <= size; at += 4) liar.lie(what, offset + at, {{0, 4}, {1, 1}});
  };
  words_of(".eh_frame", kFrames, 80);
  words_of(".eh_frame_hdr", kHeader, 8);
  words_of("rela", kRela, 24);
  words_of("relr", kRelr, 16);
  words_of("go", kGo, 104);
  words_of("hash", kHash, 32);
  words_of("landing pads", kLsda, 8);
}

class BadRealInput : public testing::TestWithParam<SampleFile> {};

TEST_P(BadRealInput, IsRefusedTruncatedAtEveryByteOfItsHeaders) {
  const Bytes file = read_sample(GetParam());
  const auto ehdr = *load<elf::Ehdr>(file, 0);
  const uint64_t end = ehdr.phoff + ehdr.phnum * sizeof(elf::Phdr);
  for (uint64_t size = 0; size <= end; ++size) {
    // Of its own allocation, so that a sanitizer sees the end.
    const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const auto rewritten = rewrite(cut, {});
    ASSERT_FALSE(rewritten.ok()) << size;
    ASSERT_FALSE(rewritten.error().message.empty()) << size;
  }
}

TEST_P(BadRealInput, SurvivesTruncationAnywhere) {
  const Bytes file = read_sample(GetParam());
  for (int i = 1; i < 20; ++i) {
    const size_t size = file.size() * static_cast<size_t>(i) / 20;
    survive(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)),
            fmt::format("{} bytes", size));
  }
}

TEST_P(BadRealInput, SurvivesLiesAboutItsHeaders) {
  Liar liar(read_sample(GetParam()), one_in(3) == 1 ? 2 : 0, one_in(3));
  liar.lie_about_headers();
  liar.lie_about_sections(3);
}

INSTANTIATE_TEST_SUITE_P(Samples, BadRealInput, testing::Values(kBusybox, kMusl, kStaticPie, kLdSo),
                         [](const auto& param) { return std::string(param.param.name); });

// --- Cost
// ------------------------------------------------------------------------------------------

// Peak of this process's memory so far, in bytes.
uint64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

// A site costs a stub, a record and its window, a kilobyte in all while the plan is made.
TEST(BadInput, OfNothingButSystemCallsTakesMemoryInProportion) {
  const size_t kCount = (1U << 17) / one_in(5);
  Bytes code(2 * kCount);
  for (size_t i = 0; i < code.size(); ++i) code[i] = i % 2 == 0 ? std::byte{0x0f} : std::byte{5};
  const Bytes file = code_file(code).build();
  const uint64_t before = peak_memory();
  survive(file, fmt::format("{} system calls", kCount));
  // A sanitizer keeps what is freed, and puts some around what is not.
  EXPECT_TRUE(kSanitized || peak_memory() - before < kCount * 1500) << peak_memory() - before;
}

// A function is decoded once for all its candidates; fifty thousand functions that all reach to the
// end of the code would each be decoded anew, for hours.
TEST(BadInput, OfFunctionsThatOverlapTakesTimeInProportion) {
  constexpr size_t kCount = 50000, kEach = 64;
  Bytes one = hex("6a 27 58 0f 05 0f 1f 00"), code;  // push; pop; syscall; nops
  while (one.size() < kEach) one = std::move(one) + hex("0f 1f 84 00 00 00 00 00");
  std::vector<Frame> frames;
  for (size_t i = 0; i < kCount; ++i) {
    const uint64_t start = kCode + code.size();
    frames.push_back({start, kCount * kEach - code.size()});
    code = std::move(code) + one;
  }
  constexpr uint64_t kTable = 0x10000000;
  const Bytes table = eh_frame(kTable, frames);
  const Bytes file = ElfBuilder()
                         .code(kCode, code)
                         .segment(kTable, table, elf::kFlagRead)
                         .section(".eh_frame", 1, 2, kTable, table.size())
                         .build();
  survive(file, "overlapping functions");
}

// Table starts and table entries in one long run, near a site: each entry counts from each start.
TEST(BadInput, OfJumpTablesThatOverlapTakesTimeInProportion) {
  constexpr size_t kCount = 30000;
  constexpr uint64_t kTable = 0x10000000;
  Bytes code = hex("6a 27 58 0f 05 c3"), table;
  for (size_t i = 0; i < kCount; ++i) {
    const uint64_t end = kCode + code.size() + 7;
    code = std::move(code) + hex("48 8d 0d") + bytes_of(static_cast<int32_t>(kTable + 4 * i - end));
    table = std::move(table) + bytes_of(static_cast<int32_t>(kCode - kTable));
  }
  survive(code_file(code).segment(kTable, table, elf::kFlagRead).build(), "overlapping tables");
}

// Headers that all name one range, each of which is a table to be read.
TEST(BadInput, OfTablesThatShareBytesTakesTimeInProportion) {
  constexpr uint64_t kCount = 20000, kSize = 1 << 20, kTable = 0x10000000;
  const auto file = [&](const char* name, uint32_t type) {
    ElfBuilder builder = code_file(hex("6a 27 58 0f 05 c3"));
    builder.segment(kTable, Bytes(kSize), elf::kFlagRead);
    for (uint64_t i = 0; i < kCount; ++i) builder.section(name, type, 2, kTable, kSize);
    return builder.build();
  };
  for (const char* name : {"__mcount_loc", "__patchable_function_entries", "xray_instr_map",
                           "__rseq_cs", ".note.stapsdt", ".symbols"}) {
    const bool symbols = std::string(name) == ".symbols";
    const Error error = rewrite_error(file(name, symbols ? elf::kShtSymtab : elf::kShtProgbits));
    EXPECT_NE(error.message.find("share bytes of the file"), std::string::npos) << error.message;
  }
}

// Each relocation may write to any of the lists.
TEST(BadInput, OfManyListsAndRelocationsTakesTimeInProportion) {
  constexpr uint64_t kLists = 50000, kTable = 0x10000000, kRelocations = 0x20000000, kWords = 16000;
  ElfBuilder builder = code_file(hex("6a 27 58 0f 05 c3"));
  builder.segment(kTable, Bytes(kLists * 8), elf::kFlagRead);
  for (uint64_t i = 0; i < kLists; ++i)
    builder.section("__mcount_loc", elf::kShtProgbits, 2, kTable + i * 8, 8);
  Bytes relocations = words({kTable});
  for (uint64_t i = 0; i < kWords; ++i) relocations = std::move(relocations) + words({UINT64_MAX});
  const uint64_t size = relocations.size();
  builder.data(kRelocations, std::move(relocations))
      .dynamic(0x30000000, {{elf::kDtRelr, kRelocations}, {elf::kDtRelrsz, size}});
  survive(builder.build(), "many lists and relocations");
}

// Entries of a list that all name one run of nops next to a system call.
TEST(BadInput, OfEntriesThatShareNopsTakesTimeAndMemoryInProportion) {
  constexpr uint64_t kCount = 1 << 18, kTable = 0x10000000;
  Bytes entries, code = hex("6a 27 58 0f 05");
  const uint64_t nops = kCode + code.size();
  for (uint64_t i = 0; i < kCount; ++i) entries = std::move(entries) + words({nops});
  for (int i = 0; i < 300; ++i) code.push_back(std::byte{0x90});
  code.push_back(std::byte{0xc3});
  const uint64_t size = entries.size();
  const Bytes file = code_file(code)
                         .segment(kTable, std::move(entries), elf::kFlagRead)
                         .section("__patchable_function_entries", 1, 2, kTable, size)
                         .build();
  const uint64_t before = peak_memory();
  survive(file, "entries that share nops");
  EXPECT_TRUE(kSanitized || peak_memory() - before < file.size() * 10) << peak_memory() - before;
}

// Thousands of functions that reach up to one padding, and say that the unwinder enters them where
// one large list says.
TEST(BadInput, OfFunctionsThatShareLandingPadsTakesTimeInProportion) {
  constexpr uint64_t kCount = 3000, kLarge = 8 << 20, kTable = 0x10000000, kPads = 0x20000000;
  Bytes code(kCount, std::byte{0x90});
  code = std::move(code) + hex("b8 27 00 00 00 0f 05 c3");
  for (int i = 0; i < 48; ++i) code.push_back(std::byte{0x90});
  code = std::move(code) + hex("0f 0b") + Bytes(4 << 20, std::byte{0xcc});
  std::vector<Frame> frames;
  for (uint64_t i = 0; i < kCount; ++i) frames.push_back({kCode + i, kCount + 8 + 48 - i, kPads});
  const Bytes table = eh_frame(kTable, frames);
  // Sites of four bytes: start, length, landing pad, action, all 0.
  const Bytes pads = hex("ff ff 01  80 80 80 04") + Bytes(kLarge);
  survive(ElfBuilder()
              .code(kCode, code)
              .segment(kTable, table, elf::kFlagRead)
              .segment(kPads, pads, elf::kFlagRead)
              .section(".eh_frame", 1, 2, kTable, table.size())
              .build(),
          "functions that share landing pads");
}

// Aliases of one function that all have one of two equal names, as long as the rest of the file.
TEST(BadInput, OfSymbolsThatShareALongNameTakesTimeInProportion) {
  const uint64_t kCount = 100000 / one_in(5);
  const std::string name(1 << 21, 'a');
  ElfBuilder builder = code_file(hex("6a 27 58 0f 05 c3"));
  const uint64_t address = kCode + 2;
  builder.symbol(name, address, 4).symbol(name, address, 4);
  for (uint64_t i = 0; i < kCount; ++i) builder.symbol("", address, 4);
  Bytes file = builder.build();
  const auto headers = load<elf::Ehdr>(file, 0)->shoff;
  const auto table = load<elf::Shdr>(file, headers + sizeof(elf::Shdr));
  ASSERT_EQ(table->type, elf::kShtSymtab);
  const uint64_t shared = table->offset + 4 * sizeof(elf::Sym);  // behind null, f and the two
  for (uint64_t i = 0; i < kCount; ++i) {
    const auto offset = *load<uint32_t>(file, shared - (1 + i % 2) * sizeof(elf::Sym));
    file = with(std::move(file), shared + i * sizeof(elf::Sym), offset);
  }
  const auto image = ElfImage::parse(file);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(SymbolNames(*image).name_of({kCode + 3}),
            name.substr(0, SymbolNames::kLongestShown) + "...+0x1");
  survive(file, "symbols that share a long name");
}

// One name, shown for each of many pairs inside one function.
TEST(BadInput, OfALongNameForManyPairsTakesMemoryInProportion) {
  const uint64_t kPairs = 4096;
  Bytes code;
  for (uint64_t i = 0; i < kPairs; ++i) code = std::move(code) + hex("b8 0f 05 00 00");
  const Bytes file = ElfBuilder()
                         .code(kCode, code + hex("c3"))
                         .symbol(std::string(16000, 'a'), kCode, code.size() + 1)
                         .build();
  const auto inspection = inspect(file, false);
  ASSERT_TRUE(inspection.ok());
  ASSERT_EQ(inspection->pairs.size(), kPairs);
  uint64_t names = 0;
  for (const InspectedPair& pair : inspection->pairs) names += pair.symbol.size();
  EXPECT_LT(names, kPairs * 1100);
  EXPECT_GT(names, kPairs * 1000);
}

}  // namespace

}  // namespace sysrewrite
