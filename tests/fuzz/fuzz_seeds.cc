// Writes what the fuzzers start from: small good files, a directory for each.
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

Bytes rewritten(const Bytes& input, const Options& options) {
  const auto result = rewrite(input, options);
  return result ? materialize(input, result->output) : Bytes{};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path root = argv[1];
  Options litebox;
  litebox.format = Format::kLitebox;
  litebox.native_tail = false;
  bool good = true;
  int number = 0;
  for (const Bytes& file : {program(), library(), dynamic_program()}) {
    const std::string name = std::to_string(number++);
    for (const char* choice : {"00", "01", "04", "60"})
      good &= write(root / "rewrite_fuzzer" / (name + "-" + choice), hex(choice) + file);
    for (const char* fuzzer : {"rewritten_file_fuzzer", "verify_fuzzer"}) {
      good &= write(root / fuzzer / name, rewritten(file, {}));
      good &= write(root / fuzzer / (name + "-litebox"), rewritten(file, litebox));
    }
  }
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
