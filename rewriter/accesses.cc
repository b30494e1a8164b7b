#include "rewriter/accesses.h"

#include <algorithm>

#include "rewriter/code_reader.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kMostInFront = 10;  // of a ModRM byte: 15, less itself and the displacement
// About so many it is asked which instruction holds them: libc.so.6 has 30. A file that is made of
// them would take minutes, so all further ones count.
constexpr size_t kMostAsked = 1 << 14;

class AccessSearch {
 public:
  AccessSearch(const ElfImage& image, const FunctionIndex& functions, const RangeSet& ranges)
      : image_(image), functions_(functions), ranges_(ranges) {}

  void judge(Vaddr modrm) {
    const std::vector<Range> found = readings(modrm);
    if (found.empty()) return;
    if (!reader_) reader_.emplace(image_, functions_);
    const bool asks = asked_++ < kMostAsked;
    const auto holder = asks ? reader_->known_holder(modrm) : std::nullopt;
    if (!holder) {
      for (const Range& access : found) {
        possible_.add(access.from, access.to);
        if (!asks) certain_.add(access.from, access.to);
      }
      return;
    }
    if (const auto access = access_of(*holder, modrm)) {
      possible_.add(access->from, access->to);
      certain_.add(access->from, access->to);
    }
    for (const Outline::Span& other : reader_->other_readings(modrm))
      if (const auto access = access_of(other.address, modrm))
        possible_.add(access->from, access->to);
  }

  Accesses take() { return {bytes_of(possible_), bytes_of(certain_)}; }

 private:
  // What the instruction accesses, where this is its ModRM byte and some byte of it is asked about.
  std::optional<Range> access_of(Vaddr start, Vaddr modrm) const {
    const auto bytes = image_.bytes_from(start);
    if (!bytes || !reaches_displacement(*bytes, static_cast<uint64_t>(modrm - start)))
      return std::nullopt;
    const auto in = decoder_.decode(*bytes, start);
    if (!in || !in->rip_relative() || start + in->displacement != modrm + 1) return std::nullopt;
    const Range access{in->target, in->target + decoder_.accessed_bytes(*bytes)};
    const auto range = ranges_.first_ending_behind(access.from.value);
    const bool meets = range != ranges_.ranges().end() && range->from < access.to;
    return meets ? std::optional(access) : std::nullopt;
  }

  // What most places in front are told by, without Zydis: their instruction ends before.
  bool reaches_displacement(ByteView bytes, uint64_t front) const {
    const auto step = decoder_.step(bytes);
    return step && step->length >= front + 1 + sizeof(int32_t);
  }

  // By whatever instruction could begin in front.
  std::vector<Range> readings(Vaddr modrm) const {
    std::vector<Range> found;
    for (uint64_t front = 1; front <= std::min(kMostInFront, modrm.value); ++front)
      if (const auto access = access_of(modrm - front, modrm)) found.push_back(*access);
    return found;
  }

  // Those that were asked about.
  std::vector<uint64_t> bytes_of(RangeSet& accesses) const {
    std::vector<uint64_t> bytes;
    accesses.seal();
    for (const Range& access : accesses.ranges())
      for (uint64_t at = access.from.value; at < access.to.value; ++at)
        if (ranges_.contains(at)) bytes.push_back(at);
    return bytes;
  }

  const ElfImage& image_;
  const FunctionIndex& functions_;
  const RangeSet& ranges_;
  const Decoder decoder_;
  std::optional<CodeReader> reader_;  // rarely needed
  size_t asked_ = 0;
  RangeSet possible_, certain_;
};

}  // namespace

Accesses find_accesses(const ElfImage& image, const FunctionIndex& functions,
                       const RangeSet& ranges, const std::vector<uint64_t>& operands) {
  if (operands.empty()) return {};
  AccessSearch search(image, functions, ranges);
  for (const uint64_t modrm : operands) search.judge({modrm});
  return search.take();
}

}  // namespace sysrewrite
