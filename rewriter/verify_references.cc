#include "rewriter/verify_references.h"

#include <fmt/format.h>

#include <algorithm>

#include "rewriter/verify_code_sections.h"
#include "rewriter/verify_segment_sections.h"

namespace sysrewrite {

namespace {

class ReferenceScan {
 public:
  ReferenceScan(const OriginalImage& original, const Decoder& decoder,
                const std::vector<LostBytes>& lost, Findings& findings)
      : original_(original),
        decoder_(decoder),
        lost_(lost),
        findings_(findings),
        sections_(original) {
    for (const LostBytes& bytes : lost) {
      lowest_ = std::min(lowest_, bytes.from);
      highest_ = std::max(highest_, bytes.to);
    }
  }

  void run() {
    if (lowest_ >= highest_) return;
    check_relocations();
    for (const elf::Phdr& load : original_.loads()) {
      const ByteView bytes = original_.bytes_of(load);
      if (!original_.position_independent()) check_words(original_.words_of(load), load);
      if ((load.flags & elf::kFlagExec) != 0) check_code(bytes, load.vaddr);
    }
    check_symbols();
  }

 private:
  bool is_lost(uint64_t address) const {
    return std::any_of(lost_.begin(), lost_.end(), [address](const LostBytes& bytes) {
      return address >= bytes.from && address < bytes.to;
    });
  }

  bool is_near(uint64_t address) const { return address - lowest_ < highest_ - lowest_; }

  bool is_meant(uint64_t address) const {
    return std::any_of(lost_.begin(), lost_.end(), [address](const LostBytes& bytes) {
      const auto& meant = bytes.meant;
      return address >= bytes.from && address < bytes.to &&
             (meant.empty() || std::find(meant.begin(), meant.end(), address) != meant.end());
    });
  }

  void report(uint64_t where, const char* what, uint64_t address) {
    findings_.at_address(
        {where}, what,
        fmt::format("that it leads to {:#x}, whose bytes were given another place", address),
        "that nothing leads there");
  }

  void check_relocations() {
    original_.for_each_relocation([this](uint64_t place, uint64_t size, uint64_t value) {
      if (is_meant(value)) report(place, "what a relocation writes", value);
      for (uint64_t i = 0; i < size; ++i)
        if (is_lost(place + i)) return report(place, "a relocation", place + i);
    });
  }

  // Headers and dynamic section.
  bool is_read_again(uint64_t address) const {
    const elf::Phdr& first = original_.loads().front();
    const elf::Ehdr& header = original_.header();
    const uint64_t end = header.phoff + uint64_t{header.phnum} * sizeof(elf::Phdr);
    if (first.offset == 0 && address - first.vaddr < end) return true;
    const elf::Phdr* dynamic = original_.find_header(elf::kPtDynamic);
    return dynamic != nullptr && address - dynamic->vaddr < dynamic->filesz;
  }

  // 64 bits of data, at a multiple of 4; of code 32, wherever an instruction has them.
  void check_words(ByteView bytes, const elf::Phdr& segment) {
    for (uint64_t at = 0; at + 4 <= bytes.size(); ++at) {
      const uint64_t half = *load<uint32_t>(bytes, at);
      const uint64_t whole = load<uint64_t>(bytes, at).value_or(0);
      if (!is_near(half) && !is_near(whole)) continue;
      const uint64_t place = segment.vaddr + at;
      if ((!is_meant(half) && !is_meant(whole)) || is_read_again(place)) continue;
      const bool is_code = (segment.flags & elf::kFlagExec) != 0 && sections_.may_hold(place);
      const uint64_t value = is_meant(whole) ? whole : half;
      if (is_code ? most_decode_constant(bytes, segment.vaddr, at)
                  : is_meant(whole) && place % 4 == 0)
        report(place, "a pointer", value);
    }
  }

  // By most decodes that start up to 128 bytes in front, an operand of an instruction begins there,
  // and it is no distance.
  bool most_decode_constant(ByteView code, uint64_t start, uint64_t place) const {
    return most_decodes(code, start, place, [&](const Instruction& in, uint64_t at) {
      return std::any_of(in.constants.begin(), in.constants.end(),
                         [&](uint8_t constant) { return constant != 0 && at + constant == place; });
    });
  }

  // Asks about the instruction that holds the place, and where it starts.
  template <typename Ask>
  bool most_decodes(ByteView code, uint64_t start, uint64_t place, Ask ask) const {
    const uint64_t back = std::min<uint64_t>(128, place);
    uint64_t votes = 0;
    for (uint64_t from = place - back; from < place; ++from) {
      uint64_t at = from;
      std::optional<Instruction> in;
      for (;;) {
        in = decoder_.decode(code.subspan(at), {start + at});
        const uint64_t length = in ? in->length : 1;
        if (at + length > place) break;
        at += length;
      }
      if (in && ask(*in, at)) ++votes;
    }
    return 2 * votes > back;
  }

  // Whatever four bytes of code may be the displacement of an operand, up to four of an immediate
  // behind them.
  void check_code(ByteView code, uint64_t start) {
    constexpr uint64_t kImmediate = 4;
    for (uint64_t at = 2; at + 4 <= code.size(); ++at) {
      const auto displacement = static_cast<uint64_t>(int64_t{*load<int32_t>(code, at)});
      const uint64_t first = start + at + 4 + displacement;
      if (first + kImmediate - lowest_ >= highest_ - lowest_ + kImmediate) continue;
      check_operand(code, start, at);
    }
  }

  void check_operand(ByteView code, uint64_t start, uint64_t displacement) {
    constexpr uint64_t kLongest = 15;
    for (uint64_t at = displacement - std::min(displacement, kLongest - 4); at < displacement;
         ++at) {
      const auto in = decoder_.decode(code.subspan(at), {start + at});
      if (!in || !in->rip_relative() || at + in->displacement != displacement) continue;
      if (!is_meant(in->target.value)) continue;
      const bool most = most_decodes(code, start, displacement, [&](const auto& it, uint64_t from) {
        return it.rip_relative() && from + it.displacement == displacement;
      });
      if (most) report(start + at, "an operand", in->target.value);
      return;
    }
  }

  // Other modules find them by name.
  void check_symbols() {
    for (const auto& [entries, dynamic] : original_.symbol_tables())
      for (uint64_t at = 0; dynamic && range_fits(at, sizeof(elf::Sym), entries.size());
           at += sizeof(elf::Sym)) {
        const auto symbol = *load<elf::Sym>(entries, at);
        const uint8_t type = symbol.info & 0xf;
        if (type == elf::kSttSection || type == elf::kSttTls) continue;
        if (symbol.shndx == 0 || symbol.shndx >= elf::kShnLoReserve || !is_meant(symbol.value))
          continue;
        report(symbol.value, "a dynamic symbol", symbol.value);
      }
  }

  const OriginalImage& original_;
  const Decoder& decoder_;
  const std::vector<LostBytes>& lost_;
  Findings& findings_;
  const CodeSections sections_;
  uint64_t lowest_ = UINT64_MAX, highest_ = 0;
};

}  // namespace

void verify_references(const OriginalImage& original, const Decoder& decoder,
                       const std::vector<LostBytes>& lost, Findings& findings) {
  ReferenceScan(original, decoder, lost, findings).run();
}

}  // namespace sysrewrite
