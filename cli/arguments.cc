#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>

#include "cli/app_parser.h"
#include "cli/batch_arguments.h"
#include "cli/choice.h"
#include "cli/proof_arguments.h"

namespace sysrewrite {

namespace {

constexpr const char* kDescription =
    "Rewrites an x86-64 ELF file so that each of its system calls becomes a jump into a "
    "trampoline\n"
    "appended to the file. sysload, named as the program's interpreter, maps the trampoline at "
    "start\n"
    "and serves the calls: the output just runs.";

constexpr const char* kFooter =
    "Examples:\n"
    "  sysrewrite /bin/busybox ./busybox          rewrite; ./busybox then runs under sysload\n"
    "  SYSLOAD_HOOK=count ./busybox ls            run it, and count its system calls\n"
    "  sysrewrite batch ./rootfs -o ./rootfs.rw   rewrite a tree; see sysrewrite batch --help\n"
    "  sysrewrite run -- git status               run any program; see sysrewrite run --help\n"
    "  sysrewrite cache list                      what run keeps; see sysrewrite cache --help\n"
    "  sysrewrite bisect -- ./program             find the patch that changes what it does\n"
    "  sysrewrite inspect ./busybox               sites, reasons, evidence, code\n"
    "  sysrewrite verify ./busybox                prove the patch\n"
    "  sysrewrite restore ./busybox ./original    undo it, byte for byte\n"
    "  sysrewrite --dry-run --json IN OUT         what would be done, site by site\n"
    "\n"
    "Exit status:\n"
    "  0  done, every site redirected or trapped\n"
    "  1  error, nothing written\n"
    "  2  usage\n"
    "  3  written, but sites were left native and are listed\n";

void add_options(CLI::App& app, RewriteCommand& command) {
  app.add_option("IN", command.input, "the ELF file to rewrite")->required();
  app.add_option("OUT", command.output, "where to write it; may be IN itself")->required();
  add_rewrite_options(app, command.options);
  app.add_flag("--json", command.json, "print the report as JSON on standard output");
  app.add_flag("-n,--dry-run", command.dry_run, "decide everything, write nothing");
  app.add_flag("-q,--quiet", command.quiet, "no report; errors only");
}

constexpr const char* kRunDescription =
    "Runs an installed program with its system calls going through sysload. The program, its\n"
    "interpreter and its libraries are rewritten in memory as they are mapped; no file changes.";

constexpr const char* kRunFooter =
    "Examples:\n"
    "  sysrewrite run -- python3 -c 'print(1)'\n"
    "  sysrewrite run --hook count -- git status\n"
    "  sysrewrite run --hook files:output=used.txt -- make\n"
    "\n"
    "The exit status is the program's own (128 + signal where one killed it); 127 where it could\n"
    "not be started.\n";

void add_run_options(CLI::App& app, RunCommand& command) {
  app.add_option("CMD", command.command, "the program, and its arguments")->required();
  app.add_option("--hook", command.hooks,
                 "what is done with each call: none, count, trace, files, deny, sysroot,\n"
                 "or the path of a shared object; with options behind a colon, as\n"
                 "trace:filter=%file:output=FILE. Repeated, in that order. See\n"
                 "sysrewrite-hooks(7)")
      ->allow_extra_args(false)
      ->type_name("HOOK");
  app.add_flag("--exhaustive", command.exhaustive,
               "catch the calls of code that could not be rewritten too (a JIT's, a native\n"
               "library's), and list them at exit by address; slower. Linux 5.11");
  add_choice<bool>(app,
                   {"--vdso", "WHAT",
                    "keep (default): clock_gettime and its like are answered without a\n"
                    "system call; hide: they are made as system calls, and seen"},
                   command.hide_vdso, {{"keep", false}, {"hide", true}});
  add_choice<UnpatchedPolicy>(
      app,
      {"--unpatched", "WHAT",
       "an object that cannot be rewritten: rewrite (default) and native run\n"
       "it as it is and say so at the end, fail ends the program"},
      command.unpatched,
      {{"rewrite", UnpatchedPolicy::kRewrite},
       {"native", UnpatchedPolicy::kNative},
       {"fail", UnpatchedPolicy::kFail}});
  app.add_option("--loader", command.loader, "path of sysload (default: the one beside sysrewrite)")
      ->type_name("PATH");
  app.add_flag_callback(
      "--no-follow", [&command] { command.follow = false; },
      "let what the program executes run as it is");
  app.add_flag_callback(
      "--no-cache", [&command] { command.use_cache = false; },
      "rewrite anew, and keep nothing; see sysrewrite cache --help");
  app.add_flag("-q,--quiet", command.quiet, "do not list what ran native");
  app.positionals_at_end();
  app.prefix_command();
}

constexpr const char* kCacheDescription =
    "What `sysrewrite run` keeps of its work: for each program and library how its rewritten copy\n"
    "differs. It lies in $XDG_CACHE_HOME/sysrewrite (~/.cache/sysrewrite), and is believed only "
    "with\n"
    "the key in $XDG_STATE_HOME/sysrewrite (~/.local/state/sysrewrite). It may be removed any "
    "time.";

constexpr const char* kCacheFooter =
    "Examples:\n"
    "  sysrewrite cache list\n"
    "  sysrewrite cache prune --max-size 100M\n"
    "\n"
    "Exit status: 0; 1 where verify found a file that it would not believe, or on an error.\n";

void add_cache_options(CLI::App& app, CacheCommand& command) {
  app.require_subcommand(1);
  const auto add = [&](const char* name, const char* help, CacheAction action) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->add_flag("--json", command.json, "print JSON on standard output");
    sub->callback([&command, action] { command.action = action; });
    return sub;
  };
  add("list", "entries: digest, size, last use, path of the original", CacheAction::kList);
  add("verify", "rewrite each original that is still there, and compare", CacheAction::kVerify);
  add("prune", "remove what was used least recently, and what is damaged", CacheAction::kPrune)
      ->add_option("--max-size", command.max_size, "bytes to leave, as in 100M (default 1G)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
}

// CLI11 takes a word in brackets for a list, `[a,b]` for two words and `[]` for none, wherever
// several words may stand. So none begins with a bracket while it parses.
constexpr char kGuard = '\x01';

std::string guarded(std::string word) {
  if (!word.empty() && (word[0] == '[' || word[0] == kGuard)) word.insert(0, 1, kGuard);
  return word;
}

std::string without_guard(std::string word) {
  if (!word.empty() && word[0] == kGuard) word.erase(0, 1);
  return word;
}

// In the order that CLI11 wants: the last one first.
std::vector<std::string> guarded_words(int argc, const char* const* argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) words.push_back(guarded(argv[i]));
  return words;
}

}  // namespace

