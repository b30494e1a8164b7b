// Writes what the fuzzers start from: small good files, a directory for each.
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "rewriter/pipeline.h"
#include "tests/elf_builder.h"

using namespace sysrewrite;
using namespace sysrewrite::test;

namespace {

bool write(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  const auto* first = static_cast<const char*>(static_cast<const void*>(bytes.data()));
  file.write(first, static_cast<std::streamsize>(bytes.size()));
  return file.good();
}

Bytes program() {
  const Bytes code = hex("b8 27 00 00 00 0f 05 c3 cc cc cc cc cc cc cc cc") +
                     hex("6a 27 58 0f 05 c3 cc cc cc cc cc cc cc cc cc cc") +
                     hex("48 89 fe 89 d0 0f 05 74 fe c3 0f 05 17 c3");
  const Bytes frames = eh_frame(0x402000, {{kCode, 8}, {kCode + 16, 6}, {kCode + 32, 10}});
  return ElfBuilder()
      .code(kCode, code)
      .segment(0x402000, frames, elf::kFlagRead)
      .data(0x403000, words({0x403000, 8, kCode + 3}))
      .dynamic(0x404000, {{elf::kDtRela, 0x403000}, {elf::kDtRelasz, 24}})
      .symbol("f", kCode, 8)
      .section(".eh_frame", 1, 2, 0x402000, frames.size())
      .build();
}

Bytes library() {
  return ElfBuilder(elf::kTypeDyn)
      .code(0x1000, hex("b8 27 00 00 00 0f 05 c3"))
      .dynamic(0x2000, {{elf::kDtSoname, 1}, {elf::kDtInit, 0x1000}})
      .build();
}

Bytes dynamic_program() {
  return ElfBuilder()
      .interpreter("/lib64/ld-linux-x86-64.so.2")
      .code(kCode, hex("b8 27 00 00 00 0f 05 c3"))
      .build();
}

// What --embed=segment takes: room behind the program headers, sections, unwind tables.
Bytes embeddable_program() {
  constexpr uint64_t kRead = 0x400800, kTable = 0x403000, kSearch = 0x404000;
  const Bytes frames = eh_frame(kTable, {{kCode, 16, kRead}, {kCode + 16, 8, 0, true}});
  return with_loaded_headers(
      ElfBuilder()
          .segment(kRead, repeat(1, 16), elf::kFlagRead)
          .code(kCode,
                hex("90 90 90 b8 27 00 00 00 0f 05 c3 90 90 90 90 c3 b8 01 00 00 00 0f 05 c3"))
          .segment(kTable, frames, elf::kFlagRead)
          .segment(kSearch, eh_frame_header(kSearch, kTable), elf::kFlagRead)
          .header(elf::kPtGnuEhFrame, kSearch, 8)
          .section(".text", elf::kShtProgbits, 6, kCode, 24)
          .section(".eh_frame", elf::kShtProgbits, 2, kTable, frames.size())
          .section(".eh_frame_hdr", elf::kShtProgbits, 2, kSearch, 8)
          .build());
}

// A hook's object with each kind of table, but the hash tables, of which it has the one.
Bytes hook_object(int64_t hash_tag, const Bytes& hash) {
  constexpr uint64_t kTables = 0x2000, kStrings = kTables + 96, kRela = kStrings + 32,
                     kRelr = kRela + 96, kHash = kRelr + 16, kData = 0x3000;
  const auto symbol = [](uint32_t name, uint8_t bind, uint16_t section, uint64_t value) {
    elf::Sym entry{};
    entry.name = name;
    entry.info = static_cast<uint8_t>(bind << 4 | elf::kSttFunc);
    entry.shndx = section;
    entry.value = value;
    return bytes_of(entry);
  };
  const Bytes tables = symbol(0, 0, 0, 0) + symbol(1, 2, 0, 0) + symbol(3, 1, 0, 0) +
                       symbol(10, 1, 1, 0x1000) +
                       text(std::string_view("\0w\0memset\0sysload_hook_init\0\0\0\0\0", 32)) +
                       words({kData, 8, 0x1000, kData + 8, uint64_t{1} << 32 | 6, 0, kData + 16,
                              uint64_t{2} << 32 | 7, 0, kData + 24, uint64_t{3} << 32 | 1, 1}) +
                       words({kData + 32, 7}) + hash;
  return ElfBuilder(elf::kTypeDyn)
      .code(0x1000, hex("31 c0 c3"))
      .segment(kTables, tables, elf::kFlagRead)
      .data(kData, repeat(0, 64), 8192)
      .dynamic(0x6000, {{elf::kDtSymtab, kTables},
                        {elf::kDtStrtab, kStrings},
                        {elf::kDtStrsz, 31},
                        {elf::kDtRela, kRela},
                        {elf::kDtRelasz, 48},
                        {elf::kDtJmprel, kRela + 48},
                        {elf::kDtPltrelsz, 48},
                        {elf::kDtRelr, kRelr},
                        {elf::kDtRelrsz, 16},
                        {hash_tag, kHash}})
      .header(0x6474e552, 0x6000, 176)
      .build();
}

// An ld.so: dynamic symbols, with the one at which debuggers stop, and an unwind table.
Bytes interpreter() {
  constexpr uint64_t kSymbols = 0x2000, kStrings = kSymbols + 48, kTable = 0x3000;
  elf::Sym symbol{};
  symbol.name = 1;
  symbol.info = elf::kStbGlobal << 4 | elf::kSttFunc;
  symbol.shndx = 1;
  symbol.value = 0x1000;
  const Bytes frames = eh_frame(kTable, {{0x1000, 8}});
  const Bytes file = ElfBuilder(elf::kTypeDyn)
                         .code(0x1000, hex("b8 27 00 00 00 0f 05 c3"))
                         .segment(kSymbols,
                                  repeat(0, 24) + bytes_of(symbol) +
                                      text(std::string_view("\0_dl_debug_state", 17)),
                                  elf::kFlagRead)
                         .segment(kTable, frames, elf::kFlagRead)
                         .section(".text", elf::kShtProgbits, 6, 0x1000, 8)
                         .section(".dynsym", elf::kShtDynsym, 2, kSymbols, 48)
                         .section(".dynstr", elf::kShtStrtab, 2, kStrings, 17)
                         .section(".eh_frame", elf::kShtProgbits, 2, kTable, frames.size())
                         .build();
  const uint64_t symbols = load<elf::Ehdr>(file, 0)->shoff + 2 * sizeof(elf::Shdr);
  return with<uint32_t>(file, symbols + offsetof(elf::Shdr, link), 3);
}

Bytes rewritten(const Bytes& input, const Options& options) {
  const auto result = rewrite(input, options);
  return result ? materialize(input, result->output) : Bytes{};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path root = argv[1];
  Options litebox, symbols, embedded;
  symbols.symbols = true;
  embedded.embed = embedded.symbols = true;
  litebox.format = Format::kLitebox;
  litebox.native_tail = false;
  bool good = true;
  int number = 0;
  for (const Bytes& file : {program(), library(), dynamic_program()}) {
    const std::string name = std::to_string(number++);
    for (const char* choice : {"00", "01", "04", "60"})
      for (const char* end : {"", "00"})  // of odd and even size: with and without symbols
        good &= write(root / "rewrite_fuzzer" / (name + "-" + choice + end),
                      hex(choice) + file + hex(end));
    for (const char* fuzzer : {"rewritten_file_fuzzer", "verify_fuzzer"}) {
      good &= write(root / fuzzer / name, rewritten(file, {}));
      good &= write(root / fuzzer / (name + "-litebox"), rewritten(file, litebox));
      good &= write(root / fuzzer / (name + "-symbols"), rewritten(file, symbols));
    }
  }
  const Bytes embeddable = embeddable_program();
  for (const char* end : {"", "00"})
    good &= write(root / "rewrite_fuzzer" / (std::string("embed") + end),
                  hex("80") + embeddable + hex(end));
  for (const char* fuzzer : {"rewritten_file_fuzzer", "verify_fuzzer"})
    good &= write(root / fuzzer / "embed", rewritten(embeddable, embedded));
  good &= write(root / "interpreter_face_fuzzer" / "interpreter", interpreter());
  const auto hooks = root / "hook_image_fuzzer";
  good &= write(hooks / "hash", hook_object(elf::kDtHash, hex("01 00 00 00 04 00 00 00")));
  good &=
      write(hooks / "gnu_hash",
            hook_object(elf::kDtGnuHash, hex("01 00 00 00 03 00 00 00 01 00 00 00 00 00 00 00") +
                                             words({1}) + hex("03 00 00 00 01 00 00 00")));
  good &=
      write(root / "deny_policy_fuzzer" / "rules",
            text("default deny EPERM # x\nallow openat, 3 path(1) under \"/e\\\"tc\" writing\n"
                 "log * path like /**/*.c int0 & 3|O_CREAT != -1\nkill read answer >= ENOENT\n"));
  const auto table = root / "functions_fuzzer";
  good &= write(table / "frames",
                hex("00") + eh_frame(0x403000, {{kCode, 16, 1}, {kCode + 16, 8, 0, true}}));
  good &= write(table / "header", hex("01") + eh_frame_header(0x403000, 0x403008) +
                                      eh_frame(0x403008, {{kCode, 16}}));
  good &= write(table / "go",
                hex("02 f1 ff ff ff 00 00 01 08") + words({1, 0, kCode, 0, 0, 0, 0, 72, 0, 16}));
  elf::Sym symbol{};
  symbol.info = elf::kSttFunc;
  symbol.shndx = 1;
  symbol.value = kCode;
  symbol.size = 16;
  good &= write(table / "symbols", hex("03") + bytes_of(symbol));
  good &= write(table / "pads", hex("04 ff ff 01 04 00 05 03 00"));
  good &= write(table / "relr", hex("05") + words({0x403000, 7}));
  good &= write(table / "hash",
                hex("06 01 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00") + words({0, 1, 1}));
  return good ? 0 : 1;
}
