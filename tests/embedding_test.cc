// --embed=segment, byte by byte: what moves, what stays, what is refused; embed_test.py runs it.
#include "rewriter/embedding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "rewriter/eh_frame.h"
#include "rewriter/restore.h"
#include "rewriter/verify.h"
#include "tests/rewrites.h"
#include "tests/rewritten_samples.h"
#include "tests/sample_files.h"
#include "tests/sanitized.h"
#include "trampoline/checksum.h"

namespace sysrewrite {

namespace {

using namespace test;

Options embedded(bool symbols = false) {
  Options options;
  options.embed = true;
  options.symbols = symbols;
  return options;
}

std::vector<SampleFile> embeddable() {
  std::vector<SampleFile> samples = kSampleFiles;
  std::erase_if(samples, [](const SampleFile& s) {
    return s.path == kLdSo.path || s.path == kMusl.path;  // interpreters, which are refused
  });
  return samples;
}

// With symbols, and without.
class Embedded : public testing::TestWithParam<std::tuple<SampleFile, bool>> {
 protected:
  const Bytes input_ = read_sample(std::get<0>(GetParam()));
  const Whole whole_ = rewrite_whole(input_, embedded(std::get<1>(GetParam())));
};

TEST_P(Embedded, IsProvenAndComesBack) {
  const Verdict verdict = verify(whole_.output, whole_.input);
  EXPECT_TRUE(verdict.proven()) << describe(verdict.findings.first().at(0));
  EXPECT_FALSE(verdict.changed_since);
  const auto undone = restore(whole_.output);
  ASSERT_TRUE(undone) << undone.error().message;
  EXPECT_TRUE(materialize(whole_.output, *undone) == whole_.input);
}

TEST_P(Embedded, HasTheSameSitesAsAtTheEnd) {
  const Whole other = rewrite_whole(input_);
  ASSERT_EQ(whole_.report.sites.size(), other.report.sites.size());
  for (size_t i = 0; i < other.report.sites.size(); ++i)
    EXPECT_EQ(describe(whole_.report.sites[i]), describe(other.report.sites[i]));
}

// The same checks as the kernel and ld.so make.
TEST_P(Embedded, HasSegmentsThatAscendAndAreCongruent) {
  const auto image = ElfImage::parse(whole_.output);
  ASSERT_TRUE(image) << image.error().message;
  uint64_t end = 0;
  for (const elf::Phdr& header : image->program_headers()) {
    if (header.type != elf::kPtLoad) continue;
    EXPECT_GE(header.vaddr, end);
    EXPECT_EQ((header.vaddr - header.offset) % std::max<uint64_t>(header.align, 1), 0U);
    EXPECT_NE(header.flags & 3U, 3U) << "writable code";
    end = header.vaddr + header.memsz;
  }
  const Segment& stubs = image->segments().back();
  EXPECT_TRUE(stubs.executable());
  EXPECT_EQ(stubs.vaddr.value, whole_.file.trailer().vaddr + kPageSize);
}

// What strip and objcopy keep is what sections hold.
TEST_P(Embedded, HasASectionOverEveryByteThatIsNotZero) {
  const auto image = ElfImage::parse(whole_.output);
  ASSERT_TRUE(image);
  const elf::Phdr& own = whole_.file.own_segment();
  for (uint64_t at = own.offset;
       at < own.offset + own.filesz + whole_.file.trailer().size - kPageSize; ++at) {
    if (whole_.output[at] == std::byte{0}) continue;
    const auto& sections = image->sections();
    ASSERT_TRUE(std::any_of(sections.begin(), sections.end(), [at](const elf::Shdr& section) {
      return section.type != elf::kShtNobits && at >= section.offset &&
             at - section.offset < section.size;
    })) << at;
  }
}

// Each byte of the headers, old and new: nothing there may be wrong and go unnoticed.
TEST_P(Embedded, DamagedHeadersAreSeen) {
  const auto header = *load<elf::Ehdr>(whole_.output, 0);
  const uint64_t table_end = header.phoff + uint64_t{header.phnum} * sizeof(elf::Phdr);
  std::vector<uint64_t> places;
  // One in so many, another one for each file: a verdict on a large file takes its time. An odd
  // number, so that no field is left out.
  const uint64_t step = (one_in(31) * (1 + whole_.output.size() / (1 << 18))) | 1;
  for (uint64_t at = 4 + whole_.output.size() / kPageSize % step; at < table_end; at += step)
    places.push_back(at);
  const elf::Phdr& own = whole_.file.own_segment();
  const uint64_t tables = own.offset + own.filesz + whole_.file.trailer().size - kPageSize;
  const uint64_t apart = 37 * step + (header.shoff - tables) / 60;
  for (uint64_t at = tables; at < whole_.output.size(); at += apart) places.push_back(at);
  for (const uint64_t at : places) {
    Bytes damaged = whole_.output;
    damaged[at] ^= std::byte{0x20};
    EXPECT_FALSE(verify(sealed(damaged)).proven()) << at;
  }
}

TEST_P(Embedded, DamagedUnwindTablesAreSeen) {
  const auto image = ElfImage::parse(whole_.output);
  ASSERT_TRUE(image);
  for (const char* name : {".eh_frame", ".eh_frame_hdr"}) {
    const auto& sections = image->sections();
    const auto found = std::find_if(sections.begin(), sections.end(), [&](const auto& section) {
      return image->section_name(section) == name &&
             section.addr >= whole_.file.own_segment().vaddr;
    });
    if (found == sections.end()) continue;
    const uint64_t apart = one_in(7) * (1 + found->size / 40);
    for (uint64_t at = found->offset; at < found->offset + found->size; at += apart) {
      Bytes damaged = whole_.output;
      damaged[at] ^= std::byte{0x04};
      EXPECT_FALSE(verify(sealed(damaged)).proven()) << name << " at " << at;
    }
  }
}

// Whatever unwinds reads one table: it says of the old code what it said, and more of the stubs.
TEST_P(Embedded, UnwindsTheOldCodeAsBefore) {
  using Frames = std::vector<std::tuple<uint64_t, uint64_t, std::optional<Vaddr>, Bytes>>;
  const auto read = [](const ElfImage& image) {
    Frames frames;
    if (const auto table = find_frame_table(image))
      for_each_frame(*table, FrameStyle::kEhFrame, [&](const auto& common, const auto& frame) {
        Bytes said(common.program.begin(), common.program.end());
        said.insert(said.end(), frame.program.begin(), frame.program.end());
        if (common.personality) said.resize(said.size() + common.personality->target.value % 4096);
        frames.emplace_back(frame.start.value, frame.size,
                            frame.lsda ? std::optional(frame.lsda->target) : std::nullopt, said);
      });
    return frames;
  };
  const auto before = ElfImage::parse(whole_.input), after = ElfImage::parse(whole_.output);
  ASSERT_TRUE(before && after);
  const Frames old = read(*before), merged = read(*after);
  ASSERT_GE(merged.size(), old.size());
  EXPECT_TRUE(std::equal(old.begin(), old.end(), merged.begin()));
  EXPECT_EQ(merged.size() - old.size(), whole_.report.framed_stubs);
  const uint64_t stubs = whole_.file.trailer().vaddr + kPageSize;
  for (size_t i = old.size(); i < merged.size(); ++i) EXPECT_GE(std::get<0>(merged[i]), stubs);
}

INSTANTIATE_TEST_SUITE_P(Files, Embedded,
                         testing::Combine(testing::ValuesIn(embeddable()), testing::Bool()),
                         [](const auto& it) {
                           return std::get<0>(it.param).name +
                                  std::string(std::get<1>(it.param) ? "_with_symbols" : "");
                         });

// As a tool leaves it that writes headers anew: the patches are proven, the input is not given
// back.
TEST(Embedding, AChangedFileIsToldFromAWholeOne) {
  const Whole whole = rewrite_whole(read_sample(kBusybox), embedded());
  Bytes changed = whole.output;
  const auto image = ElfImage::parse(whole.output);
  ASSERT_TRUE(image);
  const Segment& data = image->segments().at(image->segments().size() - 3);
  changed[data.offset.value + data.file_size - 1] ^= std::byte{1};
  // Under the headers that were written it is damage; else a tool has been here.
  const Verdict damaged = verify(changed);
  EXPECT_FALSE(damaged.changed_since);
  ASSERT_FALSE(damaged.proven());
  EXPECT_NE(describe(damaged.findings.first().front()).find("the digest of the input"),
            std::string::npos);
  changed = with(changed, offsetof(elf::Ehdr, flags), uint32_t{1});
  const Verdict verdict = verify(changed);
  EXPECT_TRUE(verdict.proven());
  EXPECT_TRUE(verdict.changed_since);
  EXPECT_FALSE(verify(changed, whole.input).proven());
  const auto undone = restore(changed);
  ASSERT_FALSE(undone);
  EXPECT_NE(undone.error().message.find("written anew since it was rewritten"), std::string::npos);
  const auto code = restore_code(changed);
  ASSERT_TRUE(code) << code.error().message;
  const Bytes bytes = materialize(changed, *code);
  for (const SiteReport& site : whole.report.sites) {
    const auto at = image->offset_of(site.window, site.window_size);
    ASSERT_TRUE(at);
    EXPECT_TRUE(
        std::equal(bytes.begin() + static_cast<std::ptrdiff_t>(at->value),
                   bytes.begin() + static_cast<std::ptrdiff_t>(at->value) + site.window_size,
                   whole.input.begin() + static_cast<std::ptrdiff_t>(at->value)));
  }
}

// An input whose unwind table is not one that may be written elsewhere keeps it, and works.
TEST(Embedding, UnwindTablesThatCannotMoveStayAsTheyAre) {
  const Bytes input = read_sample(kGlibc);
  const auto image = ElfImage::parse(input);
  ASSERT_TRUE(image);
  const auto table = find_frame_table(*image);
  ASSERT_TRUE(table);
  std::vector<FrameDescription> frames;
  std::optional<FrameCommon> common;
  for_each_frame(*table, FrameStyle::kEhFrame, [&](const auto& c, const auto& frame) {
    frames.push_back(frame);
    if (!common) common = c;
  });
  ASSERT_GT(frames.size(), 1000U);
  size_t section = 0;
  while (image->section_name(image->sections()[section]) != ".eh_frame") ++section;
  const uint64_t header = image->header().shoff + section * sizeof(elf::Shdr);
  const elf::Shdr& was = image->sections()[section];
  const auto at = [&](Vaddr address) { return address.value - was.addr + was.offset; };
  const auto padded = std::find_if(frames.begin(), frames.end(), [](const auto& frame) {
    const ByteView end = frame.program.last(std::min<size_t>(6, frame.program.size()));
    return end.size() == 6 &&
           std::all_of(end.begin(), end.end(), [](std::byte byte) { return byte == std::byte{0}; });
  });
  ASSERT_NE(padded, frames.end());
  const uint64_t end_of_program = at(padded->program_address) + padded->program.size();
  const uint64_t letters = at(common->entry) + 9;

  const std::vector<std::pair<const char*, Bytes>> inputs{
      {"writable", with(input, header + offsetof(elf::Shdr, flags), was.flags | elf::kShfWrite)},
      {"elsewhere", with(input, header + offsetof(elf::Shdr, addr), was.addr + 8)},
      {"unknown letter", with(input, letters + 1, uint8_t{'X'})},
      {"absolute pointers", with(input, at(common->program_address) - 1, uint8_t{0x00})},
      {"set_loc", with(input, end_of_program - 5, uint8_t{0x01})},
      {"unknown rule", with(input, end_of_program - 1, uint8_t{0x3f})},
      {"empty", with(input, at(frames[9].start_at) + 4, uint32_t{0})},
  };
  ASSERT_GT(rewrite_whole(input, embedded()).report.framed_stubs, 400U);
  for (const auto& [what, changed] : inputs) {
    const Whole whole = rewrite_whole(changed, embedded());
    EXPECT_EQ(whole.report.framed_stubs, 0U) << what;
    const Verdict verdict = verify(whole.output, whole.input);
    EXPECT_TRUE(verdict.proven()) << what << ": " << describe(verdict.findings.first().at(0));
    const auto after = ElfImage::parse(whole.output);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->find_header(elf::kPtGnuEhFrame)->vaddr,
              image->find_header(elf::kPtGnuEhFrame)->vaddr);
  }
}

constexpr uint64_t kNote = 0x400160, kNoteSize = 0x80;

// A program with a note of its own, right behind its program headers where there are few, and
// `code` behind its only system call.
ElfBuilder with_note(uint64_t note, uint16_t type, const Bytes& code = {}) {
  const Bytes site = hex("b8 27 00 00 00 0f 05 c3");
  return ElfBuilder(type)
      .segment(note, repeat(0x41, kNoteSize), elf::kFlagRead)
      .code(align_up(note, kPageSize), site + code + hex("c3"))
      .section(".note.package", elf::kShtNote, elf::kShfAlloc, note, kNoteSize)
      .header(elf::kPtNote, note, kNoteSize);
}

Bytes fixed_with_note(const Bytes& code = {}) {
  return with_loaded_headers(with_note(kNote, elf::kTypeExec, code).build());
}

// The displacement from an instruction that ends `end` bytes behind the site's ret.
Bytes to_note(uint64_t at, uint64_t end) {
  return bytes_of(static_cast<int32_t>(kNote + at - (kCode + 8 + end)));
}

// So that a note may be something that the program itself reads.
TEST(Embedding, WhatCodeOrDataReferToStaysWhereItIs) {
  const Whole whole = rewrite_whole(fixed_with_note(), embedded());
  EXPECT_TRUE(verify(whole.output, whole.input).proven());
  const auto image = ElfImage::parse(whole.output);
  ASSERT_TRUE(image);
  EXPECT_GT(image->find_header(elf::kPtNote)->vaddr, kCode) << "the note was to move";

  const Bytes pointer = bytes_of(kNote + 4);
  const std::vector<std::pair<const char*, Bytes>> users{
      {"mov", hex("8b 05") + to_note(0, 6)},
      {"mov of its last byte", hex("0f b6 05") + to_note(kNoteSize - 1, 7)},
      {"lea", hex("48 8d 3d") + to_note(12, 7)},
      {"cmpb with an immediate", hex("80 3d") + to_note(8, 7) + hex("07")},
      {"movl of an immediate", hex("c7 05") + to_note(8, 10) + hex("01 02 03 04")},
      {"vector", hex("c5 fd 6f 05") + to_note(16, 8)},
      {"absolute operand", hex("bf") + bytes_of(static_cast<uint32_t>(kNote + 4))},
      {"movabs", hex("48 b8") + pointer},
      {"cmpb of an array's element", hex("80 b8") + bytes_of(uint32_t{kNote + 4}) + hex("07")},
      {"movl to it", hex("c7 04 85") + bytes_of(uint32_t{kNote + 4}) + hex("01 02 03 04")},
  };
  for (const auto& [what, code] : users) {
    const std::string error = rewrite_error(fixed_with_note(code), embedded()).message;
    EXPECT_NE(error.find("refers to 0x4001"), std::string::npos) << what << ": " << error;
  }
  const auto with_data = with_note(kNote, elf::kTypeExec).data(0x402004, pointer);
  EXPECT_NE(rewrite_error(with_loaded_headers(with_data.build()), embedded())
                .message.find("a pointer refers to 0x400164"),
            std::string::npos);
  // What lies in front of it and behind it, and what is no operand.
  for (const Bytes& code :
       {hex("8b 05") + to_note(kNoteSize, 6), hex("48 8d 3d") + to_note(uint64_t{0} - 200, 7),
        hex("e8") + to_note(0, 5), hex("b8") + to_note(0, 5),
        repeat(0x90, 32) + hex("80 7c 01 40 00"),         // cmpb $0, 0x40(%rcx,%rax)
        repeat(0x90, 32) + hex("f7 c2 01 40 00 00"),      // test $0x4001, %edx
        repeat(0x90, 32) + hex("eb 05 b8 01 40 00 80")})  // jmp; mov $0x80004001, %eax
    EXPECT_TRUE(verify(rewrite_whole(fixed_with_note(code), embedded()).output).proven())
        << to_hex(code);
}

// A large program has numbers that are some address of a large table, or inside of the path.
TEST(Embedding, NumbersAreNoReferences) {
  constexpr uint64_t kSize = 0x40, kPath = kNote + kSize, kName = kPath + 7;
  constexpr uint32_t kBuildId = 3;
  const auto input = [](uint64_t data, const Bytes& code, uint32_t type) {
    const Bytes note = bytes_of(elf::Nhdr{4, kSize - 16, type}) + bytes_of(elf::kOwnerGnu) +
                       repeat(0x41, kSize - 16);
    const Bytes path = text("/lib64/ld-linux-x86-64.so.2") + hex("00");
    return with_loaded_headers(
        ElfBuilder(elf::kTypeExec)
            .segment(kNote, note + path, elf::kFlagRead)
            .code(kCode, hex("b8 27 00 00 00 0f 05 c3") + code + hex("c3"))
            .data(0x402004, bytes_of(data))
            .section(".note", elf::kShtNote, elf::kShfAlloc, kNote, kSize)
            .section(".interp", elf::kShtProgbits, elf::kShfAlloc, kPath, path.size())
            .header(elf::kPtNote, kNote, kSize)
            .header(elf::kPtInterp, kPath, path.size())
            .build());
  };
  const auto lea = [](uint64_t to) { return hex("48 8d 3d") + to_note(to - kNote, 7); };
  const std::vector<std::tuple<const char*, uint64_t, Bytes, uint32_t, bool>> cases{
      {"nothing", 0, {}, kBuildId, true},
      {"a pointer to the build ID", kNote + 16, {}, kBuildId, false},
      {"32 bits that equal it", (uint64_t{7} << 32) | (kNote + 16), {}, kBuildId, true},
      {"inside the ABI tag", kNote + 15, {}, elf::kNtGnuAbiTag, true},
      {"the ABI tag", kNote, {}, elf::kNtGnuAbiTag, false},
      {"inside properties", kNote + 24, {}, elf::kNtGnuPropertyType0, true},
      {"the path", 0, lea(kPath), kBuildId, false},
      {"its last name", 0, lea(kName), kBuildId, false},
      {"a pointer to its first name", kPath + 1, {}, kBuildId, false},
      {"inside the path", 0, lea(kPath + 0x13), kBuildId, true},
  };
  for (const auto& [what, data, code, type, fits] : cases) {
    const Bytes file = input(data, code, type);
    if (fits) {
      const Whole whole = rewrite_whole(file, embedded());
      const Verdict verdict = verify(whole.output, whole.input);
      EXPECT_TRUE(verdict.proven()) << what << ": " << describe(verdict.findings.first().at(0));
      EXPECT_GT(ElfImage::parse(whole.output)->find_header(elf::kPtInterp)->vaddr, kCode) << what;
    } else {
      const std::string error = rewrite_error(file, embedded()).message;
      EXPECT_NE(error.find("refers to 0x4001"), std::string::npos) << what << ": " << error;
    }
  }
}

TEST(Embedding, WhatRelocationsReferToStaysWhereItIs) {
  constexpr uint64_t kNoteHere = 0x1a0, kDynamic = 0x2000, kTable = 0x3000;
  const auto input = [](uint64_t place, uint64_t target) {
    const std::vector<elf::Dyn> entries{{elf::kDtFlags1, elf::kDf1Pie},
                                        {elf::kDtRela, kTable},
                                        {elf::kDtRelasz, sizeof(elf::Rela)}};
    return with_loaded_headers(with_note(kNoteHere, elf::kTypeDyn)
                                   .dynamic(kDynamic, entries)
                                   .data(kTable, words({place, elf::kRRelative, target}))
                                   .build());
  };
  const Whole whole = rewrite_whole(input(kTable, kTable), embedded());
  EXPECT_TRUE(verify(whole.output, whole.input).proven());
  const auto message = [&](uint64_t place, uint64_t target) {
    return rewrite_error(input(place, target), embedded()).message;
  };
  EXPECT_NE(message(kTable, kNoteHere).find("a relocation refers to 0x1a0"), std::string::npos);
  EXPECT_NE(message(kNoteHere - 4, kTable).find("a relocation, which writes it,"),
            std::string::npos);
}

// The output with a digest of that input.
Bytes with_input_digest(const Whole& whole, Bytes output, const Bytes& input) {
  Checksum digest;
  digest.add(input);
  const uint64_t end = whole.file.trailer().offset + kPageSize;
  const uint64_t at = end - kSegmentEndSize + offsetof(SegmentLocator, input_digest);
  return sealed(with(std::move(output), at, digest.digest()));
}

// verify finds by itself what the rewriter would have refused.
TEST(Embedding, AReferenceToWhatMovedIsSeen) {
  const Bytes nops = repeat(0x90, 42);
  const Whole whole = rewrite_whole(fixed_with_note(nops), embedded());
  for (const Bytes& code :
       {hex("48 8d 3d") + to_note(12, 39), hex("c7 05") + to_note(8, 42) + hex("01 02 03 04"),
        hex("48 b8") + bytes_of(kNote)}) {
    Bytes input = whole.input, output = whole.output;
    const auto at = static_cast<std::ptrdiff_t>(whole.file.offset_of({kCode + 40}, 1)->value);
    std::copy(code.begin(), code.end(), input.begin() + at);
    std::copy(code.begin(), code.end(), output.begin() + at);
    const Verdict verdict = verify(with_input_digest(whole, output, input), input);
    EXPECT_FALSE(verdict.changed_since);
    ASSERT_FALSE(verdict.proven()) << to_hex(code);
    EXPECT_NE(describe(verdict.findings.first().at(0)).find("whose bytes were given another place"),
              std::string::npos);
  }
}

// A hash table and a symbol table of three right behind the program headers; `sizes` are what their
// section headers say.
Bytes with_tables(bool gnu, uint64_t hash_size, uint64_t symbols_size) {
  constexpr uint64_t kHash = 0x400160, kSymbols = kHash + 0x28;
  const Bytes plain = bytes_of(uint32_t{1}) + bytes_of(uint32_t{3}) + repeat(0, 16);
  // One bucket, symbols from 1 on, a filter of one word; the run of symbol 1 ends with symbol 2.
  const Bytes other = bytes_of(uint32_t{1}) + bytes_of(uint32_t{1}) + bytes_of(uint32_t{1}) +
                      repeat(0, 4) + repeat(0xff, 8) + bytes_of(uint32_t{1}) +
                      bytes_of(uint32_t{2}) + bytes_of(uint32_t{5});
  Bytes tables = gnu ? other : plain;
  tables = tables + repeat(0, kSymbols - kHash - tables.size()) + repeat(0, 72);
  return with_loaded_headers(
      ElfBuilder()
          .segment(kHash, tables, elf::kFlagRead)
          .code(kCode, hex("b8 27 00 00 00 0f 05 c3"))
          .dynamic(0x403000,
                   {{gnu ? elf::kDtGnuHash : elf::kDtHash, kHash}, {elf::kDtSymtab, kSymbols}})
          .section(".hash", gnu ? elf::kShtGnuHash : elf::kShtHash, elf::kShfAlloc, kHash,
                   hash_size)
          .section(".dynsym", elf::kShtDynsym, elf::kShfAlloc, kSymbols, symbols_size)
          .build());
}

// ld.so goes by what the tables themselves say, not by their section headers.
TEST(Embedding, ATableThatIsLongerThanItsSectionStaysWhereItIs) {
  for (const bool gnu : {false, true}) {
    const uint64_t hash_size = gnu ? 36 : 24;
    const Whole whole = rewrite_whole(with_tables(gnu, hash_size, 72), embedded());
    EXPECT_TRUE(verify(whole.output, whole.input).proven());
    for (const auto& [name, input] : {std::pair(".hash", with_tables(gnu, hash_size - 4, 72)),
                                      {".dynsym", with_tables(gnu, hash_size, 48)}}) {
      const std::string expected = std::string(name) + " stands where the longer";
      EXPECT_NE(rewrite_error(input, embedded()).message.find(expected), std::string::npos) << name;
      // The same sections in an output that has moved them.
      const uint64_t headers = load<elf::Ehdr>(whole.input, 0)->shoff;
      const uint64_t moved = load<elf::Ehdr>(whole.output, 0)->shoff;
      Bytes output = whole.output;
      for (const size_t section : {size_t{1}, size_t{2}}) {
        const uint64_t field = section * sizeof(elf::Shdr) + offsetof(elf::Shdr, size);
        const auto size = *load<uint64_t>(input, headers + field);
        output = with(with(std::move(output), headers + field, size), moved + field, size);
      }
      const Verdict verdict = verify(with_input_digest(whole, output, input));
      EXPECT_TRUE(std::any_of(verdict.findings.first().begin(), verdict.findings.first().end(),
                              [](const auto& finding) {
                                return describe(finding).find("fewer bytes than ld.so reads") !=
                                       std::string::npos;
                              }))
          << name;
    }
  }
}

// It holds no headers although its offset is theirs: grown, it would be a mapping at address 0.
TEST(Embedding, AnEmptySegmentStaysEmpty) {
  Bytes input = with_loaded_headers(with_note(kNote, elf::kTypeExec).data(0x402000, {}).build());
  constexpr size_t kEmpty = 3;  // behind the note's header and two segments
  for (const size_t field : {offsetof(elf::Phdr, offset), offsetof(elf::Phdr, vaddr)})
    input = with(std::move(input), phdr_field(kEmpty, field), uint64_t{0});
  const Whole whole = rewrite_whole(input, embedded());
  EXPECT_TRUE(verify(whole.output, whole.input).proven());
  const auto image = ElfImage::parse(whole.output);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->segments().front().vaddr.value, 0x400000U);
  EXPECT_EQ(image->segments().size(), 4U);
}

