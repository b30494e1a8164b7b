#include "rewriter/lost_trailer.h"

#include <algorithm>
#include <cstring>

#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kJumpSize = 5;
constexpr uint64_t kMostFiller = 10;  // bytes: an instruction of 15 less the jump

// Where a jump stands that ends at most kMostFiller bytes in front of `poison`.
std::optional<Vaddr> jump_before(const ElfImage& image, const Segment& code, ByteView bytes,
                                 uint64_t poison) {
  for (uint64_t size = kJumpSize; size <= std::min(poison, kJumpSize + kMostFiller); ++size) {
    const uint64_t at = poison - size;
    if (bytes[at] != std::byte{0xe9}) continue;
    const auto distance = static_cast<uint64_t>(int64_t{*load<int32_t>(bytes, at + 1)});
    const Vaddr target = code.vaddr + at + kJumpSize + distance;
    if (target < image.lowest() || target >= image.highest_end()) return code.vaddr + at;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Vaddr> find_jump_out(const ElfImage& image) {
  for (const Segment& code : image.segments()) {
    if (!code.executable()) continue;
    const ByteView bytes = image.bytes().subspan(code.offset.value, code.file_size);
    for (const std::byte* at = bytes.data(); at != bytes.data() + bytes.size(); ++at) {
      const auto rest = static_cast<size_t>(bytes.data() + bytes.size() - at);
      at = static_cast<const std::byte*>(memmem(at, rest, kPoison, sizeof(kPoison)));
      if (at == nullptr) break;
      if (auto jump = jump_before(image, code, bytes, static_cast<uint64_t>(at - bytes.data())))
        return jump;
    }
  }
  return std::nullopt;
}

}  // namespace sysrewrite
