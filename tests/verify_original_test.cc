// verify asks whether whoever maps the original reads it as verify does, and what headers are left.
#include <gtest/gtest.h>

#include <cstddef>

#include "tests/rewritten_samples.h"
#include "tests/verdicts.h"
#include "trampoline/checksum.h"

namespace sysrewrite {

namespace {

using namespace test;

const Bytes kCall = hex("b8 27 00 00 00 0f 05 c3");

// A library; behind its code's header one of a note, and one of data.
Bytes library() {
  return ElfBuilder(elf::kTypeDyn)
      .header(elf::kPtNote, 0x405000, 8)
      .code(kCode, kCall)
      .symbol("f", kCode, kCall.size())
      .data(0x405000, words({0, 0}))
      .entry(0)
      .build();
}

TEST(VerifyOriginal, SeesASegmentThatOnlySomeMap) {
  const Bytes input = library();
  const Whole whole = rewrite_whole(input);
  EXPECT_EQ(verdict(whole.output), "proven");
  // The kernel passes over it, ld.so maps its bytes.
  Bytes other = with(input, phdr_field(0, offsetof(elf::Phdr, type)), uint32_t{elf::kPtLoad});
  other = with(other, phdr_field(0, offsetof(elf::Phdr, memsz)), uint64_t{0});
  EXPECT_TRUE(finds(with_input(whole, other), "a program header of the restored input"));
}

TEST(VerifyOriginal, SeesASegmentThatIsMappedFromElsewhere) {
  const Bytes input = library();
  const Whole whole = rewrite_whole(input);
  const auto changed = [&](size_t field, uint64_t value) {
    return with_input(whole, with(input, phdr_field(2, field), value));
  };
  const uint64_t offset = *load<uint64_t>(input, phdr_field(2, offsetof(elf::Phdr, offset)));
  EXPECT_TRUE(finds(changed(offsetof(elf::Phdr, offset), offset - 8), "the same within a page"));
  EXPECT_TRUE(finds(changed(offsetof(elf::Phdr, vaddr), 0x7fffffffeff8), "a user's addresses"));
  EXPECT_TRUE(finds(changed(offsetof(elf::Phdr, align), 0x3000), "a power of two"));
}

TEST(VerifyOriginal, SeesAFileThatIsNotForThisMachine) {
  const Bytes input = library();
  const Whole whole = rewrite_whole(input);
  const uint64_t machine = offsetof(elf::Ehdr, machine);
  EXPECT_TRUE(finds(sealed(with_input(whole, with(input, machine, uint16_t{3}))), "for x86-64"));
}

// The path of another original lies in the entry of its table for the last segment, and what was
// written there is the same, recorded like any path.
TEST(VerifyOriginal, SeesAPathInTheProgramHeaders) {
  const std::string path = "/lib64/an-interpreter-of-39-characters";
  const Bytes input = ElfBuilder()
                          .interpreter(path)
                          .code(kCode, kCall)
                          .symbol("f", kCode, kCall.size())
                          .data(0x405000, words({0, 0}))
                          .build();
  Options options;
  options.interpreter = "/i";
  const Whole whole = rewrite_whole(input, options);
  ASSERT_EQ(whole.file.edit_count(), 1U);
  const EditRecord edit = whole.file.edit(0);
  ASSERT_EQ(edit.kind, EditKind::kInterpreterPath);
  ASSERT_LE(edit.size, 40U);
  const uint64_t end = kPhdrOffset + load<elf::Ehdr>(input, 0)->phnum * sizeof(elf::Phdr) - 8;
  const uint64_t place = end - edit.size;
  const auto copy = [](Bytes& to, uint64_t at, ByteView bytes) {
    std::copy(bytes.begin(), bytes.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
  };
  const MetaHeader& meta = whole.file.meta();
  const uint64_t meta_at = whole.file.meta_offset().value;
  Bytes forged = whole.output;
  copy(forged, edit.offset, ByteView(input).subspan(edit.offset, edit.size));
  copy(forged, meta_at + meta.blob.offset + edit.blob, ByteView(input).subspan(place, edit.size));
  copy(forged, place, ByteView(whole.output).subspan(edit.offset, edit.size));
  for (const size_t field : {offsetof(elf::Phdr, offset), offsetof(elf::Phdr, vaddr)})
    forged = with(forged, phdr_field(0, field), place);
  forged = with(forged, meta_at + meta.edits.offset + offsetof(EditRecord, offset), place);
  EXPECT_TRUE(finds(sealed(forged), "the original interpreter path: found it in the program"));
  EXPECT_TRUE(finds(sealed(forged), "the program headers: found"));
}

// Code in the ELF header: mov $60, %eax; syscall in what nobody looks at of e_ident.
TEST(VerifyOriginal, LeavesASyscallInTheHeadersNative) {
  Bytes input = with_loaded_headers(code_file(kCall).entry(kCode - 0x1000 + 8).build());
  const Bytes code = hex("b8 3c 00 00 00 0f 05");
  std::copy(code.begin(), code.end(), input.begin() + 8);
  const Whole whole = rewrite_whole(input);
  ASSERT_EQ(whole.report.sites.size(), 2U);
  EXPECT_EQ(whole.report.sites[0].tier, Tier::kNative) << describe(whole.report);
  EXPECT_EQ(verdict(whole.output), "proven");
}

// A static-PIE whose dynamic section becomes a library's.
TEST(VerifyOriginal, SeesATableThatMovedInALibrary) {
  const auto file = [](uint64_t flags) {
    return ElfBuilder(elf::kTypeDyn)
        .code(kCode, kCall)
        .symbol("f", kCode, kCall.size())
        .dynamic(0x405000, {{elf::kDtFlags1, flags}, {elf::kDtNeeded, 1}})
        .entry(kCode)
        .build();
  };
  const Whole whole = rewrite_whole(file(elf::kDf1Pie));
  ASSERT_NE(whole.file.meta().flags & kMetaHeadersMoved, 0U);
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with_input(whole, file(0)), "flags that do not fit the input's PT_INTERP"));
}

// A position-independent file whose dynamic section says whether it is a program.
Bytes program_or_library(uint64_t flags) {
  return ElfBuilder(elf::kTypeDyn)
      .segment(0x400000, Bytes(16), elf::kFlagRead)
      .code(kCode, kCall)
      .symbol("f", kCode, kCall.size())
      .dynamic(0x405000, {{elf::kDtFlags1, flags}, {elf::kDtNeeded, 1}})
      .entry(kCode)
      .build();
}

// Behind the last segment of a program its heap begins; in front of a library nobody makes room.
TEST(VerifyOriginal, SeesATrampolineInThePlaceOfAnotherKindOfFile) {
  Options options;
  options.interpreter = std::nullopt;
  const Bytes program = program_or_library(elf::kDf1Pie), other = program_or_library(0);
  const Whole pie = rewrite_whole(program, options), library = rewrite_whole(other, options);
  const char* finding = "where something else may come to lie";
  EXPECT_EQ(verdict(pie.output), "proven");
  EXPECT_TRUE(finds(with_input(pie, other), finding));
  EXPECT_EQ(verdict(library.output), "proven");
  EXPECT_TRUE(finds(with_input(library, program), finding));
  const Bytes exec = with(other, offsetof(elf::Ehdr, type), uint16_t{elf::kTypeExec});
  EXPECT_TRUE(finds(sealed(with_input(library, exec)), finding));
}

TEST(VerifyOriginal, SeesATrampolineAwayFromTheSegmentsOfAProgram) {
  const Bytes input = ElfBuilder()
                          .segment(0x400000, Bytes(16), elf::kFlagRead)
                          .code(kCode, kCall)
                          .symbol("f", kCode, kCall.size())
                          .build();
  Options options;
  options.interpreter = std::nullopt;
  const Whole whole = rewrite_whole(input, options);
  EXPECT_EQ(verdict(whole.output), "proven");
  const auto first_at = [&](uint64_t address) {
    return sealed(
        with_input(whole, with(input, phdr_field(0, offsetof(elf::Phdr, vaddr)), address)));
  };
  EXPECT_TRUE(finds(first_at(0x3f0000), "where something else may come to lie"));
  EXPECT_TRUE(finds(first_at(0x3ff000), "that the program needs"));
}

// --- What strip and objcopy may have written anew

constexpr uint32_t kStack = 0x6474e551;  // PT_GNU_STACK

Whole embedded() {
  Options options;
  options.embed = true;
  return rewrite_whole(with_loaded_headers(ElfBuilder()
                                               .header(kStack, kCode, 0)
                                               .code(kCode, kCall)
                                               .symbol("f", kCode, kCall.size())
                                               .build()),
                       options);
}

Bytes with_wrong_digest(const Whole& whole, Bytes output) {
  const uint64_t end = whole.file.own_segment().offset + whole.file.own_segment().filesz;
  return with(std::move(output), end - sizeof(Trailer) - sizeof(uint64_t), uint64_t{0});
}

TEST(VerifyChanged, SeesADigestThatIsWrongUnderTheHeadersThatWereWritten) {
  const Whole whole = embedded();
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(sealed(with_wrong_digest(whole, whole.output)), "the digest of the input"));
}

