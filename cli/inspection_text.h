// What inspect found, for people.
#ifndef SYSREWRITE_CLI_INSPECTION_TEXT_H_
#define SYSREWRITE_CLI_INSPECTION_TEXT_H_

#include <array>
#include <string>
#include <vector>

#include "rewriter/inspect.h"

namespace sysrewrite {

// What a file is; its sites; the pairs that are none; the code, where it was asked for.
std::string inspection_text(const std::string& path, const Inspection& inspection);

// The code of each site, before and after, with its stub.
std::string code_text(const Inspection& inspection);

// A few numbers of many files.
struct SummaryRow {
  std::string path;
  std::string refusal;  // empty: inspected
  bool rewritten = false;
  std::array<size_t, 5> tiers{};  // A, B, C, D, native
  size_t pairs = 0, inside = 0, data = 0, uncertain = 0;
};

struct Summary {
  std::vector<SummaryRow> rows;
  SummaryRow total;
  size_t refused = 0;

  void add(const std::string& path, const Inspection& inspection);
  void add(const std::string& path, const Error& error);
};

inline constexpr std::array<Tier, 5> kTiers = {Tier::kInstruction, Tier::kSpringboard,
                                               Tier::kWindow, Tier::kTrap, Tier::kNative};

std::string summary_text(const Summary& summary);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INSPECTION_TEXT_H_
