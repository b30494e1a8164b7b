#include "rewriter/inner_entries.h"

#include <algorithm>
#include <optional>

#include "rewriter/code_reader.h"

namespace sysrewrite {

namespace {

// As in accesses.cc: a file that is made of branches would take minutes.
constexpr size_t kMostAsked = 1 << 14;

// By flow from a known start, by decodes that agree, or by what a function is swept to be where
// flow does not arrive.
bool is_branch(const ElfImage& image, const FunctionIndex& functions, CodeReader& reader,
               const PossibleBranch& branch) {
  const auto leads_there = [&](std::optional<Vaddr> start) {
    const auto in =
        start ? reader.decoder().decode(*image.bytes_from(*start), *start) : std::nullopt;
    return in && in->direct && in->target.value == branch.target;
  };
  const Vaddr opcode{branch.opcode};
  if (functions.knows(opcode, opcode + 1))
    if (const auto holder = reader.holder_of(opcode); holder && leads_there(holder->start))
      return true;
  return leads_there(reader.known_holder(opcode));
}

Range instruction_at(const ElfImage& image, const CodeReader& reader, Vaddr target) {
  const auto bytes = image.bytes_from(target);
  const auto step = bytes ? reader.decoder().step(*bytes) : std::nullopt;
  return {target, target + (step ? step->length : uint64_t{1})};
}

}  // namespace

std::vector<Range> find_inner_entries(const ElfImage& image, const FunctionIndex& functions,
                                      const RangeSet& middles,
                                      const std::vector<PossibleBranch>& branches) {
  std::vector<Range> entries;
  std::optional<CodeReader> reader;  // rarely needed
  size_t asked = 0;
  for (const PossibleBranch& branch : branches) {
    if (!middles.contains(branch.target)) continue;
    if (!reader) reader.emplace(image, functions);
    if (asked++ < kMostAsked && !is_branch(image, functions, *reader, branch)) continue;
    entries.push_back(instruction_at(image, *reader, {branch.target}));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Range& a, const Range& b) { return a.from < b.from; });
  return entries;
}

}  // namespace sysrewrite
