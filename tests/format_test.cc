// docs/format.md and trampoline/layout.h tell the same story: each table of the page is compared
// with the structure that the code is compiled from, field by field.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <regex>
#include <sstream>

#include "tests/sample_files.h"
#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

using namespace test;

// "offset size field" of each row of the first table behind a heading that begins like this.
std::vector<std::string> table_of(const std::string& heading) {
  const Bytes bytes = read_file(SYSREWRITE_SOURCE_DIR "/docs/format.md");
  std::istringstream in(
      std::string(static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()));
  std::vector<std::string> rows;
  bool inside = false;
  const std::regex row(R"(\| (\d+) \| (\d+) \| (\w+) \|.*)");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) inside = line.find(heading) != std::string::npos;
    std::smatch match;
    if (inside && std::regex_match(line, match, row))
      rows.push_back(match[1].str() + " " + match[2].str() + " " + match[3].str());
  }
  return rows;
}

#define ROW(type, field) fmt::format("{} {} {}", offsetof(type, field), sizeof(type::field), #field)

using Rows = std::vector<std::string>;

TEST(FormatPage, TellsTheTrailer) {
  EXPECT_EQ(table_of("Trailer"), (Rows{ROW(Trailer, magic), ROW(Trailer, offset),
                                       ROW(Trailer, vaddr), ROW(Trailer, size)}));
}

TEST(FormatPage, TellsTheMetadata) {
  EXPECT_EQ(table_of("Metadata"), (Rows{ROW(MetaHeader, magic),
                                        ROW(MetaHeader, checksum),
                                        ROW(MetaHeader, input_size),
                                        ROW(MetaHeader, base_vaddr),
                                        ROW(MetaHeader, entry_vaddr),
                                        ROW(MetaHeader, phdr_vaddr),
                                        ROW(MetaHeader, meta_size),
                                        ROW(MetaHeader, flags),
                                        ROW(MetaHeader, input_phnum),
                                        ROW(MetaHeader, reserved),
                                        ROW(MetaHeader, candidate_count),
                                        ROW(MetaHeader, inside_count),
                                        ROW(MetaHeader, data_count),
                                        ROW(MetaHeader, uncertain_count),
                                        ROW(MetaHeader, instruction_count),
                                        ROW(MetaHeader, sites),
                                        ROW(MetaHeader, edits),
                                        ROW(MetaHeader, blob),
                                        ROW(MetaHeader, phdrs),
                                        ROW(MetaHeader, interp),
                                        ROW(MetaHeader, options)}));
}

TEST(FormatPage, TellsTheSiteRecord) {
  EXPECT_EQ(
      table_of("SiteRecord"),
      (Rows{ROW(SiteRecord, site), ROW(SiteRecord, stub), ROW(SiteRecord, springboard),
            ROW(SiteRecord, blob), ROW(SiteRecord, before), ROW(SiteRecord, window),
            ROW(SiteRecord, tier), ROW(SiteRecord, reason), ROW(SiteRecord, enter),
            ROW(SiteRecord, displaced), ROW(SiteRecord, stub_size), ROW(SiteRecord, reserved)}));
}

TEST(FormatPage, TellsTheEditRecord) {
  EXPECT_EQ(table_of("EditRecord"),
            (Rows{ROW(EditRecord, offset), ROW(EditRecord, size), ROW(EditRecord, kind),
                  ROW(EditRecord, blob), ROW(EditRecord, reserved)}));
}

std::string page() {
  const Bytes bytes = read_file(SYSREWRITE_SOURCE_DIR "/docs/format.md");
  return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

TEST(FormatPage, NamesTheMagicNumbers) {
  for (const char(*magic)[8] : {&kTrailerMagic, &kLiteboxMagic, &kSegmentMagic, &kMetaMagic})
    EXPECT_NE(page().find(std::string(*magic, 8)), std::string::npos);
}

TEST(FormatPage, NamesTheFlags) {
  EXPECT_NE(page().find(fmt::format(
                "{} plain stubs, {} native tails, {} litebox, {} program "
                "headers moved, {} PT_INTERP overwritten in place, {} "
                "PT_INTERP (or, of an interpreter, PT_NOTE made PT_INTERP) "
                "pointed at the metadata, {} the file is an interpreter itself, "
                "{} section headers name the stubs, {} --embed=segment, {} PT_INTERP points into "
                "that segment",
                uint32_t{kMetaPlainStub}, uint32_t{kMetaNativeTail}, uint32_t{kMetaLitebox},
                uint32_t{kMetaHeadersMoved}, uint32_t{kMetaInterpInPlace},
                uint32_t{kMetaInterpMoved}, uint32_t{kMetaInterpreter}, uint32_t{kMetaSymbols},
                uint32_t{kMetaSegment}, uint32_t{kMetaInterpSegment})),
            std::string::npos);
}

}  // namespace

}  // namespace sysrewrite
