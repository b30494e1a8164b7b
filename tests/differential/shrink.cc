#include "tests/differential/shrink.h"

namespace sysrewrite::differential {

namespace {

// What differs, or nothing where all agree. `index` becomes the function's.
std::string differences_of(const Batch& batch, size_t& index) {
  const auto image = build(batch);
  if (const auto* problem = std::get_if<std::string>(&image)) return *problem;
  const Comparison comparison = compare(batch, std::get<Image>(image));
  if (comparison.agree) return {};
  index = comparison.index;
  return comparison.differences;
}

constexpr uint8_t kPadding = 0xcc, kHlt = 0xf4;

// Branches to what is left out lead to what follows it.
Function without(const Function& function, size_t at) {
  Function out = function;
  out.items.erase(out.items.begin() + static_cast<std::ptrdiff_t>(at));
  for (Item& item : out.items) {
    if (item.target == at) item.skip = 0;
    if (item.target > at) --item.target;
  }
  return out;
}

// The last item ends the function, and a branch back must not lead forward.
bool is_sound(const Function& function) {
  for (size_t i = 0; i < function.items.size(); ++i) {
    const Item& item = function.items[i];
    if (item.target >= function.items.size()) return false;
    if (item.kind == Kind::kBackward && item.target > i) return false;
    const bool leads_on =
        item.kind == Kind::kForward || item.kind == Kind::kComputed || item.kind == Kind::kTable;
    if (leads_on && item.target <= i) return false;
  }
  return true;
}

class Shrinker {
 public:
  explicit Shrinker(Shrunk start) : best_(std::move(start)) {}

  Shrunk run() {
    isolate();
    while (drop_one()) {
    }
    return std::move(best_);
  }

 private:
  bool accept(const Batch& batch, size_t index) {
    size_t found = index;
    const std::string differences = differences_of(batch, found);
    if (differences.empty() || found != index) return false;
    best_ = {batch, index, differences};
    return true;
  }

  // Alone, where it stood: what depends on addresses stays.
  void isolate() {
    const auto image = build(best_.batch);
    if (!std::holds_alternative<Image>(image)) return;
    const auto& built = std::get<Image>(image);
    Batch alone = best_.batch;
    alone.lead = static_cast<uint32_t>(built.functions[best_.index].vaddr - built.code);
    alone.functions = {best_.batch.functions[best_.index]};
    if (accept(alone, 0)) return;
    alone.functions[0].symbol = true;
    accept(alone, 0);
  }

  bool drop_one() {
    const Function& function = best_.batch.functions[best_.index];
    for (size_t at = 0; at + 1 < function.items.size(); ++at) {
      Function smaller = without(function, at);
      if (!is_sound(smaller)) continue;
      Batch batch = best_.batch;
      batch.functions[best_.index] = std::move(smaller);
      // Where the end moves, padding comes within reach, and with it another tier.
      for (const uint8_t filler : {kPadding, kHlt}) {
        batch.filler = filler;
        if (accept(batch, best_.index)) return true;
      }
    }
    return false;
  }

  Shrunk best_;
};

}  // namespace

Shrunk shrink(const Batch& batch, size_t index, const std::string& differences) {
  return Shrinker({batch, index, differences}).run();
}

}  // namespace sysrewrite::differential
