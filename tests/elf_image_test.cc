#include "rewriter/elf_image.h"

#include <gtest/gtest.h>

#include <cstddef>

#include "tests/elf_builder.h"

namespace sysrewrite {

namespace {

using namespace test;  // literals and builder

constexpr uint64_t kMost = UINT64_MAX;

#define EHDR(field) offsetof(elf::Ehdr, field)
#define PHDR(index, field) phdr_field(index, offsetof(elf::Phdr, field))

// "<code>@<where>: <message>" of a refusal, "accepted" otherwise.
std::string verdict(const Bytes& file) {
  const auto image = ElfImage::parse(file);
  if (image) return "accepted";
  const Error& error = image.error();
  std::string out;
  switch (error.code) {
    case ErrorCode::kNotElf:
      out = "not ELF";
      break;
    case ErrorCode::kUnsupportedFile:
      out = "unsupported";
      break;
    case ErrorCode::kDamagedFile:
      out = "damaged";
      break;
    default:
      out = "other";
  }
  if (error.where) out += "@" + std::to_string(*error.where);
  return out + ": " + error.message;
}

// One executable segment and one of data.
Bytes small() {
  return code_file(hex("0f 05 c3")).data(0x403000, hex("00 01 02 03"), 64).build();
}

TEST(ElfImage, AcceptsWhatTheBuilderMakes) {
  EXPECT_EQ(verdict(small()), "accepted");
}

TEST(ElfImage, RefusesWhatIsNoElfFile) {
  EXPECT_EQ(verdict({}), "not ELF@0: not an ELF file: the first four bytes are not 7f 45 4c 46");
  EXPECT_EQ(verdict(text("#!/bin/sh\n")),
            "not ELF@0: not an ELF file: the first four bytes are not 7f 45 4c 46");
  EXPECT_EQ(verdict(hex("7f 45 4c")),
            "not ELF@0: not an ELF file: the first four bytes are not 7f 45 4c 46");
}

TEST(ElfImage, RefusesAHeaderThatIsCutOff) {
  Bytes file = small();
  file.resize(63);
  EXPECT_EQ(verdict(file), "damaged@0: the ELF header is cut off: 63 bytes of 64");
  file.resize(4);
  EXPECT_EQ(verdict(file), "damaged@0: the ELF header is cut off: 4 bytes of 64");
}

TEST(ElfImage, RefusesOtherClassesAndByteOrders) {
  EXPECT_EQ(verdict(with(small(), 4, uint8_t{1})),
            "unsupported: a 32-bit ELF file; only 64-bit ones are rewritten");
  EXPECT_EQ(verdict(with(small(), 4, uint8_t{3})), "damaged@4: EI_CLASS is 3; expected 2 (64-bit)");
  EXPECT_EQ(verdict(with(small(), 5, uint8_t{2})), "unsupported: a big-endian ELF file");
  EXPECT_EQ(verdict(with(small(), 5, uint8_t{0})),
            "damaged@5: EI_DATA is 0; expected 1 (little endian)");
  EXPECT_EQ(verdict(with(small(), 6, uint8_t{0})), "damaged@6: EI_VERSION is 0; expected 1");
}

TEST(ElfImage, RefusesOtherSystems) {
  EXPECT_EQ(verdict(with(small(), 7, uint8_t{9})),
            "unsupported: an ELF file for FreeBSD (EI_OSABI is 9); only Linux's are rewritten");
  // GNU's, which says that there are indirect functions, and what nobody has ever used.
  for (const int same : {3, 200})
    EXPECT_EQ(verdict(with(small(), 7, static_cast<uint8_t>(same))), verdict(small()));
}

TEST(ElfImage, RefusesOtherMachines) {
  EXPECT_EQ(verdict(with(small(), EHDR(machine), uint16_t{183})),
            "unsupported: an ELF file for machine 183; only x86-64 (62) is rewritten");
}

TEST(ElfImage, RefusesObjectsCoresAndUnknownTypes) {
  EXPECT_EQ(verdict(with(small(), EHDR(type), elf::kTypeRel)),
            "unsupported: a relocatable object (ET_REL); rewrite what the linker makes of it");
  EXPECT_EQ(verdict(with(small(), EHDR(type), elf::kTypeCore)),
            "unsupported: a core file (ET_CORE)");
  EXPECT_EQ(verdict(with(small(), EHDR(type), uint16_t{0})),
            "unsupported: e_type 0; only ET_EXEC (2) and ET_DYN (3) are rewritten");
  EXPECT_EQ(verdict(with(small(), EHDR(type), uint16_t{0xfe00})),
            "unsupported: e_type 65024; only ET_EXEC (2) and ET_DYN (3) are rewritten");
}

TEST(ElfImage, RefusesProgramHeadersThatCannotBe) {
  EXPECT_EQ(verdict(with(small(), EHDR(phnum), uint16_t{0})),
            "damaged@56: there are no program headers, so nothing of the file would be mapped");
  EXPECT_EQ(verdict(with(small(), EHDR(phnum), uint16_t{0xffff})),
            "unsupported: more than 65534 program headers (PN_XNUM)");
  EXPECT_EQ(verdict(with(small(), EHDR(phnum), uint16_t{1171})),
            "unsupported: 1171 program headers; the kernel loads at most 1170");
  EXPECT_EQ(verdict(with(small(), EHDR(phentsize), uint16_t{32})),
            "damaged@54: e_phentsize is 32; expected 56");
}

TEST(ElfImage, RefusesProgramHeadersOutsideTheFile) {
  const Bytes file = small();
  const std::string size = std::to_string(file.size());
  const uint64_t last_fit = file.size() - 2 * sizeof(elf::Phdr);
  EXPECT_EQ(
      verdict(with(file, EHDR(phoff), last_fit + 1)),
      "damaged@32: the program headers (112 bytes at offset " +
          [&] {
            char b[32];
            snprintf(b, sizeof(b), "0x%lx", last_fit + 1);
            return std::string(b);
          }() +
          ") leave the file of " + size + " bytes");
  EXPECT_EQ(verdict(with(file, EHDR(phoff), kMost)),
            "damaged@32: the program headers (112 bytes at offset 0xffffffffffffffff) leave the "
            "file of " +
                size + " bytes");
}

// Node's single-executable applications have one.
TEST(ElfImage, AcceptsAMisalignedProgramHeaderTable) {
  Bytes file = small();
  const Bytes table(file.begin() + 64, file.begin() + 64 + 112);
  file.push_back(std::byte{0});
  while (file.size() % 8 != 3) file.push_back(std::byte{0});
  const uint64_t phoff = file.size();
  file = with(file + table, EHDR(phoff), phoff);
  EXPECT_EQ(verdict(file), "accepted");
  EXPECT_EQ(ElfImage::parse(file)->segments().size(), 2U);
}

TEST(ElfImage, RefusesAFileWithoutSegments) {
  const Bytes file = with(with(small(), PHDR(0, type), elf::kPtNote), PHDR(1, type), elf::kPtNote);
  EXPECT_EQ(verdict(file), "damaged@64: there is no PT_LOAD, so nothing of the file is mapped");
}

TEST(ElfImage, RefusesSegmentsThatLeaveTheFile) {
  const Bytes file = small();
  const std::string size = std::to_string(file.size());
  EXPECT_EQ(verdict(with(with(file, PHDR(0, filesz), uint64_t{0x10000}), PHDR(0, memsz),
                         uint64_t{0x10000})),
            "damaged@64: a segment (0x10000 bytes at offset 0x1000) leaves the file of " + size +
                " bytes: is it truncated?");
  EXPECT_EQ(verdict(with(file, PHDR(1, offset), kMost - 0xfff)),
            "damaged@120: a segment (0x4 bytes at offset 0xfffffffffffff000) leaves the file of " +
                size + " bytes: is it truncated?");
}

TEST(ElfImage, RefusesMoreFileThanMemory) {
  EXPECT_EQ(verdict(with(small(), PHDR(0, memsz), uint64_t{2})),
            "damaged@64: p_filesz 0x3 is larger than p_memsz 0x2");
}

TEST(ElfImage, RefusesSegmentsOutsideTheUserAddressSpace) {
  EXPECT_EQ(verdict(with(small(), PHDR(1, memsz), kMost)),
            "damaged@120: a segment at 0x403000 of 0xffffffffffffffff bytes leaves the user "
            "address space");
  EXPECT_EQ(verdict(with(small(), PHDR(1, vaddr), uint64_t{0x7ffffffff000})),
            "damaged@120: a segment at 0x7ffffffff000 of 0x40 bytes leaves the user address space");
}

TEST(ElfImage, RefusesAlignmentsThatAreNone) {
  EXPECT_EQ(verdict(with(small(), PHDR(0, align), uint64_t{3})),
            "damaged@64: p_align 0x3 is not a power of two");
  EXPECT_EQ(verdict(with(small(), PHDR(0, align), uint64_t{1} << 63)),
            "damaged@64: p_align 0x8000000000000000 is larger than the address space");
  EXPECT_EQ(verdict(with(small(), PHDR(0, align), uint64_t{0})), "accepted");
}

TEST(ElfImage, RefusesOffsetsThatCouldNotBeMapped) {
  EXPECT_EQ(verdict(with(small(), PHDR(0, vaddr), uint64_t{0x401001})),
            "damaged@64: p_vaddr 0x401001 and p_offset 0x1000 differ within a page, so the kernel "
            "could not map it");
}

// As a linker script leaves one behind.
TEST(ElfImage, PassesOverEmptySegments) {
  const Bytes file = ElfBuilder().code(0x401000, hex("c3")).data(0x402000, {}).build();
  const Bytes moved = with(file, PHDR(1, vaddr), uint64_t{0});
  EXPECT_EQ(verdict(with(moved, PHDR(1, offset), uint64_t{0x309})), "accepted");
  EXPECT_EQ(verdict(with(moved, PHDR(1, offset), kMost)), "accepted");
  EXPECT_EQ(verdict(with(moved, PHDR(1, filesz), uint64_t{1})),
            "damaged@120: p_filesz 0x1 is larger than p_memsz 0x0");
}

TEST(ElfImage, RefusesSegmentsThatOverlapOrDescend) {
  EXPECT_EQ(verdict(with(small(), PHDR(1, vaddr), uint64_t{0x400000 + 0x3})),
            "damaged@120: p_vaddr 0x400003 and p_offset 0x2000 differ within a page, so the kernel "
            "could not map it");
  EXPECT_EQ(verdict(with(small(), PHDR(1, vaddr), uint64_t{0x400000})),
            "damaged@120: the segment at 0x400000 does not follow the one at 0x401000; PT_LOAD "
            "entries must ascend and not overlap");
  EXPECT_EQ(verdict(with(small(), PHDR(0, memsz), uint64_t{0x2001})),
            "damaged@120: the segment at 0x403000 does not follow the one at 0x401000; PT_LOAD "
            "entries must ascend and not overlap");
  EXPECT_EQ(verdict(with(small(), PHDR(0, memsz), uint64_t{0x2000})), "accepted");
}

TEST(ElfImage, MakesOneOfSegmentsOfCodeThatAdjoin) {
  const auto file = ElfBuilder()
                        .code(kCode, hex("90 90"))
                        .code(kCode + 2, hex("90"))
                        .code(kCode + 3, hex("c3"))
                        .data(kCode + 4, hex("01"))
                        .data(kCode + 5, hex("02"))
                        .build();
  const auto image = ElfImage::parse(file);
  ASSERT_TRUE(image.ok());
  ASSERT_EQ(image->segments().size(), 3U);
  EXPECT_EQ(image->segments()[0].file_size, 4U);
  EXPECT_EQ(image->segments()[0].memory_size, 4U);
  EXPECT_EQ(image->seams(), (std::vector<uint64_t>{kCode + 2, kCode + 3}));
  EXPECT_FALSE(image->crosses_seam({kCode}, {kCode + 2}));
  EXPECT_TRUE(image->crosses_seam({kCode + 1}, {kCode + 3}));
  EXPECT_FALSE(image->crosses_seam({kCode + 3}, {kCode + 4}));
  EXPECT_EQ(image->words_of(image->segments()[0]).size(), 5U);
  EXPECT_EQ(image->words_of(image->segments()[2]).size(), 1U);
}

// What the kernel maps last would be seen there, and the file's bytes read here.
TEST(ElfImage, RefusesCodeOnAPageThatHasAnotherPlaceOfTheFile) {
  const auto file = [](uint32_t first, uint32_t second, uint64_t address) {
    const Bytes built = ElfBuilder()
                            .segment(kCode, hex("c3"), first)
                            .segment(address, hex("c3"), second)
                            .payload(repeat(0, 0x3000))
                            .build();
    const auto old = load<elf::Phdr>(built, phdr_field(1, 0))->offset;
    return std::pair(verdict(built), verdict(with(built, PHDR(1, offset), old + 0x1000)));
  };
  constexpr uint32_t kData = elf::kFlagRead, kCodeFlags = elf::kFlagRead | elf::kFlagExec;
  const std::string refusal =
      "unsupported: the segments at 0x401000 and 0x401800, one of them code, share a page of "
      "memory, and map different pages of the file there";
  for (const auto& [first, second] :
       {std::pair(kData, kCodeFlags), {kCodeFlags, kData}, {kCodeFlags, kCodeFlags}})
    EXPECT_EQ(file(first, second, kCode + 0x800), std::pair(std::string("accepted"), refusal));
  EXPECT_EQ(file(kData, kData, kCode + 0x800).second, "accepted");
  EXPECT_EQ(file(kCodeFlags, kCodeFlags, kCode + 0x1000).second, "accepted");
}

TEST(ElfImage, RefusesCodeThatRunsOnElsewhereInTheFile) {
  const Bytes built = ElfBuilder()
                          .code(kCode, repeat(0x90, 0x1000))
                          .code(kCode + 0x1000, hex("c3"))
                          .data(0x407000, repeat(0, 0x3000))
                          .build();
  EXPECT_EQ(verdict(built), "accepted");
  const auto old = load<elf::Phdr>(built, phdr_field(1, 0))->offset;
  EXPECT_EQ(verdict(with(built, PHDR(1, offset), old + 0x1000)),
            "unsupported: the segments of code at 0x401000 and 0x402000 adjoin in memory, and not "
            "in the file");
}

TEST(ElfImage, RefusesCodeWhoseBytesAreMappedTwice) {
  EXPECT_EQ(verdict(with(small(), PHDR(1, offset), uint64_t{0x1000})),
            "damaged@4096: the executable segment at 0x401000 shares bytes of the file with the "
            "segment at 0x403000");
}

TEST(ElfImage, AcceptsDataWhoseBytesAreMappedTwice) {
  const Bytes file =
      code_file(hex("c3")).data(0x403000, hex("00 01")).data(0x405000, hex("02 03")).build();
  EXPECT_EQ(verdict(with(file, PHDR(2, offset), uint64_t{0x2000})), "accepted");
}

TEST(ElfImage, RefusesAnInterpreterThatIsNoPath) {
  constexpr char kMessage[] =
      "damaged@4096: PT_INTERP does not hold a path of 1 to 4095 bytes that ends in NUL: it is "
      "damaged, or was rewritten and then stripped (eu-strip and dwz leave the header without its "
      "path); rewrite the original";
  const Bytes file = code_file(hex("c3")).interpreter("/lib/ld.so").build();
  EXPECT_EQ(verdict(file), "accepted");
  EXPECT_EQ(verdict(with(file, 0x1000 + 10, uint8_t{'x'})), kMessage);  // the NUL is gone
  EXPECT_EQ(verdict(with(file, PHDR(0, filesz), uint64_t{1})), kMessage);
  EXPECT_EQ(
      verdict(with(file, PHDR(0, filesz), uint64_t{0})),
      "damaged@4096: PT_INTERP is empty: these are debugging symbols alone (objcopy "
      "--only-keep-debug), or the file was rewritten and then stripped (strip and objcopy drop "
      "the trampoline); rewrite the original");
  EXPECT_EQ(verdict(with(file, PHDR(0, filesz), kMost)), kMessage);
  EXPECT_EQ(
      verdict(with(file, PHDR(0, offset), kMost)),
      "damaged@18446744073709551615" + std::string(kMessage).substr(sizeof("damaged@4096") - 1));
}

// Its path is overwritten in place.
TEST(ElfImage, RefusesAnInterpreterOverTheHeaders) {
  constexpr char kMessage[] = ": PT_INTERP overlaps the ELF header or the program headers";
  const Bytes file = code_file(hex("c3")).interpreter("/lib/ld.so").build();
  const uint64_t table_end = kPhdrOffset + 3 * sizeof(elf::Phdr);
  const auto at = [&file](uint64_t offset) { return verdict(with(file, PHDR(0, offset), offset)); };
  EXPECT_EQ(at(0), std::string("damaged@0") + kMessage);
  EXPECT_EQ(at(63), std::string("damaged@63") + kMessage);
  EXPECT_EQ(at(table_end - 1), "damaged@" + std::to_string(table_end - 1) + kMessage);
  EXPECT_EQ(at(table_end), "accepted");
}

TEST(ElfImage, RefusesASecondInterpreter) {
  const Bytes file =
      code_file(hex("c3")).interpreter("/lib/ld.so").header(elf::kPtInterp, 0x3ff000, 11).build();
  EXPECT_EQ(verdict(file), "damaged@64: there is more than one PT_INTERP");
}

TEST(ElfImage, RefusesASecondDynamicSection) {
  const Bytes file = code_file(hex("c3"))
                         .dynamic(0x403000, {{elf::kDtSoname, 1}})
                         .header(elf::kPtDynamic, 0x403010, 16)
                         .build();
  EXPECT_EQ(verdict(file), "damaged@64: there is more than one PT_DYNAMIC");
}

TEST(ElfImage, GivesTheLastOfSeveralDynamicEntries) {
  const Bytes file = code_file(hex("c3"))
                         .dynamic(0x403000, {{7, 1}, {8, 24}, {7, 2}, {5, 3}, {0, 0}, {7, 4}})
                         .build();
  const auto image = ElfImage::parse(file);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->dynamic(7), std::optional<uint64_t>(2));
  EXPECT_EQ(image->dynamic(8), std::optional<uint64_t>(24));
  EXPECT_EQ(image->dynamic(6), std::nullopt);
}

TEST(ElfImage, AcceptsAnInterpreterOf4095BytesAndNoMore) {
  const std::string longest = "/" + std::string(4094, 'x');
  EXPECT_EQ(verdict(code_file(hex("c3")).interpreter(longest, 0x3fe000).build()), "accepted");
  EXPECT_NE(verdict(code_file(hex("c3")).interpreter(longest + "x", 0x3fd000).build()), "accepted");
}

// --- What it says of accepted files
// ----------------------------------------------------------------

TEST(ElfImage, IgnoresSectionHeadersThatDoNotHold) {
  const Bytes file = small();
  EXPECT_EQ(ElfImage::parse(file)->sections().size(), 4U);
  const Bytes outside = with(file, EHDR(shoff), kMost - 10);
  EXPECT_TRUE(ElfImage::parse(outside)->sections().empty());
  const Bytes sized = with(file, EHDR(shentsize), uint16_t{63});
  EXPECT_TRUE(ElfImage::parse(sized)->sections().empty());
  const Bytes many = with(file, EHDR(shnum), uint16_t{0xffff});
  EXPECT_TRUE(ElfImage::parse(many)->sections().empty());
}

TEST(ElfImage, ReadsTheNumbersOfSectionsFromTheNullEntry) {
  const Bytes file = small(), extended = counted_by_the_null_entry(file);
  const auto plain = ElfImage::parse(file), image = ElfImage::parse(extended);
  ASSERT_TRUE(image.ok());
  EXPECT_FALSE(plain->counts_sections_elsewhere());
  EXPECT_TRUE(image->counts_sections_elsewhere());
  ASSERT_EQ(image->sections().size(), plain->sections().size());
  for (size_t i = 0; i < plain->sections().size(); ++i)
    EXPECT_EQ(image->section_name(image->sections()[i]), plain->section_name(plain->sections()[i]));
  EXPECT_EQ(image->payload().has_value(), plain->payload().has_value());
  const uint64_t null = load<elf::Ehdr>(extended, 0)->shoff;
  const uint64_t size_at = null + offsetof(elf::Shdr, size);
  for (const uint64_t count : {uint64_t{0}, uint64_t{5}, ~uint64_t{0}, uint64_t{1} << 58})
    EXPECT_TRUE(ElfImage::parse(with(extended, size_at, count))->sections().empty()) << count;
  const Bytes typed = with(extended, null + offsetof(elf::Shdr, type), elf::kShtSymtab);
  EXPECT_TRUE(ElfImage::parse(typed)->sections().empty());
}

// Symbol tables and lists of patch points are read wherever they are; see read_once.h.
TEST(ElfImage, RefusesTablesThatShareBytes) {
  const auto two = [](const char* first, uint32_t first_type, const char* second,
                      uint32_t second_type, uint64_t from) {
    return code_file(hex("c3"))
        .data(0x403000, Bytes(96))
        .section(first, first_type, 0, 0x403000, 48)
        .section(second, second_type, 0, from, 48)
        .build();
  };
  const auto shares = [](const Bytes& file) {
    return verdict(file).find(
               "the sections 1 and 2, symbol tables or lists of places that a "
               "tracer writes over, share ") != std::string::npos;
  };
  for (const char* list : {"__mcount_loc", "__patchable_function_entries", "xray_instr_map",
                           "__rseq_cs", ".note.stapsdt"}) {
    EXPECT_TRUE(shares(two(list, 1, list, 1, 0x403000))) << list;
    EXPECT_TRUE(shares(two(list, 1, list, 1, 0x40302f))) << list;
    EXPECT_TRUE(shares(two(list, 1, ".symbols", elf::kShtSymtab, 0x403008))) << list;
    EXPECT_EQ(verdict(two(list, 1, list, 1, 0x403030)), "accepted") << list;
    EXPECT_EQ(verdict(two(list, 1, ".data", 1, 0x403000)), "accepted") << list;
  }
  EXPECT_TRUE(shares(two("a", elf::kShtDynsym, "b", elf::kShtSymtab, 0x403010)));
  EXPECT_EQ(verdict(two("a", elf::kShtDynsym, "b", elf::kShtSymtab, 0x403030)), "accepted");
  // Relocations find a list by its address.
  const Bytes apart = two("__rseq_cs", 1, "__mcount_loc", 1, 0x403030);
  const uint64_t second = load<elf::Ehdr>(apart, 0)->shoff + 2 * sizeof(elf::Shdr);
  EXPECT_TRUE(shares(with(apart, second + offsetof(elf::Shdr, addr), uint64_t{0x40302f})));
}

TEST(ElfImage, NamesSectionsWithinTheStringTableOnly) {
  const Bytes file = small();
  const auto image = ElfImage::parse(file);
  EXPECT_EQ(image->section_name(image->sections()[1]), ".symtab");
  EXPECT_EQ(image->section_name(image->sections()[3]), ".shstrtab");
  elf::Shdr lying = image->sections()[1];
  lying.name = 0xffffffff;
  EXPECT_EQ(image->section_name(lying), "");
  const Bytes strange = with(file, EHDR(shstrndx), uint16_t{0xfff1});
  const auto without = ElfImage::parse(strange);
  EXPECT_EQ(without->section_name(without->sections()[1]), "");
}

ImageKind kind_of(const ElfBuilder& builder) {
  const Bytes file = builder.build();
  const auto image = ElfImage::parse(file);
  EXPECT_TRUE(image.ok());
  return image->kind();
}

TEST(ElfImage, TellsProgramsFromLibraries) {
  constexpr uint64_t kAt = 0x3000;
  const auto dyn = [] { return ElfBuilder(elf::kTypeDyn).code(0x1000, hex("c3")); };
  const elf::Dyn pie{elf::kDtFlags1, elf::kDf1Pie}, soname{elf::kDtSoname, 1};
  EXPECT_EQ(kind_of(ElfBuilder().code(kCode, hex("c3"))), ImageKind::kStaticExecutable);
  EXPECT_EQ(kind_of(ElfBuilder().code(kCode, hex("c3")).interpreter("/l")),
            ImageKind::kDynamicExecutable);
  EXPECT_EQ(kind_of(dyn()), ImageKind::kSharedObject);
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {pie})), ImageKind::kStaticExecutable);
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {pie}).interpreter("/l", 0)), ImageKind::kDynamicExecutable);
  EXPECT_EQ(kind_of(dyn().interpreter("/l", 0)), ImageKind::kDynamicExecutable);
  const elf::Dyn needed{elf::kDtNeeded, 1};
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {soname, needed})), ImageKind::kSharedObject);
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {soname}).entry(0)), ImageKind::kSharedObject);
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {soname}).entry(kAt)), ImageKind::kSharedObject);
  // ld.so: an entry into code, and nobody that it would need.
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {soname}).entry(0x1000)), ImageKind::kInterpreter);
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {{elf::kDtFlags1, 0}}).entry(0x1000)),
            ImageKind::kInterpreter);
  // A library without an entry, whose code is mapped from the file's first byte.
  EXPECT_EQ(kind_of(ElfBuilder(elf::kTypeDyn).code(0, hex("c3")).dynamic(kAt, {soname}).entry(0)),
            ImageKind::kSharedObject);
  // libc.so.6: it has an interpreter, and is a library.
  EXPECT_EQ(kind_of(dyn().dynamic(kAt, {soname}).interpreter("/l", 0)), ImageKind::kSharedObject);
}

