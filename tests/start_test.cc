// How a rewritten program comes to be started, and which files are not rewritten for the sake of
// what stands behind them.
#include "rewriter/start.h"

#include <gtest/gtest.h>

#include <cstddef>

#include "rewriter/verify.h"
#include "tests/rewrites.h"

namespace sysrewrite {

namespace {

using namespace test;

const Bytes kCall = hex("b8 27 00 00 00 0f 05 c3");
constexpr char kLdSo[] = "/lib64/ld-linux-x86-64.so.2";  // 27 characters

Options interpreter(const std::string& path) {
  Options options;
  options.interpreter = path;
  return options;
}

elf::Phdr phdr_at(const Bytes& file, size_t index) {
  const auto ehdr = *load<elf::Ehdr>(file, 0);
  return *load<elf::Phdr>(file, ehdr.phoff + index * sizeof(elf::Phdr));
}

std::string string_at(const Bytes& file, uint64_t offset, uint64_t size) {
  std::string out;
  for (uint64_t i = 0; i < size; ++i) out += static_cast<char>(file.at(offset + i));
  return out;
}

TEST(Start, OverwritesThePathInPlaceWhereItFits) {
  const std::string path = "/usr/lib/sysload-27-letters";
  ASSERT_EQ(path.size(), 27U);
  const Whole whole = rewrite_whole(code_file(kCall).interpreter(kLdSo).build(), interpreter(path));
  EXPECT_EQ(whole.report.start, StartChange::kPathInPlace);
  EXPECT_EQ(whole.report.interpreter, path);
  EXPECT_EQ(string_at(whole.output, 0x1000 - 0, 28), path + '\0');
  ASSERT_EQ(whole.file.edit_count(), 1U);
  EXPECT_EQ(whole.file.edit(0).kind, EditKind::kInterpreterPath);
  EXPECT_EQ(to_hex(whole.file.original_edit(whole.file.edit(0))), to_hex(text(kLdSo) + hex("00")));
  EXPECT_EQ(phdr_at(whole.output, 0).filesz, 28U);
  EXPECT_EQ(whole.file.meta().flags & kMetaInterpInPlace, uint32_t{kMetaInterpInPlace});
}

TEST(Start, FillsTheRestOfTheOldPathWithNul) {
  const Whole whole = rewrite_whole(code_file(kCall).interpreter(kLdSo).build(), interpreter("/s"));
  EXPECT_EQ(string_at(whole.output, 0x1000, 28), "/s" + std::string(26, '\0'));
}

TEST(Start, PutsALongerPathAtTheEnd) {
  const std::string path = "/usr/lib/sysload-of-28-bytes";
  ASSERT_EQ(path.size(), 28U);
  const Bytes input = code_file(kCall).interpreter(kLdSo).build();
  const Whole whole = rewrite_whole(input, interpreter(path));
  EXPECT_EQ(whole.report.start, StartChange::kPathAtEnd);
  const elf::Phdr header = phdr_at(whole.output, 0);
  EXPECT_EQ(header.type, elf::kPtInterp);
  EXPECT_EQ(header.filesz, 29U);
  EXPECT_EQ(header.vaddr, phdr_at(input, 0).vaddr);  // where ld.so reads its own name
  EXPECT_EQ(string_at(whole.output, header.offset, 29), path + '\0');
  EXPECT_EQ(string_at(whole.output, 0x1000, 27), kLdSo);
  EXPECT_EQ(whole.file.edit(0).kind, EditKind::kProgramHeader);
}

TEST(Start, GivesAStaticProgramANewTableAtTheEnd) {
  const Bytes input = code_file(kCall).data(0x403000, kCall).build();
  const Whole whole = rewrite_whole(input);
  EXPECT_EQ(whole.report.start, StartChange::kHeadersAtEnd);
  const auto before = *load<elf::Ehdr>(input, 0);
  const auto after = *load<elf::Ehdr>(whole.output, 0);
  EXPECT_EQ(after.phnum, before.phnum + 1);
  EXPECT_GE(after.phoff, input.size());
  EXPECT_EQ(after.phoff % 8, 0U);
  // gABI: PT_INTERP stands in front of every PT_LOAD.
  const elf::Phdr first = phdr_at(whole.output, 0);
  EXPECT_EQ(first.type, elf::kPtInterp);
  EXPECT_EQ(string_at(whole.output, first.offset, first.filesz),
            std::string(kDefaultInterpreter) + '\0');
  for (size_t i = 0; i < before.phnum; ++i) {
    const elf::Phdr old = phdr_at(input, i), moved = phdr_at(whole.output, i + 1);
    EXPECT_EQ(std::memcmp(&old, &moved, sizeof(old)), 0) << i;
  }
  // The old table stays what it was.
  EXPECT_EQ(std::memcmp(input.data() + 64, whole.output.data() + 64, 2 * sizeof(elf::Phdr)), 0);
  EXPECT_EQ(whole.file.meta().input_phnum, before.phnum);
}

TEST(Start, MapsTheMovedTableOfAStaticPie) {
  const Bytes input = ElfBuilder(elf::kTypeDyn)
                          .code(0x1000, kCall)
                          .dynamic(0x3000, {{elf::kDtFlags1, elf::kDf1Pie}})
                          .build();
  const Whole whole = rewrite_whole(input);
  ASSERT_EQ(whole.report.start, StartChange::kHeadersAtEnd);
  const auto before = *load<elf::Ehdr>(input, 0), after = *load<elf::Ehdr>(whole.output, 0);
  ASSERT_EQ(after.phnum, before.phnum + 2);
  uint64_t loads_end = 0, held_by = 0;
  for (size_t i = 0; i < after.phnum; ++i) {
    const elf::Phdr header = phdr_at(whole.output, i);
    if (header.type != elf::kPtLoad) continue;
    EXPECT_GE(header.vaddr, loads_end);  // ascending, and page by page apart
    loads_end = align_down(header.vaddr + header.memsz + 4095, 4096);
    EXPECT_EQ(header.vaddr % 4096, header.offset % 4096);
    const bool holds =
        header.offset <= after.phoff &&
        after.phoff + after.phnum * sizeof(elf::Phdr) <= header.offset + header.filesz;
    if (!holds) continue;
    ++held_by;
    EXPECT_EQ(header.flags, elf::kFlagRead);
    EXPECT_LE(header.offset + header.filesz, whole.output.size());
  }
  EXPECT_EQ(held_by, 1U);
}

TEST(Start, RemembersWhereTheInputsTableIsMapped) {
  // The builder maps no headers; with a segment over the file's first bytes they are.
  const Bytes unmapped = code_file(kCall).build();
  EXPECT_EQ(rewrite_whole(unmapped).file.meta().phdr_vaddr, 0U);
  Bytes mapped = code_file(kCall).segment(0x3fe000, hex("00"), elf::kFlagRead).build();
  // Headers descend now; swap them so that the new one comes first, over [0, 0x200).
  const elf::Phdr load{elf::kPtLoad, elf::kFlagRead, 0, 0x400000, 0x400000, 0x200, 0x200, 4096};
  const elf::Phdr code = phdr_at(mapped, 0);
  mapped = with(with(mapped, phdr_field(0, 0), load), phdr_field(1, 0), code);
  EXPECT_EQ(rewrite_whole(mapped).file.meta().phdr_vaddr, 0x400040U);
}

TEST(Start, MakesAnInterpretersNoteItsInterpreter) {
  const elf::Dyn soname{elf::kDtSoname, 1};
  const auto ld_so = [&] {
    return ElfBuilder(elf::kTypeDyn)
        .code(0x1000, kCall)
        .entry(0x1000)
        .dynamic(0x3000, {soname})
        .data(0x5000, hex("01 02 03 04"));
  };
  const Bytes input = ld_so().header(elf::kPtNote, 0x5000, 4).build();
  const Whole whole = rewrite_whole(input, interpreter("/loader"));
  EXPECT_EQ(whole.report.start, StartChange::kNoteAtEnd);
  // The table stays where it is, and but for one header what it is.
  const auto before = *load<elf::Ehdr>(input, 0), after = *load<elf::Ehdr>(whole.output, 0);
  EXPECT_EQ(std::memcmp(&before, &after, sizeof(before)), 0);
  for (size_t i = 0; i < before.phnum; ++i) {
    const elf::Phdr old = phdr_at(input, i), now = phdr_at(whole.output, i);
    if (old.type == elf::kPtNote) {
      EXPECT_EQ(now.type, elf::kPtInterp);
      EXPECT_EQ(string_at(whole.output, now.offset, now.filesz), std::string("/loader") + '\0');
    } else {
      EXPECT_EQ(std::memcmp(&old, &now, sizeof(old)), 0) << i;
    }
  }
  ASSERT_EQ(whole.file.edit_count(), 1U);
  EXPECT_EQ(whole.file.edit(0).kind, EditKind::kProgramHeader);
  EXPECT_NE(whole.file.meta().flags & kMetaInterpreter, 0U);
  // Without a note there is no header to take.
  const Whole bare = rewrite_whole(ld_so().build(), interpreter("/loader"));
  EXPECT_EQ(bare.report.start, StartChange::kNone);
  EXPECT_NE(bare.file.meta().flags & kMetaInterpreter, 0U);
}

TEST(Start, GivesALibraryThatCanBeExecutedItsInterpreter) {
  const elf::Dyn soname{elf::kDtSoname, 1}, needed{elf::kDtNeeded, 1};
  const Whole whole = rewrite_whole(ElfBuilder(elf::kTypeDyn)
                                        .code(0x1000, kCall)
                                        .dynamic(0x3000, {soname, needed})
                                        .interpreter(kLdSo, 0)
                                        .build(),
                                    interpreter("/loader"));
  EXPECT_EQ(whole.report.kind, ImageKind::kSharedObject);
  EXPECT_EQ(whole.report.start, StartChange::kPathInPlace);
}

// As gold links one, and other linkers without separate code: its first bytes may be executed.
TEST(Start, TakesNoLibraryWithoutAnEntryForAnInterpreter) {
  const Whole whole = rewrite_whole(ElfBuilder(elf::kTypeDyn)
                                        .code(0, repeat(0, 64) + kCall)
                                        .entry(0)
                                        .dynamic(0x3000, {{elf::kDtSoname, 1}})
                                        .data(0x5000, hex("01 02 03 04"))
                                        .header(elf::kPtNote, 0x5000, 4)
                                        .build());
  EXPECT_EQ(whole.report.kind, ImageKind::kSharedObject);
  EXPECT_EQ(whole.report.start, StartChange::kNone);
  EXPECT_EQ(whole.file.meta().flags & kMetaInterpreter, 0U);
  EXPECT_TRUE(verify(whole.output).proven());
}

TEST(Start, LeavesLibrariesAndThoseWhoAskAlone) {
  const Bytes library = ElfBuilder(elf::kTypeDyn).code(0x1000, kCall).build();
  EXPECT_EQ(rewrite_whole(library).report.start, StartChange::kNone);
  EXPECT_EQ(rewrite_whole(library).file.edit_count(), 0U);
  Options none;
  none.interpreter.reset();
  EXPECT_EQ(rewrite_whole(code_file(kCall).build(), none).file.edit_count(), 0U);
  Options litebox;
  litebox.format = Format::kLitebox;
  litebox.native_tail = false;
  EXPECT_EQ(rewrite_whole(code_file(kCall).interpreter(kLdSo).build(), litebox).file.edit_count(),
            0U);
}

TEST(Start, RefusesAnInterpreterThatIsNoAbsolutePath) {
  for (const char* path : {"", "sysload", "./sysload"}) {
    const Error error = rewrite_error(code_file(kCall).build(), interpreter(path));
    EXPECT_EQ(error.code, ErrorCode::kOptions);
    EXPECT_EQ(error.message, "the interpreter '" + std::string(path) +
                                 "' is no absolute path; the kernel would look for it in the "
                                 "current directory");
  }
}

TEST(Start, RefusesAnInterpreterThatTheKernelWouldNotTake) {
  constexpr char kMessage[] = "the interpreter's path is longer than 4095 bytes or holds a NUL";
  const Bytes file = code_file(kCall).build();
  EXPECT_EQ(rewrite_error(file, interpreter("/" + std::string(4095, 'x'))).message, kMessage);
  EXPECT_EQ(rewrite_error(file, interpreter(std::string("/a\0b", 4))).message, kMessage);
  // PATH_MAX counts the NUL: 4095 characters are the most.
  EXPECT_EQ(rewrite_whole(file, interpreter("/" + std::string(4094, 'x'))).report.start,
            StartChange::kHeadersAtEnd);
}

TEST(Start, RefusesAStaticProgramWithAllTheHeadersThereCanBe) {
  Bytes file = code_file(kCall).build();
  const elf::Phdr load = phdr_at(file, 0);
  const uint64_t table = file.size();
  elf::Phdr null{};
  for (int i = 0; i < 1170; ++i) file = std::move(file) + bytes_of(i == 0 ? load : null);
  file = with(with(file, offsetof(elf::Ehdr, phoff), table), offsetof(elf::Ehdr, phnum),
              uint16_t{1170});
  const Error error = rewrite_error(file);
  EXPECT_EQ(error.code, ErrorCode::kUnsupportedFile);
  EXPECT_EQ(error.message,
            "the kernel loads at most 1170 program headers, and the new table would have 1171; use "
            "--no-interp");
  Options none;
  none.interpreter.reset();
  EXPECT_EQ(rewrite_whole(file, none).report.start, StartChange::kNone);
  EXPECT_EQ(rewrite_whole(with(file, offsetof(elf::Ehdr, phnum), uint16_t{1169})).report.start,
            StartChange::kHeadersAtEnd);
}

TEST(LoaderOptions, StandInTheFileEachWithItsNul) {
  Options options;
  options.loader_options = {"hook=count", "vdso=hide"};
  const Whole whole = rewrite_whole(code_file(kCall).build(), options);
  EXPECT_EQ(to_hex(whole.file.options()),
            to_hex(text("hook=count") + hex("00") + text("vdso=hide") + hex("00")));
}

// --- Payloads
// --------------------------------------------------------------------------------------

std::string refusal(const Bytes& payload) {
  const Bytes program = code_file(kCall).build();
  const Error error = rewrite_error(program + payload);
  EXPECT_EQ(error.code, ErrorCode::kSelfReading);
  EXPECT_EQ(error.where, program.size());
  return error.message.substr(0, error.message.find(':'));
}

TEST(Payload, IsRefusedByItsKind) {
  EXPECT_EQ(refusal(text("console.log(1)\n---- Bun! ----\n") + words({0})), "a Bun executable");
  EXPECT_EQ(refusal(text("MEI\014\013\012\013\016") + repeat(1, 80)), "a PyInstaller executable");
  EXPECT_EQ(refusal(text(std::string_view("PK\003\004....PK\005\006", 12)) + repeat(0, 18)),
            "a zip archive behind a program");
  EXPECT_EQ(refusal(text("hsqs") + repeat(7, 100)), "an AppImage (squashfs behind a program)");
  EXPECT_EQ(refusal(hex("01")), "a file with a payload behind the program");
}

TEST(Payload, IsRefusedWithItsSizeAndPlace) {
  const Bytes program = code_file(kCall).build();
  char where[32];
  std::snprintf(where, sizeof(where), "%#zx", program.size());
  EXPECT_EQ(rewrite_error(program + hex("01 02 03")).message,
            "a file with a payload behind the program: 3 bytes at offset " + std::string(where) +
                " belong to no segment or section; a program that finds them from the file's end "
                "would miss them. --force rewrites all the same");
}

TEST(Payload, IsKeptWhereItStandsWithForce) {
  const Bytes program = code_file(kCall).build(), payload = text("payload");
  Options options;
  options.force = true;
  const Whole whole = rewrite_whole(program + payload, options);
  EXPECT_EQ(string_at(whole.output, program.size(), 7), "payload");
}

TEST(Payload, OfZerosIsPadding) {
  rewrite_whole(code_file(kCall).build() + repeat(0, 1000));
}

}  // namespace

}  // namespace sysrewrite
