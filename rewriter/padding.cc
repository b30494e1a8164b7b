#include "rewriter/padding.h"

#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

// Compilers align labels to 16 and functions to 16 or more; hand-written code sometimes to 8.
constexpr uint64_t kLabelAlignment = 8;

bool is_padding(const Instruction& in) {
  return !in.reached && (in.special == Special::kNop || in.special == Special::kInt3);
}

// The run must not be something that only a jump table leads to, and the instruction in front must
// be code, not data that happens to decode. Behind an int3 that is reached a program does go on, if
// its handler of SIGTRAP returns, or its debugger says so.
bool stands_behind_an_end(const Neighborhood& around, const Instruction& last) {
  if (last.falls_through() || last.special == Special::kInt3) return false;
  if (last.reached || around.trust == Trust::kAgreement) return true;
  return around.indirect_jump || (around.function && around.function->lsda);
}

// Where bytes begin that a symbol or the section headers call data, or the run's end. Constants may
// stand right behind code, and be what padding is made of.
Vaddr data_in(const Range& run, const FunctionIndex& functions, const ElfImage& image) {
  for (Vaddr at = run.from; at < run.to; at = at + 1)
    if (functions.is_object(at) || image.outside_code_sections(at)) return at;
  return run.to;
}

// The part in front of the next known start, and of data; nothing where what is left does not look
// like padding.
Range clip(Range run, const FunctionIndex& functions, const ElfImage& image) {
  const Range nothing{run.from, run.from};
  // Padding that goes on for thousands of bytes, or lies far behind all that a jump reaches.
  if (!functions.knows(run.from, run.to + 2)) return nothing;
  if (functions.start_in(run.from, run.from + 1)) return nothing;
  run.to = functions.next_start(run.from, run.to);
  run.to = data_in(run, functions, image);
  if (run.to.value % kLabelAlignment != 0) return nothing;
  // Unwinders look a signal frame up one byte before its start, so that byte stays a nop.
  if (functions.signal_frame_at(run.to) || functions.signal_frame_at(run.to + 1))
    run.to = run.to - 1;
  return run;
}

}  // namespace

std::vector<Range> find_dead_padding(const Neighborhood& around, const FunctionIndex& functions,
                                     CodeReader& reader) {
  std::vector<Range> runs;
  const auto& code = around.code;
  for (size_t i = 1; i < code.size(); ++i) {
    if (!is_padding(code[i]) || code[i - 1].end() != code[i].address) continue;
    if (is_padding(code[i - 1]) || !stands_behind_an_end(around, code[i - 1])) continue;
    Range run{code[i].address, code[i].end()};
    for (size_t j = i + 1; j < code.size() && is_padding(code[j]) && code[j].address == run.to; ++j)
      run.to = code[j].end();
    run = clip(run, functions, reader.image());
    if (run.to.value - run.from.value >= kSpringboardSize && !reader.entered_unseen(run))
      runs.push_back(run);
  }
  return runs;
}

}  // namespace sysrewrite
