#include <cstdio>

#include "cli/arguments.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "cli/privilege.h"
#include "cli/report_text.h"
#include "rewriter/pipeline.h"

namespace sysrewrite {

namespace {

void print(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

int fail(const RewriteCommand& command, const Error& error) {
  if (command.json) print(stdout, error_json(error, command.input));
  print(stderr, "sysrewrite: " + command.input + ": " + error.message + "\n");
  return static_cast<int>(ExitStatus::kError);
}

int rewrite_file(const RewriteCommand& command) {
  const auto input = InputFile::open(command.input);
  if (!input) return fail(command, input.error());
  const auto rewritten = rewrite(input->bytes(), command.options);
  if (!rewritten) return fail(command, rewritten.error());
  const Report& report = rewritten->report;
  if (report.start != StartChange::kNone)
    if (auto error = refuse_privileged(*input, command.options)) return fail(command, *error);
  if (!command.dry_run) {
    const OutputBytes* output = report.already_rewritten ? nullptr : &rewritten->output;
    if (auto error = write_output(*input, output, command.output)) return fail(command, *error);
  }
  if (command.json)
    print(stdout, report_json(report, command.input, command.output, command.dry_run));
  else if (!command.quiet)
    print(stderr, report_text(report, command.input, command.output, command.dry_run));
  return static_cast<int>(report.incomplete() ? ExitStatus::kIncomplete : ExitStatus::kDone);
}

}  // namespace

}  // namespace sysrewrite

int main(int argc, char** argv) {
  const auto parsed = sysrewrite::parse_arguments(argc, argv);
  if (const auto* message = std::get_if<sysrewrite::Message>(&parsed)) {
    const bool good = message->status == sysrewrite::ExitStatus::kDone;
    sysrewrite::print(good ? stdout : stderr, message->text);
    return static_cast<int>(message->status);
  }
  if (const auto* command = std::get_if<sysrewrite::RunCommand>(&parsed))
    return sysrewrite::run(*command);
  if (const auto* command = std::get_if<sysrewrite::CacheCommand>(&parsed))
    return sysrewrite::cache(*command);
  return sysrewrite::rewrite_file(std::get<sysrewrite::RewriteCommand>(parsed));
}
