#include "rewriter/lost_trailer.h"

#include <algorithm>
#include <cstring>

#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kJumpSize = 5;
constexpr uint64_t kMostFiller = 10;  // bytes: an instruction of 15 less the jump

struct Jump {
  uint64_t distance;  // bytes between the file's segments and where it leads
  Vaddr at;
};

class JumpFinder {
 public:
  explicit JumpFinder(const ElfImage& image)
      : low_(align_down(image.lowest().value, kPageSize)),
        high_(align_up(image.highest_end().value, kPageSize)) {}

  void scan(Vaddr start, ByteView code) {
    for (size_t at = 0; at < code.size(); ++at) {
      const void* poison = memmem(code.data() + at, code.size() - at, kPoison, sizeof(kPoison));
      if (poison == nullptr) return;
      at = static_cast<size_t>(static_cast<const std::byte*>(poison) - code.data());
      add_before(start, code, at);
    }
  }

  std::optional<Vaddr> find() {
    for (std::vector<Jump>* jumps : {&below_, &behind_}) {
      std::sort(jumps->begin(), jumps->end(),
                [](const Jump& a, const Jump& b) { return a.distance < b.distance; });
      for (size_t i = 0; i < jumps->size(); ++i)
        if ((*jumps)[i].distance <= 2 * kPageSize + (i + 1) * kMostStub) return (*jumps)[0].at;
    }
    return std::nullopt;
  }

 private:
  static constexpr uint64_t kMostStub = 256;  // bytes, with what sites without such a jump need

  void add_before(Vaddr start, ByteView code, uint64_t poison) {
    for (uint64_t size = kJumpSize; size <= std::min(poison, kJumpSize + kMostFiller); ++size) {
      const uint64_t at = poison - size;
      if (code[at] != std::byte{0xe9}) continue;
      const int64_t distance = *load<int32_t>(code, at + 1);
      const uint64_t target = (start + at + kJumpSize).value + static_cast<uint64_t>(distance);
      below_.push_back({low_ - target, start + at});
      behind_.push_back({target - high_, start + at});
    }
  }

  uint64_t low_, high_;
  std::vector<Jump> below_, behind_;
};

}  // namespace

std::optional<Vaddr> find_jump_to_lost_stub(const ElfImage& image) {
  JumpFinder finder(image);
  for (const Segment& code : image.segments())
    if (code.executable())
      finder.scan(code.vaddr, image.bytes().subspan(code.offset.value, code.file_size));
  return finder.find();
}

}  // namespace sysrewrite
