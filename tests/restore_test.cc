// A rewrite undone is the input, byte for byte; what cannot be undone is refused with the reason.
#include "rewriter/restore.h"

#include <gtest/gtest.h>

#include <cstddef>

#include "tests/rewrites.h"
#include "tests/rewritten_samples.h"
#include "tests/sample_files.h"

namespace sysrewrite {

namespace {

using namespace test;

void expect_same(const Bytes& restored, const Bytes& input, const std::string& what) {
  ASSERT_EQ(restored.size(), input.size()) << what;
  for (size_t i = 0; i < input.size(); ++i)
    ASSERT_EQ(restored[i], input[i]) << what << ": file offset " << i;
}

void expect_undone(const Bytes& input, const std::string& what) {
  for (const Options& options : every_form()) {
    const Whole whole = rewrite_whole(input, options);
    const auto restored = restore(whole.output);
    ASSERT_TRUE(restored.ok()) << what << ": " << restored.error().message;
    EXPECT_TRUE(restored->tail.empty());
    expect_same(materialize(whole.output, *restored), input, what);
  }
}

Bytes one_site() {
  return ElfBuilder().code(kCode, hex("b8 27 00 00 00 0f 05 c3")).build();
}

std::string refusal(const Bytes& file) {
  const auto restored = restore(file);
  return restored ? "restored" : restored.error().message;
}

uint64_t record_at(const Whole& whole, uint32_t index, size_t field) {
  return whole.file.meta_offset().value + whole.file.meta().sites.offset +
         index * sizeof(SiteRecord) + field;
}

class RestoreSample : public testing::TestWithParam<SampleFile> {};

TEST_P(RestoreSample, ComesBackByteForByte) {
  expect_undone(read_sample(GetParam()), GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Files, RestoreSample, testing::ValuesIn(kSampleFiles),
                         [](const auto& it) { return it.param.name; });

TEST(Restore, UndoesEveryChangeOfHeaders) {
  const Bytes code = hex("b8 27 00 00 00 0f 05 c3");
  expect_undone(one_site(), "static");
  expect_undone(ElfBuilder(elf::kTypeDyn).code(0x1000, code).build(), "library");
  expect_undone(ElfBuilder().interpreter("/lib64/ld-linux-x86-64.so.2").code(kCode, code).build(),
                "dynamic");
  expect_undone(ElfBuilder().interpreter("/l").code(kCode, code).build(), "short path");
  expect_undone(code_file(hex("c3")).build(), "no site");
}

// Sizes that end in the middle of a page, at its border, and one byte to each side.
TEST(Restore, CutsOffExactlyWhatWasAppended) {
  for (const size_t more : {0U, 1U, 15U, 16U, 17U}) {
    const size_t size = one_site().size();
    for (const size_t target : {size + more, size_t{8191} + more, size_t{12288} - more}) {
      Options options;
      options.force = true;
      const Bytes input = ElfBuilder()
                              .code(kCode, hex("b8 27 00 00 00 0f 05 c3"))
                              .payload(repeat(0, target - size))
                              .build();
      const Whole whole = rewrite_whole(input, options);
      const auto restored = restore(whole.output);
      ASSERT_TRUE(restored.ok());
      expect_same(materialize(whole.output, *restored), input, std::to_string(target));
    }
  }
}

TEST(Restore, RefusesWhatWasNeverRewritten) {
  EXPECT_EQ(refusal(one_site()),
            "there is no trailer at its end: the file was never rewritten, or has lost its end "
            "since (strip and objcopy drop it)");
  EXPECT_EQ(refusal({}), refusal(one_site()));
}

TEST(Restore, RefusesAFileCutOffAnywhere) {
  const Bytes output = rewrite_whole(one_site()).output;
  for (size_t size = 0; size < output.size(); ++size)
    ASSERT_FALSE(restore(ByteView(output).first(size)).ok()) << size;
}

TEST(Restore, RefusesAnEditOfWhatTheRewriteChanged) {
  const Whole whole = rewrite_whole(one_site());
  const auto edited = [&whole](uint64_t offset) {
    Bytes bytes = whole.output;
    bytes[offset] ^= std::byte{0x10};
    return refusal(bytes);
  };
  const uint64_t window = whole.file.offset_of({kCode}, 5)->value;
  const std::string sentence = "the file was edited since it was rewritten: its checksum is 0x";
  EXPECT_EQ(edited(window).substr(0, sentence.size()), sentence);
  EXPECT_EQ(edited(whole.file.trailer().offset + kPageSize).substr(0, sentence.size()), sentence);
  EXPECT_EQ(edited(offsetof(elf::Ehdr, flags)).substr(0, sentence.size()), sentence);
}

TEST(Restore, RefusesTablesThatLie) {
  const Bytes two = hex("b8 27 00 00 00 0f 05 b8 28 00 00 00 0f 05 c3");
  const Whole whole = rewrite_whole(ElfBuilder().code(kCode, two).build());
  ASSERT_EQ(whole.file.site_count(), 2U);
  const uint64_t edit = whole.file.meta_offset().value + whole.file.meta().edits.offset;
  const Bytes overlap = with(whole.output, edit + offsetof(EditRecord, offset), uint64_t{0x1005});
  EXPECT_EQ(refusal(sealed(overlap)),
            "two records of the site table overlap at file offset 0x1005; nothing can be restored "
            "from it");
  const Bytes outside =
      with(whole.output, record_at(whole, 1, offsetof(SiteRecord, site)), uint32_t{0x4000000});
  EXPECT_EQ(refusal(outside).substr(0, 44), "the file was edited since it was rewritten: ");
}

}  // namespace

}  // namespace sysrewrite
