// Section headers that make no sense are refused, with the reason; those that do are kept.
#include "rewriter/section_table.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>

#include "tests/rewritten_samples.h"
#include "tests/sample_files.h"

namespace sysrewrite {

namespace {

using namespace test;

Options with_symbols() {
  Options options;
  options.symbols = true;
  options.force = true;  // without section headers their bytes look like a payload
  return options;
}

// The input with one section header changed.
Bytes changed(Bytes file, uint32_t type, const std::function<void(elf::Shdr&)>& change) {
  const auto header = *load<elf::Ehdr>(file, 0);
  for (uint64_t i = 0; i < header.shnum; ++i) {
    const uint64_t at = header.shoff + i * sizeof(elf::Shdr);
    auto section = *load<elf::Shdr>(file, at);
    if (section.type != type) continue;
    change(section);
    return with(std::move(file), at, section);
  }
  ADD_FAILURE() << "no section of type " << type;
  return file;
}

TEST(SectionTable, ThatMakesNoSenseIsRefusedWithTheReason) {
  const Bytes file = every_tier().build();
  const uint16_t count = load<elf::Ehdr>(file, 0)->shnum;
  const Bytes uncounted = counted_by_the_null_entry(file);
  const std::vector<std::pair<Bytes, const char*>> cases = {
      {uncounted, "more of them than e_shnum can say"},
      {with(file, offsetof(elf::Ehdr, shstrndx), uint16_t{0}), "e_shstrndx names section 0"},
      {with(file, offsetof(elf::Ehdr, shstrndx), count), "which is no string table"},
      {with(file, offsetof(elf::Ehdr, shoff), uint64_t{1} << 63), "make no table"},
      {with(file, offsetof(elf::Ehdr, shentsize), uint16_t{63}), "make no table"},
      {changed(file, elf::kShtSymtab, [](elf::Shdr& s) { s.entsize = 23; }), "23 an entry"},
      {changed(file, elf::kShtSymtab, [](elf::Shdr& s) { s.info = 1000; }), "1000 of them local"},
      {changed(file, elf::kShtSymtab, [](elf::Shdr& s) { s.size += 1; }), "an entry"},
      {changed(file, elf::kShtSymtab, [](elf::Shdr& s) { s.size = ~uint64_t{0}; }), "leaves the"},
      {changed(file, elf::kShtSymtab, [](elf::Shdr& s) { s.flags = 2; }), "program's memory"},
      {changed(file, elf::kShtSymtab, [](elf::Shdr& s) { s.link = 0xffff; }), "no string table"},
      {changed(file, elf::kShtStrtab, [](elf::Shdr& s) { s.size -= 1; }), "does not end in NUL"},
      {changed(file, elf::kShtNull, [](elf::Shdr& s) { s.type = 1; }), "not the null entry"}};
  for (const auto& [input, reason] : cases) {
    const Error error = rewrite_error(input, with_symbols());
    EXPECT_EQ(error.code, ErrorCode::kOptions);
    EXPECT_NE(error.message.find("--symbols cannot add to the section headers: "),
              std::string::npos)
        << error.message;
    EXPECT_NE(error.message.find(reason), std::string::npos)
        << error.message << "\n  instead of: " << reason;
    Options without = with_symbols();
    without.symbols = false;
    EXPECT_FALSE(rewrite_whole(input, without).output.empty()) << "nobody else needs it";
  }
}

// Each symbol gets a copy of its name, and a thousand could share a long one.
TEST(SectionTable, OfNamesThatAreSharedTooOftenIsRefused) {
  const auto file = [](uint64_t count) {
    const Bytes names = hex("00") + text(std::string(4000, 'a')) + hex("00");
    Bytes symbols(sizeof(elf::Sym));
    elf::Sym symbol{};
    symbol.name = 1;
    symbol.info = elf::kStbGlobal << 4 | elf::kSttFunc;
    symbol.shndx = 1;
    symbol.value = kCode;
    for (uint64_t i = 0; i < count; ++i) symbols = std::move(symbols) + bytes_of(symbol);
    const uint64_t size = symbols.size();
    Bytes whole = ElfBuilder()
                      .code(kCode, hex("b8 27 00 00 00 0f 05 c3"))
                      .segment(0x480000, names, elf::kFlagRead)
                      .segment(0x500000, std::move(symbols), elf::kFlagRead)
                      .section(".dynsym", elf::kShtDynsym, 2, 0x500000, size)
                      .section(".dynstr", elf::kShtStrtab, 2, 0x480000, names.size())
                      .build();
    whole = changed(std::move(whole), elf::kShtDynsym, [](elf::Shdr& s) { s.link = 2; });
    return changed(std::move(whole), elf::kShtSymtab, [](elf::Shdr& s) { s.type = 1; });
  };
  const Bytes few = file(4);
  EXPECT_LT(rewrite_whole(few, with_symbols()).output.size(), few.size() + 30000);
  const Error error = rewrite_error(file(1000), with_symbols());
  EXPECT_NE(error.message.find("are more than 4 times as large as their table of 0xfa2 bytes"),
            std::string::npos)
      << error.message;
}

// What another feature needs: sections that stand elsewhere, and ones whose bytes are kept here.
TEST(SectionTable, TakesFurtherSections) {
  const Bytes file = every_tier().build();
  const auto image = ElfImage::parse(file);
  ASSERT_TRUE(image.ok());
  auto table = SectionTable::read(*image, SymbolTables::kGrown);
  ASSERT_TRUE(table.ok());
  AddedSection kept, elsewhere;
  kept.name = ".kept";
  kept.bytes = hex("01 02 03");
  elsewhere.name = ".elsewhere";
  elsewhere.offset = FileOffset{0x5000};
  elsewhere.size = 77;
  const size_t first = table->add(kept);
  table->add(elsewhere);
  table->add(AddedSymbol{"there", 0x1234, 5, first});
  const auto size = table->measure();
  ASSERT_TRUE(size.ok());
  const SectionTableBytes built = table->build({0x4000});
  EXPECT_EQ(built.bytes.size(), *size);
  EXPECT_EQ(built.count, image->sections().size() + 2);
  EXPECT_EQ(built.names, image->header().shstrndx);
  Bytes whole = file;
  whole.resize(0x4000);
  whole = whole + built.bytes;
  whole = with(whole, offsetof(elf::Ehdr, shoff), built.table.value);
  whole = with(whole, offsetof(elf::Ehdr, shnum), built.count);
  const auto again = ElfImage::parse(whole);
  ASSERT_TRUE(again.ok());
  const auto& sections = again->sections();
  EXPECT_EQ(again->section_name(sections[built.count - 2U]), ".kept");
  EXPECT_EQ(again->section_name(sections[built.count - 1U]), ".elsewhere");
  const elf::Shdr& bytes = sections[built.count - 2U];
  EXPECT_EQ(Bytes(whole.begin() + static_cast<std::ptrdiff_t>(bytes.offset),
                  whole.begin() + static_cast<std::ptrdiff_t>(bytes.offset + bytes.size)),
            hex("01 02 03"));
  EXPECT_EQ(sections[built.count - 1U].offset, 0x5000U);
  EXPECT_EQ(sections[built.count - 1U].size, 77U);
  for (size_t i = 0; i < image->sections().size(); ++i)
    EXPECT_EQ(again->section_name(sections[i]), image->section_name(image->sections()[i]));
}

// The symbols stay where they are; sections move and change their names, and the input is not
// written to.
TEST(SectionTable, MovesAndRenamesSections) {
  const Bytes file = read_sample(kBusybox);
  const auto image = ElfImage::parse(file);
  ASSERT_TRUE(image.ok());
  auto table = SectionTable::read(*image, SymbolTables::kKept);
  ASSERT_TRUE(table.ok());
  const auto text = table->find(".text");
  ASSERT_TRUE(text);
  table->move(*text, {0x123000}, {0x456000}, 99);
  table->rename(*text, ".moved");
  const uint64_t at = (file.size() + 7) / 8 * 8;
  const SectionTableBytes built = table->build({at});
  EXPECT_EQ(built.count, image->sections().size());
  Bytes whole = file;
  whole.resize(at);
  whole = whole + built.bytes;
  whole = with(whole, offsetof(elf::Ehdr, shoff), built.table.value);
  const auto again = ElfImage::parse(whole);
  ASSERT_TRUE(again.ok());
  for (size_t i = 0; i < image->sections().size(); ++i) {
    const elf::Shdr &was = image->sections()[i], &now = again->sections()[i];
    if (i == built.names) continue;
    EXPECT_EQ(again->section_name(now), i == *text ? ".moved" : image->section_name(was));
    EXPECT_EQ(now.offset, i == *text ? 0x123000 : was.offset);
    EXPECT_EQ(now.addr, i == *text ? 0x456000 : was.addr);
    EXPECT_EQ(now.size, i == *text ? 99 : was.size);
  }
}

}  // namespace

}  // namespace sysrewrite