std::optional<Message> parse(CLI::App& app, int argc, const char* const* argv) {
  app.get_formatter()->column_width(28);
  for (CLI::Option* option : app.get_options()) option->transform(without_guard);
  try {
    app.parse(guarded_words(argc, argv));
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, problem;
    const int code = app.exit(error, out, problem);
    if (code == 0) return Message{out.str(), ExitStatus::kDone};
    return Message{"sysrewrite: " + problem.str(), ExitStatus::kUsage};
  }
}

// `run -- CMD ...`, whose parser would cost as much as the rest of a warm start does before the
// program runs: there is nothing in it that could be wrong.
std::optional<RunCommand> plain_run(int argc, const char* const* argv) {
  if (argc < 4 || std::string_view(argv[1]) != "run" || std::string_view(argv[2]) != "--")
    return std::nullopt;
  RunCommand command;
  command.command.assign(argv + 3, argv + argc);
  return command;
}

namespace {

constexpr std::array<std::string_view, 7> kCommands = {"batch",   "bisect", "cache", "inspect",
                                                       "restore", "run",    "verify"};

// `sysrewrite -q verify FILE` is no rewrite of a file called verify, which would replace FILE.
std::optional<Message> misplaced_command(const RewriteCommand& command) {
  const std::string& name = command.input;
  if (std::find(kCommands.begin(), kCommands.end(), name) == kCommands.end()) return std::nullopt;
  return Message{"sysrewrite: options stand behind the command: sysrewrite " + name +
                     " ... (a file of that name is ./" + name + ")\n",
                 ExitStatus::kUsage};
}

}  // namespace

Command parse_arguments(int argc, const char* const* argv) {
  if (auto command = plain_run(argc, argv)) return std::move(*command);
  if (auto command = parse_proof_arguments(argc, argv)) return std::move(*command);
  if (argc > 1 && std::string(argv[1]) == "batch") return parse_batch_arguments(argc - 1, argv + 1);
  if (argc > 1 && std::string(argv[1]) == "run") {
    RunCommand command;
    CLI::App app(kRunDescription, "sysrewrite run");
    app.footer(kRunFooter);
    add_run_options(app, command);
    if (auto message = parse(app, argc - 1, argv + 1)) return *message;
    return command;
  }
  if (argc > 1 && std::string(argv[1]) == "cache") {
    CacheCommand command;
    CLI::App app(kCacheDescription, "sysrewrite cache");
    app.footer(kCacheFooter);
    add_cache_options(app, command);
    if (auto message = parse(app, argc - 1, argv + 1)) return *message;
    return command;
  }
  RewriteCommand command;
  CLI::App app(kDescription, "sysrewrite");
  app.footer(kFooter);
  app.set_version_flag("-V,--version", "sysrewrite " SYSREWRITE_VERSION);
  add_options(app, command);
  if (auto message = parse(app, argc, argv)) return *message;
  if (auto message = misplaced_command(command)) return *message;
  return command;
}

}  // namespace sysrewrite
