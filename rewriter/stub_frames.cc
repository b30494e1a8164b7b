#include "rewriter/stub_frames.h"

#include <algorithm>

#include "rewriter/eh_frame.h"
#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

// A place in a stub and the address of the program whose rules hold there.
struct StubPoint {
  uint32_t offset = 0;
  Vaddr stands_for;
  bool lowered = false;  // rsp is below the red zone
};

// The offsets of the core are those of trampoline/stub.cc.
void add_core(std::vector<StubPoint>& points, uint32_t enter, const Instruction& syscall,
              const Options& options) {
  const bool redzone = options.stub == StubKind::kRedzone;
  constexpr uint32_t kLower = 5;                        // lea -0x80(%rsp), %rsp
  constexpr uint32_t kJump = 2, kRaise = 8, kCall = 2;  // jmp; lea 0x80(%rsp), %rsp; syscall
  points.push_back({enter, syscall.address, false});
  if (redzone) points.push_back({enter + kLower, syscall.address, true});
  const uint32_t resume = enter + (redzone ? SYSREWRITE_RESTART_BEFORE_RESUME : 13);
  points.push_back({resume, syscall.end(), false});
  if (!options.native_tail) return;
  uint32_t at = resume + kJump;
  points.push_back({at, syscall.address, redzone});
  if (redzone) points.push_back({at += kRaise, syscall.address, false});
  points.push_back({at + kCall, syscall.end(), false});
}

std::vector<StubPoint> points_of(const StubPlace& place, const Options& options) {
  const PlannedSite& planned = *place.planned;
  const auto* jump = std::get_if<WindowJump>(&planned.fate);
  std::vector<StubPoint> points;
  uint32_t at = 0;
  const auto displaced = [&](const std::vector<Instruction>& run) {
    for (const Instruction& in : run) {
      points.push_back({at, in.address, false});
      at += in.length;
    }
  };
  if (jump != nullptr) displaced(jump->before);
  add_core(points, at, planned.site->instruction, options);
  at += stub_core_size(options.stub, options.native_tail);
  if (jump != nullptr) displaced(jump->behind);
  points.push_back({at, planned.window() + planned.window_size(), false});
  return points;
}

class Describer {
 public:
  Describer(const ElfImage& image, const Layout& layout, const Options& options)
      : frames_(InputFrames::read(image)), layout_(layout), options_(options) {}

  std::optional<WrittenFrame> describe(const StubPlace& place) {
    const CallFrame* frame = frames_.covering(place.planned->site->instruction.address);
    if (frame == nullptr) return std::nullopt;
    const std::vector<StubPoint> points = points_of(place, options_);
    std::vector<Vaddr> addresses;
    for (const StubPoint& point : points) {
      if (!frame->holds(point.stands_for)) return std::nullopt;
      addresses.push_back(point.stands_for);
    }
    const auto rows = rows_at(*frame, addresses);
    if (!rows) return std::nullopt;
    WrittenFrame out{
        layout_.trampoline + place.offset.value, place.size, frame->common.signal_frame, {}};
    for (size_t i = 0; i < points.size(); ++i) {
      const FrameRow& row = (*rows)[i];
      const auto moved =
          points[i].lowered ? row.with_lower_stack(SYSREWRITE_RED_ZONE) : std::optional(row);
      if (!moved) return std::nullopt;
      out.points.push_back({points[i].offset, *moved});
    }
    return can_write(out) ? std::optional(std::move(out)) : std::nullopt;
  }

 private:
  // The tail stands for the syscall again, after what lies behind it: so they do not ascend.
  std::optional<std::vector<FrameRow>> rows_at(const CallFrame& frame,
                                               const std::vector<Vaddr>& addresses) {
    std::vector<Vaddr> ascending = addresses;
    std::sort(ascending.begin(), ascending.end());
    ascending.erase(std::unique(ascending.begin(), ascending.end()), ascending.end());
    const auto rows = evaluator_.rows_at(frame, ascending);
    if (!rows) return std::nullopt;
    std::vector<FrameRow> out;
    for (const Vaddr address : addresses) {
      const auto at = std::lower_bound(ascending.begin(), ascending.end(), address);
      out.push_back((*rows)[static_cast<size_t>(at - ascending.begin())]);
    }
    return out;
  }

  InputFrames frames_;
  const Layout& layout_;
  const Options& options_;
  FrameEvaluator evaluator_;
};

}  // namespace

InputFrames InputFrames::read(const ElfImage& image) {
  InputFrames frames;
  if (const auto table = find_frame_table(image))
    frames.eh = CallFrames::read(table->bytes, table->address, FrameStyle::kEhFrame);
  for (const elf::Shdr& section : image.sections()) {
    if (section.type != elf::kShtProgbits || (section.flags & elf::kShfCompressed) != 0) continue;
    if (image.section_name(section) != ".debug_frame") continue;
    const auto bytes = slice(image.bytes(), section.offset, section.size);
    if (bytes) frames.debug = CallFrames::read(*bytes, {0}, FrameStyle::kDebugFrame);
    break;
  }
  return frames;
}

std::vector<WrittenFrame> stub_frames(const ElfImage& image, const Layout& layout,
                                      const Options& options) {
  Describer describer(image, layout, options);
  std::vector<WrittenFrame> frames;
  for (const StubPlace& place : layout.stubs)
    if (auto frame = describer.describe(place)) frames.push_back(std::move(*frame));
  return frames;
}

}  // namespace sysrewrite
