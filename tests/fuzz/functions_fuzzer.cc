// Any bytes as a table of functions: unwind table, its header, Go's table, symbols, a landing-pad
// list or relocations. The first byte chooses which; an otherwise good file is built around it, so
// that no header stands in the way.
#include <cstdlib>

#include "rewriter/eh_frame.h"
#include "rewriter/functions.h"
#include "rewriter/relocations.h"
#include "tests/elf_builder.h"

using namespace sysrewrite;
using namespace sysrewrite::test;

namespace {

constexpr uint64_t kTable = 0x403000;
volatile uint64_t sink;

// One function at kCode whose unwind entry names `lsda`.
Bytes one_frame(uint64_t address, uint64_t lsda) {
  return eh_frame(address, {{kCode, 64, lsda}});
}

Bytes file_around(uint8_t kind, const Bytes& table) {
  ElfBuilder builder;
  builder.code(kCode, Bytes(256, std::byte{0x90}));
  if (kind == 4) {  // landing pads
    const Bytes frames = one_frame(0x900000, kTable);
    builder.segment(kTable, table, elf::kFlagRead).segment(0x900000, frames, elf::kFlagRead);
    return builder.section(".eh_frame", 1, 2, 0x900000, frames.size()).build();
  }
  builder.data(kTable, table);
  const uint64_t size = table.size();
  switch (kind) {
    case 0:
      return builder.section(".eh_frame", 1, 2, kTable, size).build();
    case 1:
      return builder.header(elf::kPtGnuEhFrame, kTable, size).build();
    case 2:
      return builder.section(".gopclntab", 1, 2, kTable, size).build();
    case 3:
      return builder.section(".symtab", elf::kShtSymtab, 0, kTable, size).build();
    case 5:
      return builder
          .dynamic(0x900000, {{elf::kDtRelr, kTable},
                              {elf::kDtRelrsz, size},
                              {elf::kDtRel, kTable},
                              {elf::kDtRelsz, size}})
          .build();
    default:
      return builder
          .dynamic(0x900000, {{elf::kDtSymtab, kTable},
                              {elf::kDtStrtab, kTable},
                              {elf::kDtStrsz, size},
                              {elf::kDtGnuHash, kTable}})
          .build();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const ByteView table = as_byte_view(data + 1, size - 1);
  const Bytes file = file_around(data[0] % 7, Bytes(table.begin(), table.end()));
  const auto image = ElfImage::parse(file);
  if (!image) std::abort();
  const FunctionIndex index = FunctionIndex::build(*image);
  for (uint64_t at = kCode - 1; at < kCode + 257; ++at) {
    const auto function = index.covering({at});
    if (function && (at < function->start.value || at >= function->end.value)) std::abort();
    if (function && function->lsda) {
      uint64_t budget = size;
      const auto pads = read_landing_pads(*image, function->start, *function->lsda, budget);
      sink = pads ? pads->size() : 0;
    }
    sink = index.is_object({at}) || index.signal_frame_at({at}) ? 1 : 0;
    if (index.next_start({at}, {kCode + 300}).value <= at) std::abort();
  }
  uint64_t sum = 0;
  for_each_relocation(*image, [&sum](const Relocation& r) { sum += r.place.value + r.target; });
  sink = sum;
  return 0;
}