TEST(ElfImage, MapsAddressesOfTheFilePartOnly) {
  const Bytes file = small();
  const auto image = ElfImage::parse(file);
  EXPECT_EQ(image->offset_of({0x401000})->value, 0x1000U);
  EXPECT_EQ(image->offset_of({0x401001}, 2)->value, 0x1001U);
  EXPECT_FALSE(image->offset_of({0x401001}, 3));
  EXPECT_FALSE(image->offset_of({0x400fff}));
  EXPECT_EQ(image->offset_of({0x403003})->value, 0x2003U);
  EXPECT_FALSE(image->offset_of({0x403004}));  // bss
  EXPECT_FALSE(image->offset_of({0x401000}, kMost));
  EXPECT_EQ(image->bytes_from({0x401001})->size(), 2U);
  EXPECT_EQ(image->highest_end().value, 0x403040U);
  EXPECT_EQ(image->lowest().value, 0x401000U);
  EXPECT_NE(image->executable_segment_of({0x401000}), nullptr);
  EXPECT_EQ(image->executable_segment_of({0x403000}), nullptr);
}

TEST(ElfImage, BelievesCodeSectionsThatHoldTheEntryPoint) {
  const auto file = [](uint64_t entry) {
    return ElfBuilder()
        .code(kCode, hex("90 90 90 90 0f 05 c3"))
        .entry(entry)
        .section(".text", 1, 6, kCode, 4)
        .build();
  };
  const Bytes good = file(kCode);
  EXPECT_TRUE(ElfImage::parse(good)->outside_code_sections({kCode + 4}));
  EXPECT_FALSE(ElfImage::parse(good)->outside_code_sections({kCode + 3}));
  const Bytes bad = file(kCode + 4);
  EXPECT_FALSE(ElfImage::parse(bad)->outside_code_sections({kCode + 4}));
}

