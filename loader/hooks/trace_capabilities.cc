// capget and capset.

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint32_t kVersion1 = 0x19980330;
constexpr unsigned kBits = 64;

void print_header(const Printer& p) {
  uint32_t word[2]{};
  if (!p.fetch(p.argument(), word)) return;
  field(p.line, "version", true);
  Names(kNamesOfCapabilityVersions).value(p.line, word[0]);
  field(p.line, "pid").decimal(static_cast<int32_t>(word[1])).character('}');
}

// "1<<CAP_KILL|1<<CAP_SETUID", and 0 for none.
void print_set(Line& line, uint64_t set) {
  const Names names(kNamesOfCapabilities);
  bool first = true;
  for (unsigned bit = 0; bit < kBits; ++bit) {
    if ((set >> bit & 1) == 0 || !names.has(bit)) continue;
    line.text(first ? "1<<" : "|1<<");
    first = false;
    names.value(line, bit);
    set &= ~(uint64_t{1} << bit);
  }
  if (set != 0) {
    // These are all in the upper half, and strace shows that half.
    line.text(first ? "" : "|").hex(set >> 32);
  } else if (first) {
    line.character('0');
  }
}

// Effective, permitted and inheritable: the lower halves, and behind them the upper ones. The first
// version has no upper halves.
void print_sets(const Printer& p) {
  static constexpr char kFields[3][12] = {"effective", "permitted", "inheritable"};
  uint32_t version = 0, low[3]{}, high[3]{};
  // Without a version nobody knows what there is.
  if (!p.peek(p.call.argument[0], version)) {
    p.line.address(p.argument());
    return;
  }
  if (!p.fetch(p.argument(), low)) return;
  const bool has_upper = version != kVersion1 && Names(kNamesOfCapabilityVersions).has(version);
  if (has_upper && !p.peek(p.argument() + sizeof(low), high)) {
    p.line.address(p.argument());
    return;
  }
  for (unsigned i = 0; i < 3; ++i) {
    field(p.line, kFields[i], i == 0);
    print_set(p.line, static_cast<uint64_t>(high[i]) << 32 | low[i]);
  }
  p.line.character('}');
}

}  // namespace

void print_capability(Printer& p, Kind kind) {
  if (kind == Kind::CapabilityHeader) return print_header(p);
  if (kind == Kind::CapabilitiesOut && p.failed()) {
    p.line.address(p.argument());
    return;
  }
  print_sets(p);
}

}  // namespace sysrewrite::trace
