// The flow of the function around an address, for verify's questions about many of them.
#ifndef SYSREWRITE_REWRITER_VERIFY_FLOWS_H_
#define SYSREWRITE_REWRITER_VERIFY_FLOWS_H_

#include <cstdint>
#include <deque>

#include "rewriter/verify_flow.h"
#include "rewriter/verify_functions.h"

namespace sysrewrite {

struct KnownFlow {
  KnownFunctions::Bounds bounds;
  FunctionFlow flow;

  KnownFlow(KnownFunctions::Bounds b, const Decoder& decoder, ByteView body)
      : bounds(b), flow(decoder, body, {b.start}) {}

  // What flow from a bare start does not reach may be another function.
  bool knows_rest() const { return !bounds.bare; }
};

// Where the addresses that are asked about ascend, the last few functions are enough.
class Flows {
 public:
  Flows(const OriginalImage& original, const Decoder& decoder, const KnownFunctions& functions);

  // Null where no function is known there, or where functions overlap so much that to read them all
  // would take for ever: then spent() is true. Holds until the next call.
  const KnownFlow* around(Vaddr address);
  bool spent() const { return spent_; }

 private:
  static constexpr size_t kRecent = 4;
  static constexpr uint64_t kBudgetFactor = 16, kLeastBudget = 1 << 20;

  const OriginalImage& original_;
  const Decoder& decoder_;
  const KnownFunctions& functions_;
  std::deque<KnownFlow> recent_;
  uint64_t budget_ = kLeastBudget;
  bool spent_ = false;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_FLOWS_H_