TEST(ElfImage, FindsAPayloadBehindEverythingElse) {
  const Bytes plain = small();
  EXPECT_FALSE(ElfImage::parse(plain)->payload());
  const Bytes padded = plain + repeat(0, 100);
  EXPECT_FALSE(ElfImage::parse(padded)->payload());
  const Bytes loaded = plain + hex("00 00 01");
  EXPECT_EQ(ElfImage::parse(loaded)->payload()->value, plain.size());
}

TEST(ElfImage, ReadsTheDynamicTableByItsAddress) {
  const Bytes file = ElfBuilder(elf::kTypeDyn)
                         .code(0x1000, hex("c3"))
                         .dynamic(0x3000, {{elf::kDtInit, 0x1234}})
                         .build();
  EXPECT_EQ(ElfImage::parse(file)->dynamic(elf::kDtInit), 0x1234U);
  EXPECT_FALSE(ElfImage::parse(file)->dynamic(elf::kDtFini));
  const Bytes elsewhere = with(file, PHDR(0, offset), uint64_t{0x1000});
  EXPECT_EQ(ElfImage::parse(elsewhere)->dynamic(elf::kDtInit), 0x1234U);
  const Bytes cut = with(file, PHDR(0, filesz), uint64_t{15});
  EXPECT_EQ(ElfImage::parse(cut)->dynamic(elf::kDtInit), 0x1234U);
  const Bytes far = with(file, PHDR(0, vaddr), uint64_t{0x4000});
  EXPECT_FALSE(ElfImage::parse(far)->dynamic(elf::kDtInit));
  const Bytes too_short = with(file, PHDR(0, vaddr), uint64_t{0x1000});
  EXPECT_FALSE(ElfImage::parse(too_short)->dynamic(elf::kDtInit));
}

}  // namespace

}  // namespace sysrewrite
