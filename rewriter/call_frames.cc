#include "rewriter/call_frames.h"

#include <algorithm>

namespace sysrewrite {

CallFrames CallFrames::read(ByteView table, Vaddr address, FrameStyle style) {
  CallFrames out;
  const FrameTable all{table, address};
  for_each_frame(all, style, [&out](const FrameCommon& common, const FrameDescription& frame) {
    if (common.return_register == kFrameReturn) out.frames_.push_back({common, frame});
  });
  std::stable_sort(
      out.frames_.begin(), out.frames_.end(),
      [](const CallFrame& a, const CallFrame& b) { return a.own.start < b.own.start; });
  return out;
}

const CallFrame* CallFrames::covering(Vaddr address) const {
  const auto after =
      std::upper_bound(frames_.begin(), frames_.end(), address,
                       [](Vaddr a, const CallFrame& frame) { return a < frame.own.start; });
  if (after == frames_.begin()) return nullptr;
  const CallFrame& frame = *(after - 1);
  return address.value - frame.own.start.value < frame.own.size ? &frame : nullptr;
}

}  // namespace sysrewrite
