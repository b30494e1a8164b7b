#include "rewriter/verify_flows.h"

namespace sysrewrite {

Flows::Flows(const OriginalImage& original, const Decoder& decoder, const KnownFunctions& functions)
    : original_(original), decoder_(decoder), functions_(functions) {
  for (const elf::Phdr& load : original.loads())
    if ((load.flags & elf::kFlagExec) != 0) budget_ += kBudgetFactor * load.filesz;
}

const KnownFlow* Flows::around(Vaddr address) {
  const auto bounds = functions_.innermost(address);
  if (!bounds) return nullptr;
  for (const KnownFlow& known : recent_)
    if (known.bounds == *bounds) return &known;
  const uint64_t size = bounds->end - bounds->start;
  spent_ = spent_ || size > budget_;
  if (spent_) return nullptr;
  budget_ -= size;
  if (recent_.size() == kRecent) recent_.pop_front();
  const ByteView body = original_.bytes_from({bounds->start}).first(size);
  return &recent_.emplace_back(*bounds, decoder_, body);
}

}  // namespace sysrewrite