TEST(Embedding, WhatMovesIsAlignedAsItWas) {
  const Bytes input = fixed_with_note();
  const auto aligned_to = [&](uint64_t alignment) {
    return with(input, phdr_field(0, offsetof(elf::Phdr, align)), alignment);
  };
  for (const uint64_t alignment : {0U, 1U, 4U, 32U}) {
    const Whole whole = rewrite_whole(aligned_to(alignment), embedded());
    EXPECT_TRUE(verify(whole.output, whole.input).proven()) << alignment;
  }
  for (const uint64_t alignment : {uint64_t{0x7fffffff00000008}, uint64_t{24}, uint64_t{128}})
    EXPECT_NE(rewrite_error(aligned_to(alignment), embedded())
                  .message.find("a segment of type 0x4 stands where"),
              std::string::npos);
}

TEST(Embedding, ALibraryWithoutSitesGetsATrailerAtItsEnd) {
  const Bytes input = ElfBuilder(elf::kTypeDyn).code(0x1000, hex("c3")).build();
  const Whole whole = rewrite_whole(input, embedded());
  EXPECT_FALSE(whole.file.is_segment());
  EXPECT_EQ(whole.file.trailer().size, 0U);
}

TEST(Embedding, WhatItDoesNotFitIsRefused) {
  const auto message = [](const Bytes& input) { return rewrite_error(input, embedded()).message; };
  EXPECT_NE(message(read_sample(kLdSo)).find("it is an interpreter"), std::string::npos);
  EXPECT_NE(message(every_tier().build()).find("--embed=segment does not fit this file"),
            std::string::npos);
  Options litebox = embedded();
  litebox.format = Format::kLitebox;
  litebox.native_tail = false;
  EXPECT_NE(rewrite_error(read_sample(kBusybox), litebox).message.find("LiteBox"),
            std::string::npos);
}

}  // namespace

}  // namespace sysrewrite
