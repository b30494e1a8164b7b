#include "tests/differential/batch.h"

#include <algorithm>
#include <cstring>

#include "rewriter/pipeline.h"
#include "rewriter/verify.h"
#include "tests/differential/cpu.h"
#include "tests/differential/damage.h"
#include "tests/elf_builder.h"

namespace sysrewrite::differential {

namespace {

// One image below 4 GiB, where a disp32 names the data, and one above. Whoever calls from the low
// 64 GiB is the code under test: the filter of the machine's own calls tells it by that
// (filter.cc). The code's address has bits that those of data and stack have not, so that
// arithmetic with them hardly ever leads there: code that reads itself could tell that it was
// rewritten.
constexpr uint64_t kFixedBase = 0x10000000;
constexpr uint64_t kBias = 0x710000000;
constexpr uint64_t kData = 0x100000;
constexpr uint64_t kExit = 0x4000000;
constexpr uint64_t kBackFromExit = 0x800;
constexpr uint64_t kCode = 0x19000000;
constexpr uint64_t kBatchStream = uint64_t{1} << 62;

// Before the load bias, and the bias.
uint64_t base_of(const Batch& batch) {
  return batch.position_independent ? 0 : kFixedBase;
}
uint64_t bias_of(const Batch& batch) {
  return batch.position_independent ? kBias : 0;
}
Surroundings around(uint64_t base) {
  return {base + kData, base + kExit, base + kExit + kBackFromExit};
}

Palette palette_of(const Batch& batch) {
  Palette palette;
  palette.data = around(base_of(batch) + bias_of(batch)).data;
  palette.absolute = !batch.position_independent;
  palette.avx = has_avx();
  palette.avx2 = has_avx2();
  palette.avx512 = has_avx512();
  return palette;
}

void align(Bytes& bytes, uint8_t filler) {
  while (bytes.size() % 16 != 0) bytes.push_back(std::byte{filler});
}

// A function that nothing names is at least jumped to from somewhere; an address that nothing in
// the file leads to could as well be padding, and is taken for it where it looks like that.
constexpr size_t kJumpSize = 5;

void link(Bytes& bytes, size_t& jump, size_t target) {
  const auto distance = static_cast<int32_t>(target - jump - kJumpSize);
  bytes[jump] = std::byte{0xe9};
  std::memcpy(bytes.data() + jump + 1, &distance, sizeof(distance));
  jump += kJumpSize;
}

Bytes lay_out(const Batch& batch, uint64_t code, const Surroundings& places,
              std::vector<Placed>& placed) {
  const auto nameless =
      static_cast<size_t>(std::count_if(batch.functions.begin(), batch.functions.end(),
                                        [](const Function& function) { return !function.symbol; }));
  Bytes bytes = test::repeat(batch.filler, std::max<size_t>(batch.lead, nameless * kJumpSize));
  size_t jump = 0;
  for (const Function& function : batch.functions) {
    align(bytes, batch.filler);
    Placed here{code + bytes.size(), layout(function, code + bytes.size(), places)};
    if (!function.symbol) link(bytes, jump, bytes.size());
    bytes.insert(bytes.end(), here.laid.bytes.begin(), here.laid.bytes.end());
    placed.push_back(std::move(here));
  }
  align(bytes, batch.filler);
  return bytes;
}

// Each jump through the table has a word of its own; those beyond the last become plain jumps.
void number_tables(Batch& batch) {
  uint32_t words = 0;
  for (Function& function : batch.functions)
    for (Item& item : function.items)
      if (item.kind == Kind::kTable) {
        if (words == kTableWords)
          item.kind = Kind::kForward;
        else
          item.data = words++;
      }
}

std::vector<uint64_t> table_of(const Batch& batch, const std::vector<Placed>& placed) {
  std::vector<uint64_t> table(kTableWords);
  for (size_t i = 0; i < placed.size(); ++i)
    for (const Item& item : batch.functions[i].items)
      if (item.kind == Kind::kTable)
        table[item.data] = placed[i].vaddr + placed[i].laid.starts[item.target];
  return table;
}

// The words as they stand in the file; one that can move has a relocation for each besides.
void add_table(test::ElfBuilder& builder, const Batch& batch, const Image& image, uint64_t at) {
  Bytes words, relocations;
  for (size_t i = 0; i < image.table.size(); ++i) {
    words = std::move(words) + test::words({image.table[i]});
    constexpr uint64_t kRelative = 8;  // R_X86_64_RELATIVE
    if (image.table[i] != 0)
      relocations = std::move(relocations) + test::words({at + 8 * i, kRelative, image.table[i]});
  }
  builder.data(at, words);
  if (!batch.position_independent || relocations.empty()) return;
  const uint64_t rela = at + kPageSize, dynamic = rela + 4 * kPageSize;
  builder.segment(rela, relocations, elf::kFlagRead);
  builder.dynamic(dynamic, {{elf::kDtRela, rela}, {elf::kDtRelasz, relocations.size()}});
}

Bytes elf_of(const Batch& batch, const Image& image, const Surroundings& places) {
  test::ElfBuilder builder(batch.position_independent ? elf::kTypeDyn : elf::kTypeExec);
  // Keeps the trampoline, which goes below the lowest segment, from where stores reach.
  builder.segment(base_of(batch), test::repeat(0, 1), elf::kFlagRead);
  builder.data(places.data, test::repeat(0, kDataSize), kFuelOffset + kPageSize);
  add_table(builder, batch, image, places.data + kTableOffset);
  builder.code(image.code, image.before);
  for (size_t i = 0; i < batch.functions.size(); ++i) {
    const Placed& placed = image.functions[i];
    if (batch.functions[i].symbol) builder.symbol("f", placed.vaddr, placed.laid.bytes.size());
  }
  return builder.build();
}

Options options_of(const Batch& batch) {
  Options options;
  options.stub = batch.stub;
  options.tiers = batch.tiers;
  options.native_tail = batch.native_tail;
  options.format = batch.format;
  options.interpreter = std::nullopt;
  return options;
}

}  // namespace

const char* name_of(Callback callback) {
  static constexpr const char* kNames[] = {"pass", "restart by r11", "restart by rcx - 6",
                                           "answer"};
  static_assert(std::size(kNames) == static_cast<size_t>(Callback::kCount));
  return kNames[static_cast<size_t>(callback)];
}

Batch random_batch(uint64_t seed, uint64_t number, size_t functions) {
  const uint64_t index = number / functions;
  Random random(seed, kBatchStream + index);
  Batch batch;
  batch.first = index * functions;
  batch.position_independent = random.one_in(2);
  batch.lead = random.below(4096);
  // Springboards and covered instructions would leave windows too little.
  if (random.one_in(3)) batch.tiers.b = false;
  if (random.one_in(4)) batch.tiers.a = false;
  if (random.one_in(4)) batch.stub = StubKind::kPlain;
  if (random.one_in(8)) batch.format = Format::kLitebox;
  batch.native_tail = batch.format == Format::kSysrewrite && !random.one_in(8);
  batch.callback = static_cast<Callback>(random.below(static_cast<size_t>(Callback::kCount)));
  // Without a tail only an answer is left; a plain stub gives no address in r11.
  if (!batch.native_tail) batch.callback = Callback::kAnswer;
  if (batch.stub == StubKind::kPlain && batch.callback == Callback::kRestart)
    batch.callback = Callback::kRestartByRcx;
  const Palette palette = palette_of(batch);
  for (size_t i = 0; i < functions; ++i) {
    Random own(seed, batch.first + i);
    batch.functions.push_back(random_function(own, palette));
  }
  number_tables(batch);
  return batch;
}

std::variant<Image, std::string> build(const Batch& batch) {
  Image image;
  image.bias = bias_of(batch);
  image.code = base_of(batch) + kCode;
  image.around = around(base_of(batch) + image.bias);
  const Surroundings in_file = around(base_of(batch));
  image.before = lay_out(batch, image.code, in_file, image.functions);
  image.table = table_of(batch, image.functions);
  image.input = elf_of(batch, image, in_file);
  const auto rewritten = rewrite(image.input, options_of(batch));
  if (!rewritten) return "the rewrite failed: " + rewritten.error().message;
  image.output = materialize(image.input, rewritten->output);
  const Verdict verdict = verify(image.output, image.input);
  if (!verdict.proven())
    return "verify does not accept the output: " + describe(verdict.findings.first().front());
  const auto parsed = RewrittenFile::parse(image.output);
  if (parsed.status != TrailerStatus::kValid) return std::string("bad trailer: ") + parsed.problem;
  image.file = parsed.file;
  const auto offset = image.file.offset_of({image.code}, image.before.size());
  if (!offset) return std::string("the code is not in the output");
  const auto code = image.output.begin() + static_cast<std::ptrdiff_t>(offset->value);
  image.after.assign(code, code + static_cast<std::ptrdiff_t>(image.before.size()));
  const ByteView trampoline = image.file.trampoline();
  image.trampoline.assign(trampoline.begin(), trampoline.end());
  inflict(image, batch);
  return image;
}

}  // namespace sysrewrite::differential
