#include "tests/rewritten_samples.h"

#include <cstddef>

namespace sysrewrite::test {

ElfBuilder every_tier() {
  Bytes filler;  // mov %eax, %eax: neither padding nor an end
  for (int i = 0; i < 64; ++i) filler = filler + hex("89 c0");
  const Bytes code = hex("b8 27 00 00 00 0f 05") +        // A: mov $39, %eax; syscall
                     hex("48 8b 05 f2 0f 00 00 0f 05") +  // A: mov 402009(%rip), %rax; syscall
                     hex("6a 27 58 0f 05 c3") +           // B: push; pop; syscall; ret
                     repeat(0xcc, 10) +                   //    its springboard, to 401020
                     filler +                             // out of its reach: 4010a0
                     hex("48 89 fe 89 d0 0f 05") +        // C: mov, mov; syscall
                     hex("50 0f 05 c3") +                 // D: push; syscall; ret
                     filler + hex("c3");                  // 4010ab: untouched
  return ElfBuilder()
      .code(kCode, code)
      .data(0x402000, words({39}))
      .symbol("f", kCode, 22)
      .symbol("filler", kCode + 32, 128)
      .symbol("g", kCode + 160, 11)
      .symbol("h", kCode + 171, 129);
}

ElfBuilder with_unwind_tables() {
  constexpr uint64_t kFrames = 0x403000, kHeader = 0x404000;
  const Bytes frames = eh_frame(kFrames, {{kCode, 22}, {kCode + 160, 11, 0, true}});
  return every_tier()
      .data(kFrames, frames)
      .data(kHeader, eh_frame_header(kHeader, kFrames))
      .header(elf::kPtGnuEhFrame, kHeader, 8)
      .section(".eh_frame", elf::kShtProgbits, elf::kShfAlloc, kFrames, frames.size());
}

std::vector<Options> every_form() {
  Options litebox, plain, no_tail, long_path, left_alone, with_options, symbols, litebox_symbols;
  litebox.format = Format::kLitebox;
  litebox.native_tail = no_tail.native_tail = false;
  plain.stub = StubKind::kPlain;
  long_path.interpreter = "/a/path/that/is/longer/than/the/old/one";
  left_alone.interpreter.reset();
  with_options.loader_options = {"hook=count"};
  symbols.symbols = true;
  litebox_symbols = litebox;
  litebox_symbols.symbols = true;
  return {Options{},  litebox,      plain,   no_tail,        long_path,
          left_alone, with_options, symbols, litebox_symbols};
}

std::vector<RewrittenSample> rewritten_samples() {
  const Bytes site = hex("b8 27 00 00 00 0f 05 c3");
  const std::vector<std::pair<std::string, Bytes>> inputs = {
      {"static", every_tier().build()},
      {"dynamic", every_tier().interpreter("/lib64/ld-linux-x86-64.so.2").build()},
      {"short path", every_tier().interpreter("/l").build()},
      {"library", ElfBuilder(elf::kTypeDyn).code(0x1000, site).build()},
      {"no site", code_file(hex("c3")).build()}};
  std::vector<RewrittenSample> samples;
  for (const auto& [name, input] : inputs) {
    int form = 0;
    for (const Options& options : every_form())
      samples.push_back({name + " " + std::to_string(form++), rewrite_whole(input, options)});
  }
  // Unwind tables, a second FDE's worth of them, and section headers without symbols.
  Options symbols;
  symbols.symbols = true;
  samples.push_back({"unwind tables", rewrite_whole(with_unwind_tables().build(), symbols)});
  symbols.stub = StubKind::kPlain;
  symbols.native_tail = false;
  samples.push_back({"unwind tables, plain", rewrite_whole(with_unwind_tables().build(), symbols)});
  Options keep;
  keep.on_unpatchable = OnUnpatchable::kKeep;
  samples.push_back({"native site", rewrite_whole(every_tier().build(), keep)});
  return samples;
}

Bytes sealed(Bytes bytes) {
  const auto parsed = RewrittenFile::parse(bytes);
  if (parsed.status != TrailerStatus::kValid) return bytes;
  const auto sum = parsed.file.checksum();
  if (!sum) return bytes;
  const uint64_t at = parsed.file.meta_offset().value + offsetof(MetaHeader, checksum);
  return with(std::move(bytes), at, *sum);
}

}  // namespace sysrewrite::test
