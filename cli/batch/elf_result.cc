#include "cli/batch/elf_result.h"

namespace sysrewrite {

ElfResult ElfResult::of(uint32_t entry, const InputFile& input, const FileFate& fate) {
  ElfResult result;
  result.entry = entry;
  result.status = fate.status;
  result.reason = fate.reason;
  result.interpreter = fate.interpreter;
  result.is_rewritten_interpreter = fate.is_rewritten_interpreter;
  result.input_size = result.output_size = input.bytes().size();
  if (!fate.rewritten) return result;
  const Report& report = fate.rewritten->report;
  result.kind = report.kind;
  result.start = report.start;
  result.output_size = report.output_size;
  for (size_t i = 0; i < kTiers.size(); ++i) result.tiers[i] = report.count(kTiers[i]);
  result.pairs = report.candidates.size();
  result.uncertain = report.count(CandidateClass::kUncertain);
  result.other_calls = report.other_calls.size();
  result.incomplete = report.incomplete();
  return result;
}

}  // namespace sysrewrite
