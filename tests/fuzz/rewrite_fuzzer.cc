// Any bytes as the input of a rewrite: it fails with a sentence, or its output holds and is not
// rewritten again. The first byte chooses among options; inputs of an odd size get symbols, and
// what is written of them is proven.
#include <cstdlib>

#include "rewriter/pipeline.h"
#include "rewriter/verify.h"
#include "trampoline/rewritten_file.h"

using namespace sysrewrite;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

Options options_of(uint8_t choice) {
  Options options;
  if ((choice & 1) != 0) {
    options.format = Format::kLitebox;
    options.native_tail = false;
  }
  if ((choice & 2) != 0) options.stub = StubKind::kPlain;
  if ((choice & 4) != 0) options.uncertain = UncertainPolicy::kPatch;
  if ((choice & 8) != 0) options.uncertain = UncertainPolicy::kTrap;
  if ((choice & 16) != 0) options.interpreter = "/a/path/that/is/longer/than/the/old/one";
  if ((choice & 32) != 0) options.tiers.a = false;
  if ((choice & 64) != 0) options.tiers.b = false;
  if ((choice & 128) != 0) options.force = options.embed = true;
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView input = as_byte_view(data + 1, size - 1);
  Options options = options_of(data[0]);
  options.symbols = input.size() % 2 != 0;
  const auto rewritten = rewrite(input, options);
  if (!rewritten) {
    require(!rewritten.error().message.empty());
    return 0;
  }
  if (rewritten->report.already_rewritten) return 0;
  const auto output = materialize(input, rewritten->output);
  const auto parsed = RewrittenFile::parse(output);
  require(parsed.status == TrailerStatus::kValid);
  require(parsed.file.checksum() == parsed.file.meta().checksum);
  require(rewritten->report.output_size == output.size());
  if (options.symbols || options.embed) {
    const Verdict verdict = verify(output, input);
    for (const Finding& finding : verdict.findings.first()) {
      for (const char* own : {"section headers", "name of the stub", "header of section", "search",
                              "renamed", "the trampoline's segment"})
        require(finding.what.find(own) == std::string::npos);
    }
  }
  const auto again = rewrite(output, options);
  require(again.ok() && again->report.already_rewritten);
  return 0;
}
