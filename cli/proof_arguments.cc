#include "cli/proof_arguments.h"

#include <CLI/CLI.hpp>

#include "cli/app_parser.h"

namespace sysrewrite {

namespace {

constexpr const char* kRestoreDescription =
    "Gives back the file that was rewritten, byte for byte, from what the rewritten one holds.";

constexpr const char* kRestoreFooter =
    "Examples:\n"
    "  sysrewrite restore ./busybox ./busybox.orig\n"
    "  sysrewrite restore ./busybox ./busybox      in place\n"
    "\n"
    "A file that was never rewritten, was cut off or was edited where the rewrite changed it is\n"
    "refused with the reason. What the rewrite left alone is taken as it stands: only an output "
    "of\n"
    "--embed=segment holds a digest of the whole input, and is refused where that differs.\n"
    "Owner, mode and extended attributes are those of OUT.\n"
    "\n"
    "Exit status: 0 done; 1 error, nothing written; 2 usage.\n";

Command parse_restore(int argc, const char* const* argv) {
  RestoreCommand command;
  CLI::App app(kRestoreDescription, "sysrewrite restore");
  app.footer(kRestoreFooter);
  app.add_option("OUT", command.rewritten, "a rewritten file")->required();
  app.add_option("IN", command.original, "where to write what it was; may be OUT itself")
      ->required();
  app.add_flag("--json", command.json, "print the report as JSON on standard output");
  app.add_flag("-n,--dry-run", command.dry_run, "check everything, write nothing");
  app.add_flag("-q,--quiet", command.quiet, "no report; errors only");
  if (auto message = parse(app, argc, argv)) return *message;
  return command;
}

constexpr const char* kVerifyDescription =
    "Proves that a rewritten file does what its original did: every window, stub and jump is\n"
    "decoded and compared anew, by code that shares only the decoder with the rewriter.";

constexpr const char* kVerifyFooter =
    "Examples:\n"
    "  sysrewrite verify ./busybox\n"
    "  sysrewrite verify ./busybox --against /bin/busybox\n"
    "\n"
    "Without --against the original is what OUT itself says that it was.\n"
    "\n"
    "Exit status: 0 proven; 1 not, each reason with address, what was found and what was "
    "expected;\n"
    "2 usage.\n";

Command parse_verify(int argc, const char* const* argv) {
  VerifyCommand command;
  CLI::App app(kVerifyDescription, "sysrewrite verify");
  app.footer(kVerifyFooter);
  app.add_option("OUT", command.rewritten, "a rewritten file")->required();
  app.add_option("--against", command.original, "the file that was rewritten")->type_name("IN");
  app.add_flag("--json", command.json, "print the verdict as JSON on standard output");
  app.add_flag("-q,--quiet", command.quiet, "no report where it is proven");
  if (auto message = parse(app, argc, argv)) return *message;
  return command;
}

constexpr const char* kInspectDescription =
    "Shows what there is in a file: of a rewritten one its sites and stubs, of any other what a\n"
    "rewrite would make of it; and every `0f 05` pair with its class and the evidence for it.";

constexpr const char* kInspectFooter =
    "Examples:\n"
    "  sysrewrite inspect /bin/busybox\n"
    "  sysrewrite inspect -d --site write ./busybox     one function's sites, before and after\n"
    "  sysrewrite inspect --summary /usr/lib/x86_64-linux-gnu/*.so*\n"
    "\n"
    "Exit status: 0 done; 1 a file could not be inspected, and the reason was said; 2 usage.\n";

Command parse_inspect(int argc, const char* const* argv) {
  InspectCommand command;
  CLI::App app(kInspectDescription, "sysrewrite inspect");
  app.footer(kInspectFooter);
  app.add_option("FILE", command.files, "ELF files, rewritten or not")->required();
  app.add_flag("-d,--disassemble", command.disassemble,
               "show windows before and after, springboards and stubs");
  app.add_option("--site", command.site,
                 "only this: an address (0x401000), a range (0x401000-0x402000)\n"
                 "or a function's name")
      ->type_name("SITE");
  app.add_flag("--summary", command.summary, "a line for each file, and their sum");
  app.add_flag("--json", command.json, "print everything as JSON, addresses as numbers");
  if (auto message = parse(app, argc, argv)) return *message;
  return command;
}

constexpr const char* kBisectDescription =
    "Finds the site whose patch changes what CMD prints or returns: runs it natively, then under\n"
    "sysrewrite run with fewer and fewer of its sites patched, until one is left.";

constexpr const char* kBisectFooter =
    "Examples:\n"
    "  sysrewrite bisect -- python3 test.py\n"
    "  sysrewrite bisect --uncertain=patch -- ./prog\n"
    "\n"
    "CMD gets no input. Of what it prints only what two native runs agree on is compared.\n"
    "\n"
    "Exit status: 0 found; 1 not, and the reason was said; 2 usage.\n";

std::string is_above_zero(const std::string& number) {
  double value = 0;
  const bool is_one = CLI::detail::lexical_cast(number, value) && value > 0;
  return is_one ? std::string() : number + " is no number of seconds above 0";
}

Command parse_bisect(int argc, const char* const* argv) {
  BisectCommand command;
  CLI::App app(kBisectDescription, "sysrewrite bisect");
  app.footer(kBisectFooter);
  app.add_option("CMD", command.command, "the program, and its arguments")->required();
  add_uncertain(app, command.options);
  add_tiers(app, command.options);
  app.add_option("--timeout", command.timeout, "seconds for one run (default 60)")
      ->type_name("SECONDS")
      ->check(is_above_zero, "");
  app.add_option("--loader", command.loader, "path of sysload (default: the one beside sysrewrite)")
      ->type_name("PATH");
  app.add_flag("--json", command.json, "print the site as JSON on standard output");
  app.add_flag("-q,--quiet", command.quiet, "do not tell of each run");
  app.positionals_at_end();
  app.prefix_command();
  if (auto message = parse(app, argc, argv)) return *message;
  return command;
}

}  // namespace

std::optional<Command> parse_proof_arguments(int argc, const char* const* argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  if (name == "restore") return parse_restore(argc - 1, argv + 1);
  if (name == "bisect") return parse_bisect(argc - 1, argv + 1);
  if (name == "inspect") return parse_inspect(argc - 1, argv + 1);
  if (name == "verify") return parse_verify(argc - 1, argv + 1);
  return std::nullopt;
}

}  // namespace sysrewrite
