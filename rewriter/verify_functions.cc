#include "rewriter/verify_functions.h"

#include <algorithm>

#include "rewriter/verify_symbols.h"

namespace sysrewrite {

namespace {

// mov $15, %rax; syscall, one byte behind where its entry begins: an unwinder looks a return
// address up at the byte in front of it, so the entry of what no call returns to begins early.
bool begins_before_restorer(const OriginalImage& original, Vaddr start) {
  constexpr uint8_t kRestorer[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
  const ByteView bytes = original.bytes_from(start + 1);
  return bytes.size() >= sizeof(kRestorer) &&
         std::equal(std::begin(kRestorer), std::end(kRestorer), bytes.begin(),
                    [](uint8_t a, std::byte b) { return std::byte{a} == b; });
}

}  // namespace

KnownFunctions::KnownFunctions(const OriginalImage& original)
    : frames_(original_call_frames(original)) {
  add_frames(original);
  add_symbols(original);
  add(original, original.header().entry, 0);
  for (const int64_t tag : {elf::kDtInit, elf::kDtFini})
    if (const auto address = original.dynamic(tag)) add(original, *address, 0);
  merge();
  end_bare_ones(original);
  std::sort(objects_.begin(), objects_.end());
  uint64_t reach = 0;
  for (const Bounds& object : objects_)
    object_reach_.push_back(reach = std::max(reach, object.end));
}

// What reaches beyond its segment is cut.
void KnownFunctions::add(const OriginalImage& original, uint64_t start, uint64_t size) {
  if (original.code_around({start}, 1) == nullptr) return;
  const uint64_t room = original.bytes_from({start}).size();
  functions_.push_back({start, start + std::min(size, room), false});
}

void KnownFunctions::add_frames(const OriginalImage& original) {
  for (const CallFrame& frame : frames_.all()) {
    const uint64_t early =
        frame.common.signal_frame && begins_before_restorer(original, frame.own.start) ? 1 : 0;
    const uint64_t start = frame.own.start.value + early;
    add(original, start, frame.own.size - early);
    if (frame.common.signal_frame) signal_fronts_.push_back(start - 1);
  }
  std::sort(signal_fronts_.begin(), signal_fronts_.end());
}

void KnownFunctions::add_symbols(const OriginalImage& original) {
  original.for_each_symbol([&](const elf::Sym& symbol) {
    const uint8_t type = symbol.info & 0xf;
    if (type == elf::kSttFunc || type == elf::kSttGnuIfunc)
      add(original, symbol.value, symbol.size);
    const auto end = checked_add(symbol.value, symbol.size);
    if (type == elf::kSttObject && end && original.code_around({symbol.value}, 1) != nullptr)
      objects_.push_back({symbol.value, *end, false});
  });
}

// Of several with one start the longest counts.
void KnownFunctions::merge() {
  std::sort(functions_.begin(), functions_.end());
  size_t kept = 0;
  for (const Bounds& function : functions_) {
    if (kept != 0 && functions_[kept - 1].start == function.start) --kept;
    functions_[kept++] = function;
  }
  functions_.resize(kept);
}

// Far from such a start other functions follow, which nothing names.
void KnownFunctions::end_bare_ones(const OriginalImage& original) {
  constexpr uint64_t kFar = 4096;
  for (size_t i = 0; i < functions_.size(); ++i) {
    Bounds& function = functions_[i];
    if (function.start != function.end) continue;
    const uint64_t room = original.bytes_from({function.start}).size();
    function.bare = true;
    function.end = function.start + std::min(kFar, room);
    if (i + 1 < functions_.size()) function.end = std::min(function.end, functions_[i + 1].start);
  }
}

std::optional<KnownFunctions::Bounds> KnownFunctions::innermost(Vaddr address) const {
  constexpr int kMostSteps = 64;  // functions rarely nest
  auto after = std::upper_bound(functions_.begin(), functions_.end(), address.value,
                                [](uint64_t a, const Bounds& f) { return a < f.start; });
  for (int steps = 0; after != functions_.begin() && steps < kMostSteps; ++steps)
    if (address.value < (--after)->end) return *after;
  return std::nullopt;
}

std::optional<Vaddr> KnownFunctions::start_in(Vaddr from, Vaddr to) const {
  const auto first = std::lower_bound(functions_.begin(), functions_.end(), from.value,
                                      [](const Bounds& f, uint64_t a) { return f.start < a; });
  const bool found = first != functions_.end() && first->start < to.value;
  return found ? std::optional(Vaddr{first->start}) : std::nullopt;
}

bool KnownFunctions::holds_front_of_signal_frame(Vaddr from, Vaddr to) const {
  const auto first = std::lower_bound(signal_fronts_.begin(), signal_fronts_.end(), from.value);
  return first != signal_fronts_.end() && *first < to.value;
}

bool KnownFunctions::is_object(Vaddr address) const {
  const auto after = std::upper_bound(objects_.begin(), objects_.end(), address.value,
                                      [](uint64_t a, const Bounds& o) { return a < o.start; });
  const auto behind = static_cast<size_t>(after - objects_.begin());
  return behind != 0 && object_reach_[behind - 1] > address.value;
}

}  // namespace sysrewrite
