#include "rewriter/references.h"

#include "rewriter/agreement.h"
#include "rewriter/decoder.h"
#include "rewriter/evidence.h"
#include "rewriter/relocations.h"

// A superset again, with less of it than evidence.h has: a false alarm costs a patch its better
// tier there, and the whole file here.
//
//   relocations   that write a word of the range, or an address of it
//   symbols       that other modules may ask for
//   operands      RIP-relative ones of whatever instruction some byte of the code begins, where
//                 decodes do not agree on another one
//   words         in a file that cannot move: 64 bits of data, at multiples of 4; 32 bits of code
//                 that decodes agree to be an operand of one instruction, or do not agree about: at
//                 any byte there were some in every large program, `f7 c2 02 40 00 00`
//                 (test $0x4002, %edx) having 0x4002c2. A large program has numbers that equal an
//                 address among its data, too, where 32 bits are all that is asked of them.

namespace sysrewrite {

namespace {

class ReferenceScan {
 public:
  ReferenceScan(const ElfImage& image, const Range& range, const std::vector<Range>& targets)
      : image_(image), from_(range.from.value), size_(range.to.value - range.from.value) {
    ranges_.add(range.from, range.to);
    ranges_.seal();
    for (const Range& target : targets) targets_.add(target.from, target.to);
    targets_.seal();
    const uint64_t headers = image.program_headers().size() * sizeof(elf::Phdr);
    mended_.add(image.lowest(), image.lowest() + image.header().phoff + headers);
    if (const elf::Phdr* dynamic = image.find_header(elf::kPtDynamic))
      mended_.add({dynamic->vaddr}, {dynamic->vaddr + dynamic->filesz});
    mended_.seal();
  }

  std::optional<Reference> run() {
    if (const auto found = in_relocations()) return found;
    if (const auto found = in_symbols()) return found;
    for (const Segment& segment : image_.segments()) {
      const ByteView bytes = image_.bytes().subspan(segment.offset.value, segment.file_size);
      if (segment.executable())
        if (const auto found = in_operands(bytes, segment.vaddr)) return found;
      if (!image_.position_independent())
        if (const auto found = in_words(image_.words_of(segment), segment)) return found;
    }
    return std::nullopt;
  }

 private:
  bool holds(uint64_t address) const {
    return address - from_ < size_ && targets_.contains(address);
  }

  std::optional<Reference> in_relocations() const {
    const auto written = scan_relocated_bytes(image_, ranges_);
    if (!written.empty()) return Reference{written.front(), "a relocation, which writes it,"};
    std::optional<Reference> found;
    for_each_relocation(image_, [&](const Relocation& relocation) {
      if (!found && holds(relocation.target)) found = {relocation.target, "a relocation"};
    });
    return found;
  }

  std::optional<Reference> in_symbols() const {
    for (const elf::Shdr& section : image_.sections()) {
      if (section.type != elf::kShtDynsym) continue;
      const ByteView table =
          slice(image_.bytes(), section.offset, section.size).value_or(ByteView{});
      for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), table.size());
           at += sizeof(elf::Sym)) {
        const auto symbol = *load<elf::Sym>(table, at);
        const uint8_t type = symbol.info & 0xf;
        const bool has_address = symbol.shndx != 0 && symbol.shndx < elf::kShnLoReserve &&
                                 type != elf::kSttSection && type != elf::kSttTls;
        if (has_address && holds(symbol.value)) return Reference{symbol.value, "a dynamic symbol"};
      }
    }
    return std::nullopt;
  }

  // ModRM byte (mod 00, rm 101), displacement, up to four bytes of an immediate.
  std::optional<Reference> in_operands(ByteView code, Vaddr start) {
    constexpr uint64_t kLongestImmediate = 4;
    for (size_t at = 0; at + 5 <= code.size(); ++at) {
      if ((code[at] & std::byte{0xc7}) != std::byte{0x05}) continue;
      const auto distance = static_cast<uint64_t>(int64_t{*load<int32_t>(code, at + 1)});
      const uint64_t end = start.value + at + 5 + distance;
      if (end + kLongestImmediate - from_ >= size_ + kLongestImmediate) continue;
      if (const auto target = operand_at(code, start, at))
        return Reference{*target, "an instruction"};
    }
    return std::nullopt;
  }

  // Of any instruction that has its ModRM byte at code[at].
  std::optional<uint64_t> operand_at(ByteView code, Vaddr start, size_t at) {
    constexpr size_t kMostInFront = 10;  // 15, less ModRM byte and displacement
    for (size_t front = 1; front <= std::min(at, kMostInFront); ++front) {
      const auto in = decoder_.decode(code.subspan(at - front), start + (at - front));
      const bool here = in && in->rip_relative() && in->displacement == front + 1;
      if (!here || !holds(in->target.value)) continue;
      const auto agreed = agreed_at(start + at);
      const bool other = agreed && agreed->address + agreed->displacement != start + at + 1;
      return other ? std::nullopt : std::optional(in->target.value);
    }
    return std::nullopt;
  }

  std::optional<Reference> in_words(ByteView bytes, const Segment& segment) {
    for (uint64_t at = 0; at + 4 <= bytes.size(); ++at) {
      const uint64_t half = *load<uint32_t>(bytes, at);
      const uint64_t whole = load<uint64_t>(bytes, at).value_or(0);
      if (!holds(half) && !holds(whole)) continue;
      const Vaddr place = segment.vaddr + at;
      if (mended_.contains(place.value)) continue;
      const bool is_code = segment.executable() && !image_.outside_code_sections(place);
      if (is_code && may_be_constant(place))
        return Reference{holds(whole) ? whole : half, "an instruction"};
      if (!is_code && holds(whole) && place.value % 4 == 0) return Reference{whole, "a pointer"};
    }
    return std::nullopt;
  }

  // The instruction that holds an address, where decodes agree about it.
  std::optional<Instruction> agreed_at(Vaddr place) {
    const auto start = agreed_start(image_, lengths_, place, 16);
    if (!start) return std::nullopt;
    return decoder_.decode(*image_.bytes_from(*start), *start);
  }

  bool may_be_constant(Vaddr place) {
    const auto in = agreed_at(place);
    if (!in) return true;
    const auto is_here = [&](uint8_t at) { return at != 0 && in->address + at == place; };
    return is_here(in->constants[0]) || is_here(in->constants[1]);
  }

  const ElfImage& image_;
  const uint64_t from_, size_;
  RangeSet ranges_, targets_, mended_;
  const Decoder decoder_;
  StepLengths lengths_{decoder_};
};

}  // namespace

std::optional<Reference> find_reference(const ElfImage& image, const Range& range,
                                        const std::vector<Range>& targets) {
  if (range.to <= range.from) return std::nullopt;
  return ReferenceScan(image, range, targets).run();
}

}  // namespace sysrewrite
