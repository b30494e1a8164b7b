#include "cli/batch_arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/app_parser.h"

namespace sysrewrite {

namespace {

constexpr const char* kDescription =
    "Copies a directory tree, and rewrites each ELF file in it on the way. Files are known by "
    "what\n"
    "they hold, not by name or mode. All else is copied as it is: modes, owners, times, extended\n"
    "attributes, links, hard links, devices, holes. OUT appears when it is whole, or not at all.";

constexpr const char* kFooter =
    "Examples:\n"
    "  sysrewrite batch --install-sysload ./rootfs -o ./rootfs.rw\n"
    "  SYSLOAD_HOOK=count chroot ./rootfs.rw /bin/ls\n"
    "  sysrewrite batch -n --json /usr -o unused | jq '.files[] | select(.status==\"refused\")'\n"
    "\n"
    "What cannot be rewritten (32-bit, relocatable, with a payload behind the program, ...) is "
    "kept\n"
    "and listed with its reason; so is what was rewritten before, and what holds no code.\n"
    "Programs of the new tree start by /usr/lib/sysload (--interp) in it, and wherever a program\n"
    "names an ld.so that was rewritten, sysload has to stand with that file beside it as\n"
    "NAME.rewritten: --install-sysload sees to both, else the report says what is missing.\n"
    "A setuid program is rewritten only where none but root can replace that sysload.\n"
    "\n"
    "Exit status:\n"
    "  0  done, every site of what was rewritten is redirected or trapped\n"
    "  1  error, nothing written\n"
    "  2  usage\n"
    "  3  written, but sites were left native and are listed\n";

void add_options(CLI::App& app, BatchCommand& command) {
  app.add_option("DIR", command.input, "the tree to rewrite; it is only read")->required();
  app.add_option("-o,--output", command.output,
                 "the new tree: a path that does not exist, or an empty directory")
      ->type_name("OUT")
      ->required();
  app.add_option("-j,--jobs", command.jobs, "threads (default: the number of processors)")
      ->type_name("N")
      ->check(CLI::Range(1U, 1024U));
  app.add_flag("-x,--one-file-system", command.one_file_system,
               "directories where other file systems are mounted become empty ones");
  app.add_flag("--install-sysload", command.install_loader,
               "put sysload into OUT, where the programs of a root file system look for it");
  app.add_option("--loader", command.loader, "path of sysload (default: the one beside sysrewrite)")
      ->type_name("PATH");
  app.add_flag("--strict", command.strict, "a file that cannot be rewritten is an error");
  add_rewrite_options(app, command.options);
  command.options.is_for_many = true;
  app.add_flag("--json", command.json,
               "print the report as JSON on standard output, an entry for each ELF file");
  app.add_flag("-n,--dry-run", command.dry_run, "decide everything, write nothing");
  app.add_flag("-q,--quiet", command.quiet, "no report and no progress bar; errors only");
}

// Why sysload cannot be installed for what these options make; empty where it can.
std::string problem_of_installing(const Options& options) {
  const std::string interpreter = options.interpreter.value_or("");
  if (interpreter.size() < 2 || interpreter.front() != '/' || interpreter.back() == '/')
    return "--install-sysload needs to know where programs look for sysload: give --interp an "
           "absolute path, and not --no-interp";
  const char* refused = options.format == Format::kLitebox ? "--format=litebox"
                        : !options.native_tail             ? "--no-native-tail"
                        : options.stub == StubKind::kPlain ? "--stub=plain"
                                                           : nullptr;
  if (refused == nullptr) return {};
  return fmt::format("--install-sysload: sysload refuses files with {}, so no program would start",
                     refused);
}

}  // namespace

Command parse_batch_arguments(int argc, const char* const* argv) {
  BatchCommand command;
  CLI::App app(kDescription, "sysrewrite batch");
  app.footer(kFooter);
  add_options(app, command);
  if (auto message = parse(app, argc, argv)) return *message;
  const std::string problem =
      command.install_loader ? problem_of_installing(command.options) : std::string();
  if (!problem.empty())
    return Message{"sysrewrite: " + problem + "\nRun with --help for more information.\n",
                   ExitStatus::kUsage};
  return command;
}

}  // namespace sysrewrite