// The header of the stack becomes that of a second segment of code, behind the trampoline.
TEST(VerifyChanged, SeesASegmentBehindTheTrampolines) {
  const Whole whole = embedded();
  const auto header = *load<elf::Ehdr>(whole.output, 0);
  for (uint64_t i = 0; i < header.phnum; ++i) {
    auto segment = *load<elf::Phdr>(whole.output, phdr_field(i, 0));
    if (segment.type != kStack) continue;
    segment = {elf::kPtLoad, elf::kFlagRead | elf::kFlagExec, 0, 0x900000, 0x900000, 64, 64,
               kPageSize};
    Bytes forged = with_wrong_digest(whole, with(whole.output, phdr_field(i, 0), segment));
    EXPECT_TRUE(finds(sealed(forged), "where only the trampoline's are"));
    return;
  }
  FAIL() << "no header of the stack";
}

// --- What makes room for a longer program-header table

// As if the input had been `other`, digest included.
Bytes with_digest_of(const Whole& whole, Bytes output, const Bytes& other) {
  Checksum checksum;
  checksum.add(other);
  const uint64_t end = whole.file.own_segment().offset + whole.file.own_segment().filesz;
  return sealed(
      with(std::move(output), end - sizeof(Trailer) - sizeof(uint64_t), checksum.digest()));
}

