#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <map>
#include <sstream>

#include "cli/app_parser.h"
#include "cli/proof_arguments.h"
#include "rewriter/selection.h"

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

template <typename T>
CLI::Option* add_choice(CLI::App& app, const std::string& name, T& value,
                        const std::map<std::string, T>& choices, const std::string& help) {
  return app.add_option(name, value, help)
      ->transform(CLI::CheckedTransformer(choices, CLI::ignore_case).description(""));
}

std::string parse_tiers(const std::string& letters, TierSet& tiers) {
  tiers = {false, false, false, false};
  for (const char letter : letters) {
    switch (letter) {
      case 'A':
      case 'a':
        tiers.a = true;
        break;
      case 'B':
      case 'b':
        tiers.b = true;
        break;
      case 'C':
      case 'c':
        tiers.c = true;
        break;
      case 'D':
      case 'd':
        tiers.d = true;
        break;
      default:
        return "--tiers takes letters of ABCD, as in --tiers=AB";
    }
  }
  return {};
}

void add_selectors(CLI::App& app, const std::string& name, std::vector<SiteSelector>& selectors,
                   const std::string& help) {
  app.add_option_function<std::vector<std::string>>(
         name,
         [&selectors, name](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             const auto selector = parse_selector(text);
             if (!selector)
               throw CLI::ValidationError(name +
                                          " takes an address as 0x401000, a range as "
                                          "0x401000-0x402000 or a function's name");
             selectors.push_back(*selector);
           }
         },
         help)
      ->type_name("SITE")
      ->allow_extra_args(false);
}

void add_options(CLI::App& app, RewriteCommand& command) {
  Options& options = command.options;
  app.add_option("IN", command.input, "the ELF file to rewrite")->required();
  app.add_option("OUT", command.output, "where to write it; may be IN itself")->required();
  app.add_option_function<std::string>(
         "--interp", [&options](const std::string& path) { options.interpreter = path; },
         std::string("path of sysload, written into executables as their interpreter\n") +
             "(default " + kDefaultInterpreter + ")")
      ->type_name("PATH");
  app.add_flag_callback(
      "--no-interp", [&options] { options.interpreter.reset(); }, "leave the interpreter alone");
  add_choice<Format>(app, "--format", options.format,
                     {{"sysrewrite", Format::kSysrewrite}, {"litebox", Format::kLitebox}},
                     "trailer and layout: sysrewrite (default) or litebox")
      ->type_name("FORMAT");
  add_choice<bool>(app, "--embed", options.embed, {{"end", false}, {"segment", true}},
                   "where the trampoline goes: to the end (default) of the file, which\n"
                   "strip and objcopy drop, or into a segment with sections, which they\n"
                   "keep; for files that go through packaging pipelines")
      ->type_name("WHERE");
  add_choice<StubKind>(app, "--stub", options.stub,
                       {{"redzone", StubKind::kRedzone}, {"plain", StubKind::kPlain}},
                       "redzone (default): step over the red zone, restart address in r11;\n"
                       "plain: neither, for callbacks that restart at rcx - 6")
      ->type_name("KIND");
  app.add_flag_callback(
      "--no-native-tail", [&options] { options.native_tail = false; },
      "no syscall instruction in the stubs; the callback must issue all calls\n"
      "itself (sysload needs the tail; implied by --format=litebox)");
  app.add_flag("--symbols", options.symbols,
               "name the stubs for objdump, gdb and perf, and let gdb unwind from them:\n"
               "section headers, symbols and unwind tables in the output");
  add_choice<OnUnpatchable>(app, "--on-unpatchable", options.on_unpatchable,
                            {{"trap", OnUnpatchable::kTrap},
                             {"fail", OnUnpatchable::kFail},
                             {"keep", OnUnpatchable::kKeep}},
                            "where no jump fits: trap (default) poisons the site, fail writes\n"
                            "nothing, keep leaves it native")
      ->type_name("WHAT");
  add_uncertain(app, options);
  add_tiers(app, options);
  add_selectors(app, "--only", options.only,
                "patch only this site: an address (0x401000), a range\n"
                "(0x401000-0x402000) or a function's name; may be given again");
  add_selectors(app, "--exclude", options.exclude, "leave this site native, named as above");
  app.add_option_function<std::string>(
         "--hook",
         [&options](const std::string& hook) { options.loader_options.push_back("hook=" + hook); },
         "write into OUT which hook sysload runs it under, as run has it; repeated")
      ->type_name("HOOK");
  app.add_option_function<std::string>(
         "--vdso",
         [&options](const std::string& word) { options.loader_options.push_back("vdso=" + word); },
         "write into OUT whether sysload keeps the vdso or hides it (keep, hide)")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"keep", "hide"}));
  app.add_flag("--force", options.force, "rewrite files that find a payload from their own end");
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
  add_choice<bool>(app, "--vdso", command.hide_vdso, {{"keep", false}, {"hide", true}},
                   "keep (default): clock_gettime and its like are answered without a\n"
                   "system call; hide: they are made as system calls, and seen")
      ->type_name("WHAT");
  add_choice<UnpatchedPolicy>(
      app, "--unpatched", command.unpatched,
      {{"rewrite", UnpatchedPolicy::kRewrite},
       {"native", UnpatchedPolicy::kNative},
       {"fail", UnpatchedPolicy::kFail}},
      "an object that cannot be rewritten: rewrite (default) and native run\n"
      "it as it is and say so at the end, fail ends the program")
      ->type_name("WHAT");
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

}  // namespace

void add_uncertain(CLI::App& app, Options& options) {
  add_choice<UncertainPolicy>(app, "--uncertain", options.uncertain,
                              {{"leave", UncertainPolicy::kLeave},
                               {"trap", UncertainPolicy::kTrap},
                               {"patch", UncertainPolicy::kPatch}},
                              "bytes 0f 05 that may be data: leave (default), trap or patch")
      ->type_name("WHAT");
}

void add_tiers(CLI::App& app, Options& options) {
  app.add_option_function<std::string>(
         "--tiers",
         [&options](const std::string& letters) {
           const std::string problem = parse_tiers(letters, options.tiers);
           if (!problem.empty()) throw CLI::ValidationError(problem);
         },
         "use only these tiers, as in --tiers=AB; without D, what is left stays native")
      ->type_name("ABCD");
}

std::optional<Message> parse(CLI::App& app, int argc, const char* const* argv) {
  app.get_formatter()->column_width(28);
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, problem;
    const int code = app.exit(error, out, problem);
    if (code == 0) return Message{out.str(), ExitStatus::kDone};
    return Message{"sysrewrite: " + problem.str(), ExitStatus::kUsage};
  }
}

Command parse_arguments(int argc, const char* const* argv) {
  if (auto command = parse_proof_arguments(argc, argv)) return std::move(*command);
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
  if (command.options.format == Format::kLitebox) command.options.native_tail = false;
  return command;
}

}  // namespace sysrewrite
