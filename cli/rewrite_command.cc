#include "cli/rewrite_command.h"

#include "cli/arguments.h"
#include "cli/input_file.h"
#include "cli/messages.h"
#include "cli/output_file.h"
#include "cli/privilege.h"
#include "cli/report_text.h"
#include "rewriter/pipeline.h"

namespace sysrewrite {

int execute(const RewriteCommand& command) {
  const auto refuse = [&command](const Error& error) {
    return fail(command.input, error, command.json);
  };
  const auto input = InputFile::open(command.input);
  if (!input) return refuse(input.error());
  const auto rewritten = rewrite(input->bytes(), command.options);
  if (!rewritten) return refuse(rewritten.error());
  const Report& report = rewritten->report;
  if (report.start != StartChange::kNone)
    if (auto error = refuse_privileged(*input, command.options)) return refuse(*error);
  Lost lost;
  if (!command.dry_run) {
    const OutputBytes* output = report.already_rewritten ? nullptr : &rewritten->output;
    if (auto error = write_output(*input, output, command.output, lost)) return refuse(*error);
  }
  if (command.json)
    print_json(report_json(report, command.input, command.output, command.dry_run, lost));
  else if (!command.quiet)
    print(stderr, report_text(report, command.input, command.output, command.dry_run));
  print(stderr, lost_text(lost, command.output));
  return static_cast<int>(report.incomplete() ? ExitStatus::kIncomplete : ExitStatus::kDone);
}

}  // namespace sysrewrite
