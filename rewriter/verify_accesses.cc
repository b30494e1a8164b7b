#include "rewriter/verify_accesses.h"

#include <emmintrin.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "rewriter/verify_agreement.h"
#include "rewriter/verify_flows.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kLongestImmediate = 4;
constexpr uint64_t kMostInFront = 10;  // of a ModRM byte: 15, less itself and the displacement

// One bit for each of 16 positions.
unsigned possible_operands(const std::byte* code) {
  const void* place = code;
  const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(place));
  const __m128i modes = _mm_and_si128(bytes, _mm_set1_epi8(static_cast<char>(0xc7)));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(modes, _mm_set1_epi8(0x05))));
}

struct Patch {
  uint64_t from, to;  // exclusive
  Vaddr site;
};

// Disjoint, as was checked before; with a filter in front that answers nearly every question.
class Patches {
 public:
  explicit Patches(const std::vector<SiteReading>& sites) {
    for (const SiteReading& site : sites) {
      if (site.record.tier == Tier::kNative) continue;
      add({site.window.value, site.end.value, site.site});
      if (site.springboard)
        add({site.springboard->value, site.springboard->value + kSpringboardSize, site.site});
    }
    std::sort(all_.begin(), all_.end(),
              [](const Patch& a, const Patch& b) { return a.from < b.from; });
  }

  bool empty() const { return all_.empty(); }

  // False where no operand of an instruction whose displacement counts from `end`, or from up to
  // four bytes behind it, can meet one.
  bool may_meet(uint64_t end) const {
    const uint64_t block = end / kBlock % kBlocks;
    return (filter_[block / 64] >> (block % 64) & 1) != 0;
  }

  const Patch* meeting(uint64_t from, uint64_t size) const {
    const auto patch = std::partition_point(all_.begin(), all_.end(),
                                            [from](const Patch& p) { return p.to <= from; });
    return size != 0 && patch != all_.end() && patch->from < from + size ? &*patch : nullptr;
  }

 private:
  static constexpr uint64_t kBlock = 64, kBlocks = uint64_t{1} << 16;

  void add(const Patch& patch) {
    all_.push_back(patch);
    const uint64_t reach = kWidestAccess - 1 + kLongestImmediate;
    const uint64_t first = (patch.from - std::min(patch.from, reach)) / kBlock;
    for (uint64_t block = first; block <= patch.to / kBlock; ++block)
      filter_[block % kBlocks / 64] |= uint64_t{1} << (block % 64);
  }

  std::vector<Patch> all_;
  std::vector<uint64_t> filter_ = std::vector<uint64_t>(kBlocks / 64);
};

class AccessCheck {
 public:
  AccessCheck(const Evidenced& in, const KnownFunctions& functions, const Patches& patches,
              Findings& findings)
      : in_(in),
        patches_(patches),
        findings_(findings),
        flows_(in.original, in.decoder, functions) {}

  void report_if_spent() {
    if (flows_.spent())
      findings_.at_offset(0, "the functions around possible operands",
                          "more that overlap than can be read",
                          "functions whose flow can be followed");
  }

  void scan(ByteView code, uint64_t start) {
    const auto look = [&](uint64_t at) {
      const auto distance = static_cast<uint64_t>(int64_t{*load<int32_t>(code, at + 1)});
      if (patches_.may_meet(start + at + 5 + distance)) check(code, start, at);
    };
    uint64_t at = 0;
    for (; at + 16 + 4 <= code.size(); at += 16)
      for (unsigned bits = possible_operands(code.data() + at); bits != 0; bits &= bits - 1)
        look(at + static_cast<unsigned>(__builtin_ctz(bits)));
    for (; at + 5 <= code.size(); ++at)
      if ((code[at] & std::byte{0xc7}) == std::byte{0x05}) look(at);
  }

 private:
  void check(ByteView code, uint64_t start, uint64_t modrm) {
    for (uint64_t front = 1; front <= std::min(modrm, kMostInFront); ++front) {
      const uint64_t at = modrm - front;
      const auto in = in_.decoder.decode(code.subspan(at), {start + at});
      if (!in || !in->rip_relative() || in->displacement != front + 1) continue;
      const uint64_t size = in_.decoder.accessed_bytes(code.subspan(at));
      const Patch* patch = patches_.meeting(in->target.value, size);
      if (patch == nullptr || !is_instruction(code, start, at)) continue;
      return findings_.at_address(
          {start + at}, "an operand",
          fmt::format("the {} bytes at {:#x}, some of them in the patch of the site {:#x}", size,
                      in->target.value, patch->site.value),
          "that no instruction reads or writes there");
    }
  }

  // By the flow of the function around it, where that arrives; else by what that function is swept
  // to be, or by decodes in front.
  bool is_instruction(ByteView code, uint64_t start, uint64_t at) {
    const Vaddr address{start + at};
    if (const KnownFlow* known = flows_.around(address)) {
      const auto readings = known->flow.reached_in(address, address + 1);
      if (!readings.empty())
        return std::any_of(readings.begin(), readings.end(),
                           [address](const auto& r) { return r.address == address; });
      if (known->knows_rest() && known->flow.swept_holder(address) == address) return true;
    }
    return agreed_holder(in_.original, in_.decoder, address) == address || most_come_by(code, at);
  }

  // Three of four: over bytes that are no instruction they go on one byte later. Near the begin of
  // a segment there are fewer.
  bool most_come_by(ByteView code, uint64_t asked) const {
    constexpr uint64_t kMost = 128;
    const uint64_t back = std::min(kMost, asked);
    std::array<bool, kMost + 1> comes_by{};
    comes_by[back] = true;
    uint64_t votes = 0;
    for (uint64_t at = back; at-- > 0;) {
      const auto step = in_.decoder.step(code.subspan(asked - back + at));
      const uint64_t next = at + (step ? step->length : 1);
      comes_by[at] = next <= back && comes_by[next];
      votes += comes_by[at] ? 1 : 0;
    }
    return 4 * votes > 3 * back || back == 0;
  }

  const Evidenced& in_;
  const Patches& patches_;
  Findings& findings_;
  Flows flows_;
};

}  // namespace

void verify_accesses(const Evidenced& in, const KnownFunctions& functions,
                     const std::vector<SiteReading>& sites, Findings& findings) {
  const Patches patches(sites);
  if (patches.empty()) return;
  AccessCheck check(in, functions, patches, findings);
  for (const elf::Phdr& load : in.original.loads())
    if ((load.flags & elf::kFlagExec) != 0) check.scan(in.original.bytes_of(load), load.vaddr);
  check.report_if_spent();
}

}  // namespace sysrewrite
