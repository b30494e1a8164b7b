#include "trampoline/rewritten_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <random>

#include "tests/rewrites.h"
#include "tests/rewritten_samples.h"

namespace sysrewrite {

namespace {

using namespace test;

// A site of each tier: A and a springboard, then a lone syscall at the end, and an interpreter
// whose path is overwritten in place or whose headers move.
ElfBuilder every_tier() {
  Bytes code = hex("b8 27 00 00 00 0f 05") +   // A: mov $39, %eax; syscall
               hex("6a 27 58 0f 05 c3") +      // B: push; pop; syscall; ret
               hex("cc cc cc");                // to 401010
  code = code + hex("48 89 fe 89 d0 0f 05") +  // C: mov, mov; syscall
         hex("50 0f 05 c3");                   // D
  // One springboard in 401020..401030, behind the last ret and 5 bytes of nothing.
  const uint64_t size = code.size();
  code = code + repeat(0xcc, 32 - size % 32);
  return ElfBuilder().code(kCode, code).symbol("f", kCode, 13).symbol("g", kCode + 16, size - 16);
}

Options litebox() {
  Options options;
  options.format = Format::kLitebox;
  options.native_tail = false;
  return options;
}

struct Sample {
  const char* name;
  Whole whole;
};

std::vector<Sample> samples() {
  Options with_options;
  with_options.loader_options = {"hook=count"};
  Options path_at_end;
  path_at_end.interpreter = "/a/path/that/is/longer/than/the/old/one";
  std::vector<Sample> all;
  all.push_back({"static", rewrite_whole(every_tier().build(), with_options)});
  all.push_back(
      {"path in place", rewrite_whole(every_tier().interpreter(std::string(30, '/')).build())});
  all.push_back(
      {"path at end", rewrite_whole(every_tier().interpreter("/l").build(), path_at_end)});
  all.push_back({"litebox", rewrite_whole(every_tier().build(), litebox())});
  all.push_back({"no site", rewrite_whole(code_file(hex("c3")).build())});
  all.push_back({"litebox, no site", rewrite_whole(code_file(hex("c3")).build(), litebox())});
  return all;
}

// Reads everything that a file offers, so that a sanitizer sees each access.
uint64_t read_all(const RewrittenFile& file) {
  uint64_t sum = 0;
  const auto add = [&sum](ByteView bytes) {
    for (const std::byte byte : bytes) sum += std::to_integer<uint64_t>(byte);
  };
  for (uint32_t i = 0; i < file.site_count(); ++i) {
    const SiteRecord site = file.site(i);
    add(file.original_window(site));
    add(file.original_springboard(site));
    for (uint32_t d = 0; d < site.displaced; ++d) sum += file.displaced(site, d).copy;
    sum += file.window_vaddr(site).value + file.stub_vaddr(site).value;
  }
  for (uint32_t i = 0; i < file.edit_count(); ++i) add(file.original_edit(file.edit(i)));
  add(file.trampoline());
  add(file.metadata());
  add(file.options());
  add(file.interpreter());
  return sum;
}

// "absent", "damaged: ...", "checksum differs" or "valid"; reads all that a parse lets through.
std::string verdict(const Bytes& bytes) {
  const auto parsed = RewrittenFile::parse(bytes);
  switch (parsed.status) {
    case TrailerStatus::kAbsent:
      return "absent";
    case TrailerStatus::kDamaged:
      return std::string("damaged: ") + parsed.problem;
    case TrailerStatus::kValid:
      break;
  }
  read_all(parsed.file);
  return parsed.file.checksum() == parsed.file.meta().checksum ? "valid" : "checksum differs";
}

struct Field {
  const char* name;
  uint64_t offset;
  unsigned size;
};

#define TRAILER_FIELD(field) \
  { "Trailer." #field, offsetof(Trailer, field), sizeof(Trailer::field) }
#define META_FIELD(field) \
  { "MetaHeader." #field, offsetof(MetaHeader, field), sizeof(MetaHeader::field) }
#define RANGE_FIELDS(range)                                           \
  {"MetaHeader." #range ".offset", offsetof(MetaHeader, range), 4}, { \
    "MetaHeader." #range ".count", offsetof(MetaHeader, range) + 4, 4 \
  }
#define SITE_FIELD(field) \
  { "SiteRecord." #field, offsetof(SiteRecord, field), sizeof(SiteRecord::field) }
#define EDIT_FIELD(field) \
  { "EditRecord." #field, offsetof(EditRecord, field), sizeof(EditRecord::field) }

constexpr Field kTrailerFields[] = {TRAILER_FIELD(magic), TRAILER_FIELD(offset),
                                    TRAILER_FIELD(vaddr), TRAILER_FIELD(size)};
constexpr Field kMetaFields[] = {
    META_FIELD(magic),      META_FIELD(checksum),        META_FIELD(input_size),
    META_FIELD(base_vaddr), META_FIELD(entry_vaddr),     META_FIELD(phdr_vaddr),
    META_FIELD(meta_size),  META_FIELD(flags),           META_FIELD(input_phnum),
    META_FIELD(reserved),   META_FIELD(candidate_count), META_FIELD(inside_count),
    META_FIELD(data_count), META_FIELD(uncertain_count), META_FIELD(instruction_count),
    RANGE_FIELDS(sites),    RANGE_FIELDS(edits),         RANGE_FIELDS(blob),
    RANGE_FIELDS(phdrs),    RANGE_FIELDS(interp),        RANGE_FIELDS(options)};
constexpr Field kSiteFields[] = {
    SITE_FIELD(site),   SITE_FIELD(stub),      SITE_FIELD(springboard), SITE_FIELD(blob),
    SITE_FIELD(before), SITE_FIELD(window),    SITE_FIELD(tier),        SITE_FIELD(reason),
    SITE_FIELD(enter),  SITE_FIELD(displaced), SITE_FIELD(stub_size),   SITE_FIELD(reserved)};
constexpr Field kEditFields[] = {EDIT_FIELD(offset), EDIT_FIELD(size), EDIT_FIELD(kind),
                                 EDIT_FIELD(blob), EDIT_FIELD(reserved)};

static_assert(sizeof(Trailer) == 8 + 8 + 8 + 8);

// Values of a field that a liar might choose.
std::vector<uint64_t> lies(std::mt19937_64& random) {
  std::vector<uint64_t> values = {0,
                                  1,
                                  UINT64_MAX,
                                  UINT64_MAX - 1,
                                  uint64_t{1} << 31,
                                  uint64_t{1} << 63,
                                  0x1000,
                                  0xfffffffffffff000};
  for (int i = 0; i < 8; ++i) values.push_back(random() >> (random() % 64));
  return values;
}

// Calls look(name, damaged file) for each lie about each field of a structure at `at`.
template <typename Look>
void lie(const Bytes& file, uint64_t at, std::span<const Field> fields, Look look) {
  std::mt19937_64 random(1);
  for (const Field& field : fields) {
    for (const uint64_t value : lies(random)) {
      Bytes damaged = file;
      const ByteView bytes = as_byte_view(&value, field.size);
      std::copy(bytes.begin(), bytes.end(),
                damaged.begin() + static_cast<std::ptrdiff_t>(at + field.offset));
      if (damaged != file) look(fmt::format("{} = {:#x}", field.name, value), damaged);
    }
  }
}

TEST(RewrittenFile, HoldsForEverySample) {
  for (const Sample& sample : samples()) {
    EXPECT_EQ(verdict(sample.whole.output), "valid") << sample.name;
    EXPECT_EQ(verdict(sample.whole.input), "absent") << sample.name;
  }
}

TEST(RewrittenFile, ShowsEveryTierInTheSamples) {
  EXPECT_EQ(describe(samples()[0].whole.report),
            "401005 A 401000+7: the instruction before the syscall is 5 bytes or longer and falls "
            "through\n"
            "40100a B 40100a+2 by 40101b: springboard in dead padding within reach\n"
            "401015 C 401010+7: instructions before the syscall, none of them entered\n"
            "401018 D 401018+2: an instruction of the window cannot run elsewhere\n");
}

TEST(RewrittenFile, BelievesNoLieAboutTheTrailer) {
  for (const Sample& sample : samples()) {
    const uint64_t at = sample.whole.output.size() - sizeof(Trailer);
    lie(sample.whole.output, at, kTrailerFields, [&](const std::string& name, const Bytes& file) {
      EXPECT_NE(verdict(file), "valid") << sample.name << ": " << name;
    });
  }
}

TEST(RewrittenFile, BelievesNoLieAboutTheMetadata) {
  for (const Sample& sample : samples()) {
    const uint64_t at = sample.whole.file.meta_offset().value;
    lie(sample.whole.output, at, kMetaFields, [&](const std::string& name, const Bytes& file) {
      EXPECT_NE(verdict(file), "valid") << sample.name << ": " << name;
    });
  }
}

TEST(RewrittenFile, BelievesNoLieAboutASiteOrAnEdit) {
  for (const Sample& sample : samples()) {
    const RewrittenFile& whole = sample.whole.file;
    const auto look = [&](const std::string& name, const Bytes& file) {
      EXPECT_NE(verdict(file), "valid") << sample.name << ": " << name;
    };
    for (uint64_t i = 0; i < whole.site_count(); ++i)
      lie(sample.whole.output,
          whole.meta_offset().value + whole.meta().sites.offset + i * sizeof(SiteRecord),
          kSiteFields, look);
    for (uint64_t i = 0; i < whole.edit_count(); ++i)
      lie(sample.whole.output,
          whole.meta_offset().value + whole.meta().edits.offset + i * sizeof(EditRecord),
          kEditFields, look);
  }
}

// The checksum finds accidents. Whoever lies on purpose makes it right; then no access may leave
// the file, which read_all() shows under a sanitizer, and no lie may change how much is read.
TEST(RewrittenFile, StaysInsideTheFileWhereALiarMendsTheChecksum) {
  for (const Sample& sample : samples()) {
    const RewrittenFile& whole = sample.whole.file;
    const auto look = [&](const std::string&, const Bytes& file) { verdict(sealed(file)); };
    const uint64_t meta = whole.meta_offset().value;
    lie(sample.whole.output, sample.whole.output.size() - sizeof(Trailer), kTrailerFields, look);
    lie(sample.whole.output, meta, kMetaFields, look);
    for (uint64_t i = 0; i < whole.site_count(); ++i)
      lie(sample.whole.output, meta + whole.meta().sites.offset + i * sizeof(SiteRecord),
          kSiteFields, look);
    for (uint64_t i = 0; i < whole.edit_count(); ++i)
      lie(sample.whole.output, meta + whole.meta().edits.offset + i * sizeof(EditRecord),
          kEditFields, look);
  }
}

TEST(RewrittenFile, IsNotValidTruncatedAtAnyLength) {
  for (const Sample& sample : samples()) {
    for (size_t size = 0; size < sample.whole.output.size(); ++size) {
      const Bytes cut(sample.whole.output.begin(),
                      sample.whole.output.begin() + static_cast<std::ptrdiff_t>(size));
      ASSERT_EQ(verdict(cut), "absent") << sample.name << ", " << size << " bytes";
    }
  }
}

TEST(RewrittenFile, IsNotValidConcatenated) {
  for (const Sample& sample : samples()) {
    EXPECT_EQ(verdict(sample.whole.output + hex("00")), "absent") << sample.name;
    EXPECT_NE(verdict(sample.whole.output + sample.whole.output), "valid") << sample.name;
    EXPECT_NE(verdict(hex("00") + sample.whole.output), "valid") << sample.name;
  }
}

// What checksum.h lists, as ranges of the file.
std::vector<bool> bound_bytes(const Whole& whole) {
  std::vector<bool> bound(whole.output.size());
  const auto bind = [&bound](uint64_t offset, uint64_t size) {
    for (uint64_t i = 0; i < size; ++i) bound.at(offset + i) = true;
  };
  const RewrittenFile& file = whole.file;
  const auto ehdr = *load<elf::Ehdr>(whole.output, 0);
  bind(0, sizeof(ehdr));
  bind(ehdr.phoff, ehdr.phnum * sizeof(elf::Phdr));
  for (uint32_t i = 0; i < file.site_count(); ++i) {
    const SiteRecord site = file.site(i);
    bind(file.offset_of(file.window_vaddr(site), site.window)->value, site.window);
    if (site.springboard != kNoSpringboard)
      bind(file.offset_of({file.meta().base_vaddr + site.springboard}, kSpringboardSize)->value,
           kSpringboardSize);
  }
  for (uint32_t i = 0; i < file.edit_count(); ++i) bind(file.edit(i).offset, file.edit(i).size);
  if (file.trailer().size != 0) bind(file.trailer().offset, file.trailer().size);
  bind(file.meta_offset().value, file.meta().meta_size);
  bind(whole.output.size() - sizeof(Trailer), sizeof(Trailer));
  if (file.is_litebox()) {
    const uint64_t end =
        file.has_sites() ? file.trailer().offset : whole.output.size() - sizeof(Trailer);
    bind(end - sizeof(MetaLocator), sizeof(MetaLocator));
  }
  return bound;
}

TEST(RewrittenFile, IsBoundToEachByteThatTheChecksumNamesAndToNoOther) {
  for (const Sample& sample : samples()) {
    const std::vector<bool> bound = bound_bytes(sample.whole);
    Bytes file = sample.whole.output;
    for (size_t at = 0; at < file.size(); ++at) {
      for (const std::byte change : {std::byte{0x01}, std::byte{0xff}}) {
        file[at] ^= change;
        const std::string found = verdict(file);
        ASSERT_EQ(found != "valid", bound[at])
            << sample.name << ", byte " << at << " of " << file.size() << ": " << found;
        file[at] ^= change;
      }
    }
  }
}

// --- Each refusal by its name
// ----------------------------------------------------------------------

class Named : public testing::Test {
 protected:
  const Whole whole_ = rewrite_whole(every_tier().build());
  const Whole litebox_ = rewrite_whole(every_tier().build(), litebox());
  const uint64_t trailer_ = whole_.output.size() - sizeof(Trailer);
  const uint64_t meta_ = whole_.file.meta_offset().value;

  template <typename T>
  std::string trailer(size_t field, T value) const {
    return verdict(with(whole_.output, trailer_ + field, value));
  }
  template <typename T>
  std::string meta(size_t field, T value) const {
    return verdict(with(whole_.output, meta_ + field, value));
  }
  template <typename T>
  std::string site(size_t index, size_t field, T value) const {
    return verdict(
        with(whole_.output,
             meta_ + whole_.file.meta().sites.offset + index * sizeof(SiteRecord) + field, value));
  }
  template <typename T>
  std::string edit(size_t field, T value) const {
    return verdict(with(whole_.output, meta_ + whole_.file.meta().edits.offset + field, value));
  }
};

TEST_F(Named, ProblemsOfTheElfHeader) {
  EXPECT_EQ(verdict(with(whole_.output, 0, uint8_t{0})), "damaged: there is no ELF header");
  EXPECT_EQ(verdict(with(whole_.output, offsetof(elf::Ehdr, phentsize), uint16_t{55})),
            "damaged: e_phentsize is not 56");
  EXPECT_EQ(verdict(with(whole_.output, offsetof(elf::Ehdr, phoff), UINT64_MAX)),
            "damaged: the program headers leave the file");
  EXPECT_EQ(verdict(with(whole_.output, offsetof(elf::Ehdr, phnum), uint16_t{1171})),
            "damaged: there are more program headers than 1170");
  const Bytes lone(whole_.output.end() - sizeof(Trailer), whole_.output.end());
  EXPECT_EQ(verdict(lone), "damaged: there is no ELF header");
}

TEST_F(Named, ProblemsOfTheTrampoline) {
  constexpr size_t kOffset = offsetof(Trailer, offset), kVaddr = offsetof(Trailer, vaddr),
                   kSize = offsetof(Trailer, size);
  EXPECT_EQ(trailer(kOffset, uint64_t{1}), "damaged: the trampoline's offset is not page-aligned");
  EXPECT_EQ(trailer(kVaddr, uint64_t{8}), "damaged: the trampoline's address is not page-aligned");
  EXPECT_EQ(trailer(kSize, uint64_t{1} << 40), "damaged: the trampoline leaves the file");
  EXPECT_EQ(trailer(kSize, UINT64_MAX - 4095), "damaged: the trampoline leaves the file");
  EXPECT_EQ(trailer(kSize, uint64_t{8193}),
            "damaged: the trampoline's size is not a multiple of the page size");
  EXPECT_EQ(trailer(kSize, uint64_t{4096}), "damaged: the trampoline is too small");
  const uint64_t end = litebox_.output.size() - sizeof(Trailer);
  EXPECT_EQ(verdict(with(litebox_.output, end + kSize, litebox_.file.trailer().size - 1)),
            "damaged: the trampoline does not end at the trailer");
  EXPECT_EQ(verdict(with(litebox_.output, end + kSize, uint64_t{0})),
            "damaged: a trailer of size 0 must have offset and address 0");
}

TEST_F(Named, ProblemsOfTheMetadata) {
  EXPECT_EQ(meta(0, uint8_t{'X'}), "damaged: the metadata is missing");
  EXPECT_EQ(meta(offsetof(MetaHeader, meta_size), uint32_t{127}),
            "damaged: the metadata leaves the file");
  EXPECT_EQ(meta(offsetof(MetaHeader, meta_size), UINT32_MAX),
            "damaged: the metadata leaves the file");
  EXPECT_EQ(meta(offsetof(MetaHeader, meta_size), uint32_t{128}),
            "damaged: the metadata does not end at the trailer");
  EXPECT_EQ(meta(offsetof(MetaHeader, flags), uint32_t{kMetaLitebox}),
            "damaged: trailer and metadata name different formats");
  EXPECT_EQ(meta(offsetof(MetaHeader, input_size), UINT64_MAX),
            "damaged: the input's size leaves the file");
  EXPECT_EQ(meta(offsetof(MetaHeader, input_size), whole_.file.trailer().offset + 1),
            "damaged: the trampoline overlaps the input");
  const uint64_t locator = litebox_.file.trailer().offset - sizeof(MetaLocator);
  EXPECT_EQ(verdict(with(litebox_.output, locator, uint8_t{0})),
            "damaged: the metadata locator is missing");
  EXPECT_EQ(verdict(with(litebox_.output, locator + 8, UINT64_MAX)),
            "damaged: the metadata is missing");
}

TEST_F(Named, MetadataOfAnotherFile) {
  const Whole none = rewrite_whole(code_file(hex("c3")).build(), litebox());
  EXPECT_EQ(verdict(none.output + none.output),
            "damaged: the metadata does not end at its locator");
}

TEST_F(Named, ProblemsOfTheRanges) {
  const auto count = [this](size_t range) { return meta(range + 4, UINT32_MAX); };
  EXPECT_EQ(count(offsetof(MetaHeader, sites)), "damaged: the site table leaves the metadata");
  EXPECT_EQ(count(offsetof(MetaHeader, edits)), "damaged: the edit table leaves the metadata");
  EXPECT_EQ(count(offsetof(MetaHeader, blob)), "damaged: the blob leaves the metadata");
  EXPECT_EQ(count(offsetof(MetaHeader, phdrs)), "damaged: the program headers leave the metadata");
  EXPECT_EQ(count(offsetof(MetaHeader, interp)),
            "damaged: the interpreter path leaves the metadata");
  EXPECT_EQ(count(offsetof(MetaHeader, options)), "damaged: the options leave the metadata");
  EXPECT_EQ(meta(offsetof(MetaHeader, sites), uint32_t{64}),
            "damaged: the site table leaves the metadata");
  EXPECT_EQ(meta(offsetof(MetaHeader, interp) + 4, whole_.file.meta().interp.count - 1),
            "damaged: the interpreter path does not end in NUL");
  EXPECT_EQ(meta(offsetof(MetaHeader, instruction_count), uint32_t{3}),
            "damaged: the site counts disagree");
}

TEST_F(Named, ProblemsOfTheSites) {
  EXPECT_EQ(site(0, offsetof(SiteRecord, site), uint32_t{0x100}),
            "damaged: the sites are not in ascending order");
  EXPECT_EQ(site(0, offsetof(SiteRecord, blob), UINT32_MAX),
            "damaged: a site's original bytes leave the blob");
  EXPECT_EQ(site(0, offsetof(SiteRecord, tier), uint8_t{'N'}),
            "damaged: a native site has a window");
  EXPECT_EQ(site(0, offsetof(SiteRecord, window), uint8_t{6}),
            "damaged: a window does not hold its syscall");
  EXPECT_EQ(site(0, offsetof(SiteRecord, stub), uint32_t{4095}),
            "damaged: a stub leaves the trampoline");
  EXPECT_EQ(site(0, offsetof(SiteRecord, stub), UINT32_MAX),
            "damaged: a stub leaves the trampoline");
  EXPECT_EQ(site(0, offsetof(SiteRecord, enter), uint8_t{200}),
            "damaged: a stub's entry lies outside it");
}

TEST_F(Named, ProblemsOfTheEdits) {
  EXPECT_EQ(edit(offsetof(EditRecord, offset), UINT64_MAX), "damaged: an edit leaves the input");
  EXPECT_EQ(edit(offsetof(EditRecord, size), UINT32_MAX), "damaged: an edit leaves the input");
  EXPECT_EQ(edit(offsetof(EditRecord, blob), UINT32_MAX),
            "damaged: an edit's original bytes leave the blob");
  EXPECT_EQ(edit(offsetof(EditRecord, size), whole_.file.meta().blob.count),
            "damaged: an edit's original bytes leave the blob");
  const uint32_t all = whole_.file.meta().blob.count;
  EXPECT_EQ(verdict(with(
                with(whole_.output,
                     meta_ + whole_.file.meta().edits.offset + offsetof(EditRecord, size), all),
                meta_ + whole_.file.meta().edits.offset + offsetof(EditRecord, blob), uint32_t{0})),
            "damaged: records share their original bytes");
}

TEST_F(Named, OtherVersionsAreAbsent) {
  EXPECT_EQ(trailer(7, uint8_t{'2'}), "absent");
  EXPECT_EQ(verdict(with(litebox_.output, litebox_.output.size() - 25, uint8_t{'1'})), "absent");
}

// A rewrite of a damaged file would take its patches for the program.
TEST(Rewrite, RefusesATrailerThatDoesNotHold) {
  const Whole whole = rewrite_whole(every_tier().build());
  const Bytes lying = with(whole.output, whole.output.size() - 16, uint64_t{1});
  const Error error = rewrite_error(lying);
  EXPECT_EQ(error.code, ErrorCode::kDamagedTrailer);
  EXPECT_EQ(error.message,
            "the file ends in a trailer that does not hold: the trampoline's address is not "
            "page-aligned; restore it from its source and rewrite that");
}

TEST(Rewrite, OfARewrittenFileChangesNothingAndSaysSo) {
  for (const Sample& sample : samples()) {
    const auto again = rewrite(sample.whole.output, {});
    ASSERT_TRUE(again.ok()) << sample.name;
    EXPECT_TRUE(again->report.already_rewritten) << sample.name;
    EXPECT_TRUE(again->output.patches.empty() && again->output.tail.empty()) << sample.name;
    EXPECT_EQ(again->report.output_size, sample.whole.output.size()) << sample.name;
  }
}

TEST(Rewrite, RefusesARewrittenFileThatWasEdited) {
  const Whole whole = rewrite_whole(every_tier().build());
  Bytes edited = whole.output;
  edited[0x1000] ^= std::byte{1};  // in the first window
  const Error error = rewrite_error(edited);
  EXPECT_EQ(error.code, ErrorCode::kDamagedTrailer);
  EXPECT_EQ(error.message,
            "the file ends in a trailer that does not hold: its checksum is not the file's, which "
            "was edited since; restore it from its source and rewrite that");
}

}  // namespace

}  // namespace sysrewrite
