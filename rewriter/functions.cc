#include "rewriter/functions.h"

#include <algorithm>

#include "rewriter/eh_frame.h"
#include "rewriter/go_table.h"
#include "rewriter/symbols.h"

namespace sysrewrite {

namespace {

bool by_start(const Function& a, const Function& b) {
  if (a.start != b.start) return a.start < b.start;
  if (a.sized != b.sized) return a.sized;
  return a.evidence < b.evidence;
}

}  // namespace

// Gathers from every source, then sorts once and drops what says nothing new.
//
// Near given addresses it goes through the sources twice. What covers an address may start far in
// front of it, and how covering() gets there depends on every start between. So the first time
// nothing is gathered, but the parts to index grow to the start of all that reaches into them:
//
//          f                          address
//     -----[============================x=====]-----------------
//                        |<- distance ->|<- distance ->|          asked for
//          |<------------------------------------------|          indexed
//
// Functions without a size are no part of this: they are believed near their start only.
class FunctionCollector {
 public:
  explicit FunctionCollector(const ElfImage& image) : image_(image) {}

  FunctionCollector(const ElfImage& image, const std::vector<Vaddr>& addresses) : image_(image) {
    asked_ = ranges_around(addresses);
    for (const Range& range : asked_) grown_from_.push_back(range.from);
    survey_all();
    indexed_.emplace(kBlockShift);
    for (size_t i = 0; i < asked_.size(); ++i) indexed_->add(grown_from_[i], asked_[i].to);
    indexed_->seal();
  }

  FunctionIndex collect() {
    visit_sources();
    index_.indexed_ = indexed_;
    auto& functions = index_.functions_;
    std::sort(functions.begin(), functions.end(), by_start);
    merge_duplicates();
    close_open_ends();
    for (const Function& function : functions) {
      index_.starts_.push_back(function.start.value);
      index_.longest_ =
          std::max<uint64_t>(index_.longest_, function.end.value - function.start.value);
      const uint64_t before = index_.reach_.empty() ? 0 : index_.reach_.back();
      index_.reach_.push_back(std::max(before, function.end.value));
    }
    std::sort(index_.starts_.begin(), index_.starts_.end());
    std::sort(index_.objects_.begin(), index_.objects_.end(),
              [](const auto& a, const auto& b) { return a.start < b.start; });
    return std::move(index_);
  }

 private:
  static constexpr unsigned kBlockShift = 13;

  static std::vector<Range> ranges_around(const std::vector<Vaddr>& addresses) {
    constexpr uint64_t kDistance = FunctionIndex::kIndexedDistance;
    std::vector<Range> ranges;
    for (const Vaddr address : addresses) {
      const Vaddr from = address - std::min(kDistance, address.value);
      if (ranges.empty() || from > ranges.back().to) ranges.push_back({from, from});
      ranges.back().to = address + kDistance;
    }
    return ranges;
  }

  void visit_sources() {
    add_frames();
    add_symbols();
    add_go_table();
    add_entry_points();
  }

  // The first of the two walks: how far the functions at hand reach.
  void survey_all() {
    surveying_ = true;
    visit_sources();
    surveying_ = false;
  }

  // Grows the last range that [start, start + size) reaches into: those in front of it lie between.
  void survey(Vaddr start, uint64_t size) {
    if (size == 0) return;
    const uint64_t end = checked_add(start.value, size).value_or(UINT64_MAX);
    const auto range =
        std::lower_bound(asked_.begin(), asked_.end(), end,
                         [](const Range& r, uint64_t a) { return r.from.value < a; });
    if (range == asked_.begin() || start >= (range - 1)->to) return;
    Vaddr& from = grown_from_[static_cast<size_t>(range - asked_.begin()) - 1];
    from = std::min(from, start);
  }

  bool wanted(Vaddr start) const { return !indexed_ || indexed_->contains(start.value); }

