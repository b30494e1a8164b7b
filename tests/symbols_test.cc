// --symbols over real files, as verify, restore, GNU binutils and LIEF see its outputs.
#include <gtest/gtest.h>

#include <LIEF/ELF.hpp>
#include <set>
#include <sstream>

#include "rewriter/restore.h"
#include "rewriter/verify.h"
#include "tests/rewrites.h"
#include "tests/rewritten_samples.h"
#include "tests/sample_files.h"

namespace sysrewrite {

namespace {

using namespace test;

struct Named {
  ScratchDirectory scratch;
  Whole whole;
  std::string output;

  Named(const Bytes& input, Options options) : output(scratch / "out") {
    options.symbols = true;
    whole = rewrite_whole(input, options);
    write_file(output, whole.output);
  }
};

size_t stubs(const Whole& whole) {
  return whole.report.sites.size() - whole.report.count(Tier::kNative);
}

std::set<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::set<std::string> all;
  for (std::string line; std::getline(in, line);) all.insert(line);
  return all;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

void expect_sound(const Whole& whole, const Bytes& input, const Options& options) {
  EXPECT_TRUE(whole.report.symbols);
  for (const auto& original : {std::optional<ByteView>(), std::optional<ByteView>(input)}) {
    const Verdict verdict = verify(whole.output, original);
    EXPECT_TRUE(verdict.proven()) << describe(verdict.findings.first().front());
  }
  const auto restored = restore(whole.output);
  ASSERT_TRUE(restored.ok());
  EXPECT_TRUE(materialize(whole.output, *restored) == input);
  const auto again = rewrite(whole.output, options);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->report.already_rewritten);
  EXPECT_TRUE(rewrite_whole(input, options).output == whole.output) << "not the same bytes twice";
}

class Symbols : public testing::TestWithParam<SampleFile> {};

TEST_P(Symbols, AreProvenAndUndoneInEveryFormat) {
  const Bytes input = read_sample(GetParam());
  Options options, litebox;
  options.symbols = litebox.symbols = true;
  litebox.format = Format::kLitebox;
  litebox.native_tail = false;
  expect_sound(rewrite_whole(input, options), input, options);
  expect_sound(rewrite_whole(input, litebox), input, litebox);
}

TEST_P(Symbols, AreReadByBinutilsWithoutComplaint) {
  const Named named(read_sample(GetParam()), {});
  for (const char* command : {"readelf -sSW ", "readelf -wfF ", "objdump -dj .sysrewrite ",
                              "objdump -WF ", "nm ", "size -A "})
    EXPECT_EQ(
        output_of("/usr/bin/" + std::string(command) + named.output + " 2>&1 >/dev/null || true"),
        "")
        << command;
  const std::string code = output_of("/usr/bin/objdump -dj .sysrewrite " + named.output);
  EXPECT_EQ(count_of(code, ">:\n"), stubs(named.whole)) << "each stub has a name of its own";
  const std::string frames = output_of("/usr/bin/readelf -wf " + named.output + " || true");
  const size_t start = frames.find(".debug_frame section");
  const std::string own = start == std::string::npos ? "" : frames.substr(start);
  EXPECT_EQ(count_of(own, " FDE "), named.whole.report.framed_stubs);
  // musl has no unwind tables; in all others a few functions have none.
  if (std::string(GetParam().name) == "musl") return;
  EXPECT_GE(named.whole.report.framed_stubs + 4, stubs(named.whole));
}

TEST_P(Symbols, LeaveEveryNameOfTheInput) {
  const Named named(read_sample(GetParam()), {});
  for (const std::string which : {"nm ", "nm -D "}) {
    const auto names = [&](const std::string& path) {
      return lines(output_of("/usr/bin/" + which + path + " 2>/dev/null"));
    };
    const auto before = names(GetParam().path), after = names(named.output);
    for (const std::string& name : before) EXPECT_TRUE(after.contains(name)) << name;
  }
}

TEST_P(Symbols, AreReadByLief) {
  const Named named(read_sample(GetParam()), {});
  const auto binary = LIEF::ELF::Parser::parse(named.output);
  ASSERT_NE(binary, nullptr);
  const auto& section = binary->get_section(".sysrewrite");
  EXPECT_EQ(section.virtual_address(), named.whole.file.trailer().vaddr + kPageSize);
  EXPECT_EQ(section.size(), named.whole.file.trailer().size - kPageSize);
  std::map<uint64_t, uint64_t> sizes;
  for (const auto& symbol : binary->static_symbols())
    if (symbol.name().find("syscall_") != std::string::npos) sizes[symbol.value()] = symbol.size();
  for (uint32_t i = 0; i < named.whole.file.site_count(); ++i) {
    const SiteRecord site = named.whole.file.site(i);
    if (site.tier == Tier::kNative) continue;
    EXPECT_EQ(sizes[named.whole.file.stub_vaddr(site).value], site.stub_size);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Symbols, testing::ValuesIn(kSampleFiles),
                         [](const auto& it) { return it.param.name; });

TEST(SymbolsOption, ChangesNothingWhereThereIsNoStub) {
  Options options;
  const Bytes input = code_file(hex("c3")).build();
  const Bytes without = rewrite_whole(input, options).output;
  options.symbols = true;
  EXPECT_TRUE(rewrite_whole(input, options).output == without);
}

// Found by fuzzing: the input's own headers, which verify restores, are no more to be believed.
TEST(SymbolsOption, SymbolsWithoutStringsAreNotProven) {
  Options options;
  options.symbols = true;
  const Whole whole = rewrite_whole(every_tier().build(), options);
  ASSERT_TRUE(whole.report.symbols);
  const auto header = *load<elf::Ehdr>(whole.input, 0);
  size_t tried = 0;
  for (uint64_t i = 0; i < header.shnum; ++i) {
    const uint64_t at = header.shoff + i * sizeof(elf::Shdr);
    if (load<elf::Shdr>(whole.input, at)->type != elf::kShtSymtab) continue;
    for (const uint32_t link : {uint32_t{header.shnum}, uint32_t{0xffff}, ~uint32_t{0}}) {
      const Bytes lies = with(whole.output, at + offsetof(elf::Shdr, link), link);
      EXPECT_FALSE(verify(sealed(lies)).proven()) << link;
      ++tried;
    }
  }
  EXPECT_EQ(tried, 3U);
}

TEST(SymbolsOption, GivesAFileWithoutSectionHeadersSome) {
  const Bytes input = ElfBuilder().code(kCode, hex("b8 27 00 00 00 0f 05 c3")).entry(kCode).build();
  ASSERT_EQ(load<elf::Ehdr>(input, 0)->shnum, 0);
  Options options;
  options.symbols = true;
  const Named named(input, options);
  expect_sound(named.whole, input, options);
  const std::string names = output_of("/usr/bin/nm " + named.output);
  EXPECT_NE(names.find("T syscall_401005\n"), std::string::npos) << names;
}

}  // namespace

}  // namespace sysrewrite