constexpr uint64_t kTableEnd = kPhdrOffset + 2 * sizeof(elf::Phdr);

// The headers, 64 bytes directly behind them, and code in a second segment. Section 1 has the 64.
Bytes with_room(uint32_t type, uint64_t flags) {
  Bytes file = ElfBuilder()
                   .segment(0x400200, Bytes(64), elf::kFlagRead)
                   .code(kCode, kCall)
                   .section(".room", type, flags, 0x400200, 64)
                   .build();
  file = with(file, phdr_field(0, offsetof(elf::Phdr, offset)), uint64_t{0});
  for (const size_t field : {offsetof(elf::Phdr, vaddr), offsetof(elf::Phdr, paddr)})
    file = with(file, phdr_field(0, field), uint64_t{0x400000});
  for (const size_t field : {offsetof(elf::Phdr, filesz), offsetof(elf::Phdr, memsz)})
    file = with(file, phdr_field(0, field), kTableEnd + 64);
  const uint64_t section = load<elf::Ehdr>(file, 0)->shoff + sizeof(elf::Shdr);
  file = with(file, section + offsetof(elf::Shdr, addr), 0x400000 + kTableEnd);
  return with(file, section + offsetof(elf::Shdr, offset), kTableEnd);
}

// `field` of section 1, in the input's headers and in those of today.
template <typename T>
Bytes with_section_field(const Whole& whole, Bytes output, size_t field, T value) {
  for (const Bytes* file : {&whole.input, &whole.output})
    output = with(std::move(output), load<elf::Ehdr>(*file, 0)->shoff + sizeof(elf::Shdr) + field,
                  value);
  return output;
}

Options embedding() {
  Options options;
  options.embed = true;
  return options;
}

TEST(VerifyRoom, SeesZerosThatASectionHas) {
  const Whole whole = rewrite_whole(with_room(1, 0), embedding());
  EXPECT_EQ(verdict(whole.output), "proven");
  const Bytes forged =
      with_section_field(whole, whole.output, offsetof(elf::Shdr, flags), uint64_t{elf::kShfAlloc});
  EXPECT_TRUE(finds(with_digest_of(whole, forged, with_room(1, elf::kShfAlloc)),
                    "a byte behind the program headers"));
}

TEST(VerifyRoom, SeesASectionThatMovesAndIsNotFoundThere) {
  const Whole whole = rewrite_whole(with_room(elf::kShtNote, elf::kShfAlloc), embedding());
  EXPECT_EQ(verdict(whole.output), "proven");
  const Bytes forged =
      with_section_field(whole, whole.output, offsetof(elf::Shdr, type), uint32_t{4});  // RELA
  EXPECT_TRUE(
      finds(with_digest_of(whole, forged, with_room(4, elf::kShfAlloc)), "the header of section"));
}

TEST(VerifyRoom, SeesThatASegmentGrowsOverZerosOfItsOwn) {
  const uint64_t memsz = phdr_field(0, offsetof(elf::Phdr, memsz));
  const auto file = [](uint64_t size) {
    const Bytes input =
        with(with_room(1, 0), phdr_field(0, offsetof(elf::Phdr, filesz)), kTableEnd);
    return with(input, memsz, size);
  };
  const Whole whole = rewrite_whole(file(kTableEnd), embedding());
  EXPECT_EQ(verdict(whole.output), "proven");
  const EditRecord table = whole.file.edit(1);
  ASSERT_EQ(table.offset, kPhdrOffset);
  const uint64_t original =
      whole.file.meta_offset().value + whole.file.meta().blob.offset + table.blob;
  const Bytes forged = with(whole.output, original + (memsz - kPhdrOffset), uint64_t{0xc00});
  EXPECT_TRUE(finds(with_digest_of(whole, forged, file(0xc00)), "a program header of type"));
}

}  // namespace

}  // namespace sysrewrite
