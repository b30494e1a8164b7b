#include "rewriter/lost_trailer.h"

#include <emmintrin.h>

#include <algorithm>
#include <string_view>

#include "rewriter/code_reader.h"
#include "rewriter/options.h"
#include "rewriter/placement.h"
#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kJumpSize = 5, kShortJumpSize = 2;
constexpr uint64_t kMostFiller = 10;  // bytes: an instruction of 15 less the jump
// How far into a trampoline, from either end of it, a jump is looked for that leads there.
constexpr uint64_t kDepth = 65536;
// Remembered of a file: the first, and so as many as one can ask for without a sense.
constexpr size_t kMostTraces = 65536;

std::byte byte_at(ByteView code, uint64_t at) {
  return at < code.size() ? code[at] : std::byte{0};
}

class TraceScan {
 public:
  explicit TraceScan(const ElfImage& image)
      : low_(align_down(image.lowest().value, kPageSize)),
        high_(align_up(image.highest_end().value, kPageSize)),
        trampolines_(Placement::all_choices(image, kDepth)) {}

  void scan(Vaddr start, ByteView code) {
    size_t at = 0;
    for (; at + 17 <= code.size(); at += 16)
      for (unsigned found = marks(code.data() + at); found != 0; found &= found - 1)
        look_at(start, code, at + static_cast<size_t>(__builtin_ctz(found)));
    for (; at < code.size(); ++at) look_at(start, code, at);
  }

  std::vector<RewriteTrace> take() {
    add_certain(below_);
    add_certain(behind_);
    std::sort(traces_.begin(), traces_.end(),
              [](const RewriteTrace& a, const RewriteTrace& b) { return a.at < b.at; });
    return std::move(traces_);
  }

 private:
  static constexpr uint64_t kMostStub = 256;  // bytes, with what sites without such a jump need

  struct PoisonedJump {
    uint64_t distance;  // bytes between the file's segments and where it leads
    Vaddr at;
  };

  // A bit for each of 16 bytes that is E9, or F1 with F4 behind it; SSE2 is part of x86-64.
  static unsigned marks(const std::byte* bytes) {
    const auto equals = [](const std::byte* p, uint8_t byte) {
      const __m128i v = _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
      return _mm_cmpeq_epi8(v, _mm_set1_epi8(static_cast<char>(byte)));
    };
    const __m128i poison = _mm_and_si128(equals(bytes, kPoison[0]), equals(bytes + 1, kPoison[1]));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(equals(bytes, 0xe9), poison)));
  }

  static bool is_poison(ByteView code, uint64_t at) {
    return byte_at(code, at) == std::byte{kPoison[0]} &&
           byte_at(code, at + 1) == std::byte{kPoison[1]};
  }

  void look_at(Vaddr start, ByteView code, uint64_t at) {
    if (code[at] == std::byte{0xe9}) add_jump(start, code, at);
    if (is_poison(code, at)) add({start + at, TraceKind::kTraps});
  }

  void add(const RewriteTrace& trace) {
    if (traces_.size() < kMostTraces) traces_.push_back(trace);
  }

  static bool is_before_poison(ByteView code, uint64_t behind) {
    for (uint64_t at = behind; at <= behind + kMostFiller; ++at)
      if (is_poison(code, at)) return true;
    return false;
  }

  void add_jump(Vaddr start, ByteView code, uint64_t at) {
    const auto distance = load<int32_t>(code, at + 1);
    if (!distance) return;
    const uint64_t target =
        (start + at + kJumpSize).value + static_cast<uint64_t>(int64_t{*distance});
    if (!trampolines_.contains(target) || traces_.size() == kMostTraces) return;
    if (is_before_poison(code, at + kJumpSize)) {
      below_.push_back({low_ - target, start + at});
      behind_.push_back({target - high_, start + at});
    }
    add({start + at, TraceKind::kLeadsOut});
    add_short_jumps(start, code, at);
  }

  void add_short_jumps(Vaddr start, ByteView code, uint64_t springboard) {
    constexpr uint64_t kBack = 127 + kShortJumpSize, kAhead = 128 - kShortJumpSize;
    const uint64_t first = springboard - std::min(springboard, kBack);
    for (uint64_t at = first; at <= springboard + kAhead; ++at) {
      if (byte_at(code, at) != std::byte{0xeb}) continue;
      const auto distance = load<int8_t>(code, at + 1);
      if (distance &&
          at + kShortJumpSize + static_cast<uint64_t>(int64_t{*distance}) == springboard)
        add({start + at, TraceKind::kLeadsOut});
    }
  }

  void add_certain(std::vector<PoisonedJump>& jumps) {
    std::sort(jumps.begin(), jumps.end(),
              [](const PoisonedJump& a, const PoisonedJump& b) { return a.distance < b.distance; });
    for (size_t i = 0; i < jumps.size(); ++i)
      if (jumps[i].distance <= 2 * kPageSize + (i + 1) * kMostStub)
        return traces_.push_back({jumps[0].at, TraceKind::kLeadsOut, true});
  }

  uint64_t low_, high_;
  RangeSet trampolines_;
  std::vector<RewriteTrace> traces_;
  std::vector<PoisonedJump> below_, behind_;
};

}  // namespace

std::vector<RewriteTrace> suspect_traces(const ElfImage& image) {
  TraceScan scan(image);
  for (const Segment& code : image.segments())
    if (code.executable())
      scan.scan(code.vaddr, image.bytes().subspan(code.offset.value, code.file_size));
  return scan.take();
}

std::optional<RewriteTrace> find_trace(const ElfImage& image, const FunctionIndex& functions,
                                       const std::vector<RewriteTrace>& suspects) {
  CodeReader reader(image, functions);
  for (const RewriteTrace& trace : suspects) {
    if (trace.certain) return trace;
    const auto holder = reader.holder_of(trace.at);
    if (holder && holder->reached && holder->start == trace.at) return trace;
  }
  return std::nullopt;
}

std::optional<std::string> interpreter_of_rewritten(const ElfImage& image) {
  const auto path = image.interpreter();
  if (!path) return std::nullopt;
  const std::string text(reinterpret_cast<const char*>(path->data()));  // it ends in NUL
  const std::string_view ours = kDefaultInterpreter;
  const auto name = [](std::string_view of) { return of.substr(of.rfind('/') + 1); };
  if (name(text) != name(ours)) return std::nullopt;
  return text;
}

}  // namespace sysrewrite