  void add(Vaddr start, uint64_t size, StartEvidence evidence, std::optional<Vaddr> lsda = {},
           bool signal = false) {
    if (surveying_) return survey(start, size);
    if (!wanted(start)) return;
    const Segment* segment = image_.executable_segment_of(start);
    if (segment == nullptr) return;
    const uint64_t room = segment->file_size - (start.value - segment->vaddr.value);
    const uint64_t length = std::min(size, room);
    index_.functions_.push_back({start, start + length, evidence, length != 0, lsda, signal});
  }

  void add_frames() {
    uint64_t covered = 0, code = 0;
    for_each_frame_entry(image_, [&](const FrameEntry& entry) {
      covered += entry.size;
      // A signal frame's entry begins one byte early, in whatever stands in front of the restorer,
      // because unwinders look a return address up at its last byte. A decode from there would be
      // out of step.
      const uint64_t early = entry.signal_frame && begins_before_restorer(entry.start) ? 1 : 0;
      add(entry.start + early, entry.size - early, StartEvidence::kFrameEntry, entry.lsda,
          entry.signal_frame);
    });
    for (const Segment& segment : image_.segments())
      if (segment.executable()) code += segment.file_size;
    index_.unwind_covers_most_ = covered > code / 2;
  }

  // mov $15, %rax; syscall: gdb and libgcc know the restorer by these bytes too.
  bool begins_before_restorer(Vaddr start) const {
    constexpr uint8_t kRestorer[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    const auto bytes = image_.bytes_from(start + 1);
    return bytes && bytes->size() >= sizeof(kRestorer) &&
           std::memcmp(bytes->data(), kRestorer, sizeof(kRestorer)) == 0;
  }

  void add_symbols() {
    for_each_symbol(image_, [this](const Symbol& symbol) {
      switch (symbol.type) {
        case elf::kSttFunc:
        case elf::kSttGnuIfunc:
          add(symbol.address, symbol.size, StartEvidence::kSymbol);
          break;
        case elf::kSttNotype:
          add_label(symbol.address);
          break;
        case elf::kSttObject:
          add_object(symbol);
          break;
        default:
          break;
      }
    });
  }

  // A label names no function, but something may jump to it.
  void add_label(Vaddr address) {
    if (surveying_ || !wanted(address)) return;
    if (image_.executable_segment_of(address) != nullptr) index_.starts_.push_back(address.value);
  }

  void add_object(const Symbol& symbol) {
    if (surveying_) return survey(symbol.address, symbol.size);
    if (!wanted(symbol.address)) return;
    if (symbol.size == 0 || image_.executable_segment_of(symbol.address) == nullptr) return;
    const auto end = checked_add(symbol.address.value, symbol.size);
    if (!end) return;
    index_.objects_.push_back({symbol.address, {*end}});
    index_.longest_object_ = std::max(index_.longest_object_, symbol.size);
  }

  void add_go_table() {
    const std::vector<Vaddr> starts = read_go_function_starts(image_);
    for (size_t i = 0; i + 1 < starts.size(); ++i)
      add(starts[i], static_cast<uint64_t>(starts[i + 1] - starts[i]), StartEvidence::kGoTable);
  }

  void add_entry_points() {
    add({image_.header().entry}, 0, StartEvidence::kEntryPoint);
    for (const int64_t tag : {elf::kDtInit, elf::kDtFini})
      if (const auto address = image_.dynamic(tag)) add({*address}, 0, StartEvidence::kEntryPoint);
  }

  // Of several with one start the sized one stays; what any of them knows is kept.
  void merge_duplicates() {
    auto& functions = index_.functions_;
    size_t kept = 0;
    for (size_t i = 0; i < functions.size(); ++i) {
      if (kept != 0 && functions[kept - 1].start == functions[i].start) {
        if (!functions[kept - 1].lsda) functions[kept - 1].lsda = functions[i].lsda;
        functions[kept - 1].signal_frame |= functions[i].signal_frame;
        functions[kept - 1].end = std::max(functions[kept - 1].end, functions[i].end);
        continue;
      }
      functions[kept++] = functions[i];
    }
    functions.resize(kept);
  }

  void close_open_ends() {
    auto& functions = index_.functions_;
    for (size_t i = 0; i < functions.size(); ++i) {
      if (functions[i].sized) continue;
      const Segment* segment = image_.executable_segment_of(functions[i].start);
      Vaddr end = segment->vaddr + segment->file_size;
      if (i + 1 < functions.size() && functions[i + 1].start < end) end = functions[i + 1].start;
      functions[i].end = end;
    }
  }

  const ElfImage& image_;
  FunctionIndex index_;
  bool surveying_ = false;
  std::vector<Range> asked_;       // ascending, apart from each other
  std::vector<Vaddr> grown_from_;  // where each of them begins after the survey
  std::optional<RangeSet> indexed_;
};

FunctionIndex FunctionIndex::build(const ElfImage& image) {
  return FunctionCollector(image).collect();
}

FunctionIndex FunctionIndex::build_near(const ElfImage& image,
                                        const std::vector<Vaddr>& addresses) {
  return FunctionCollector(image, addresses).collect();
}

bool FunctionIndex::knows(Vaddr from, Vaddr to) const {
  if (!indexed_) return true;
  const auto range = indexed_->first_ending_behind(from.value);
  return range != indexed_->ranges().end() && range->from <= from && to <= range->to;
}

std::optional<Function> FunctionIndex::covering(Vaddr address) const {
  auto after = std::upper_bound(functions_.begin(), functions_.end(), address,
                                [](Vaddr a, const Function& f) { return a < f.start; });
  // Functions rarely nest, so the first look back nearly always answers.
  for (int steps = 0; after != functions_.begin() && steps < 64; ++steps) {
    --after;
    if (address < after->end) return *after;
    if (address.value - after->start.value > longest_) break;
  }
  return std::nullopt;
}

std::optional<std::vector<Function>> FunctionIndex::all_sized_covering(Vaddr address) const {
  constexpr size_t kMostSteps = 4096;
  std::vector<Function> found;
  const auto after = std::upper_bound(functions_.begin(), functions_.end(), address,
                                      [](Vaddr a, const Function& f) { return a < f.start; });
  const auto behind = static_cast<size_t>(after - functions_.begin());
  for (size_t i = behind; i > 0 && reach_[i - 1] > address.value; --i) {
    if (behind - i == kMostSteps) return std::nullopt;
    const Function& function = functions_[i - 1];
    if (function.sized && address < function.end) found.push_back(function);
  }
  return found;
}

bool FunctionIndex::start_in(Vaddr from, Vaddr to) const {
  const auto first = std::lower_bound(starts_.begin(), starts_.end(), from.value);
  return first != starts_.end() && *first < to.value;
}

bool FunctionIndex::function_starts_in(Vaddr from, Vaddr to) const {
  const auto first = std::lower_bound(functions_.begin(), functions_.end(), from,
                                      [](const Function& f, Vaddr a) { return f.start < a; });
  return first != functions_.end() && first->start < to;
}

Vaddr FunctionIndex::next_start(Vaddr address, Vaddr limit) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), address.value);
  if (next == starts_.end() || *next >= limit.value) return limit;
  return {*next};
}

std::optional<Vaddr> FunctionIndex::previous_start(Vaddr address, Vaddr limit) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), address.value);
  if (next == starts_.begin() || *(next - 1) < limit.value) return std::nullopt;
  return Vaddr{*(next - 1)};
}

bool FunctionIndex::is_object(Vaddr address) const {
  auto after = std::upper_bound(objects_.begin(), objects_.end(), address,
                                [](Vaddr a, const Object& o) { return a < o.start; });
  for (int steps = 0; after != objects_.begin() && steps < 64; ++steps) {
    --after;
    if (address < after->end) return true;
    if (address.value - after->start.value > longest_object_) break;
  }
  return false;
}

bool FunctionIndex::signal_frame_at(Vaddr address) const {
  const auto found = std::lower_bound(functions_.begin(), functions_.end(), address,
                                      [](const Function& f, Vaddr a) { return f.start < a; });
  return found != functions_.end() && found->start == address && found->signal_frame;
}

}  // namespace sysrewrite
