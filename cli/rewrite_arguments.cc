// The options that say how a file is rewritten, for every command that rewrites.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <string_view>

#include "cli/app_parser.h"
#include "cli/choice.h"
#include "rewriter/selection.h"
#include "trampoline/built_in_hooks.h"

namespace sysrewrite {

namespace {

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

// What becomes of sites.
void add_site_options(CLI::App& app, Options& options) {
  add_choice<OnUnpatchable>(app,
                            {"--on-unpatchable", "WHAT",
                             "where no jump fits: trap (default) poisons the site, fail writes\n"
                             "nothing, keep leaves it native"},
                            options.on_unpatchable,
                            {{"trap", OnUnpatchable::kTrap},
                             {"fail", OnUnpatchable::kFail},
                             {"keep", OnUnpatchable::kKeep}});
  add_uncertain(app, options);
  add_tiers(app, options);
  add_selectors(app, "--only", options.only,
                "patch only this site: an address (0x401000), a range\n"
                "(0x401000-0x402000) or a function's name; may be given again");
  add_selectors(app, "--exclude", options.exclude, "leave this site native, named as above");
}

// What sysload would say when the program starts; empty where it would not. An object need not be
// here yet.
std::string hook_problem(const std::string& hook) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(hook.begin(), hook.end(), is_control))
    return "a control character cannot be written into the file";
  const std::string name = hook.substr(0, hook.find(':'));
  const bool is_path = name.find_first_of("/\\") != std::string::npos;
  constexpr std::string_view kNames[] = {"none",
#define SYSLOAD_BUILT_IN(hook) #hook,
                                         SYSLOAD_BUILT_IN_HOOKS
#undef SYSLOAD_BUILT_IN
  };
  if (is_path || std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames))
    return {};
  std::string known;
  for (const std::string_view one : kNames) known += std::string(one) + ", ";
  return "there is no hook named \"" + name + "\"; known are: " + known +
         "and the path of a shared object, with a slash in it";
}

// What the output says to sysload.
void add_loader_options(CLI::App& app, Options& options) {
  app.add_option_function<std::string>(
         "--hook",
         [&options](const std::string& hook) {
           if (const std::string problem = hook_problem(hook); !problem.empty())
             throw CLI::ValidationError("--hook: " + problem);
           options.loader_options.push_back("hook=" + hook);
         },
         "write into OUT which hook sysload runs it under, as run has it; repeated")
      ->type_name("HOOK");
  app.add_option_function<std::string>(
         "--vdso",
         [&options](const std::string& word) { options.loader_options.push_back("vdso=" + word); },
         "write into OUT whether sysload keeps the vdso or hides it (keep, hide)")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"keep", "hide"}));
}

}  // namespace

void add_word_option(CLI::App& app, const ChoiceText& text, const std::vector<std::string>& words,
                     const std::function<void(const std::string&)>& take) {
  app.add_option_function<std::string>(text.name, take, text.help)
      ->transform(CLI::IsMember(words, CLI::ignore_case).description(""))
      ->type_name(text.type);
}

void add_uncertain(CLI::App& app, Options& options) {
  add_choice<UncertainPolicy>(
      app, {"--uncertain", "WHAT", "bytes 0f 05 that may be data: leave (default), trap or patch"},
      options.uncertain,
      {{"leave", UncertainPolicy::kLeave},
       {"trap", UncertainPolicy::kTrap},
       {"patch", UncertainPolicy::kPatch}});
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

void add_rewrite_options(CLI::App& app, Options& options) {
  app.add_option_function<std::string>(
         "--interp", [&options](const std::string& path) { options.interpreter = path; },
         std::string("path of sysload, written into executables as their interpreter\n") +
             "(default " + kDefaultInterpreter + ")")
      ->type_name("PATH");
  app.add_flag_callback(
      "--no-interp", [&options] { options.interpreter.reset(); }, "leave the interpreter alone");
  add_choice<Format>(
      app, {"--format", "FORMAT", "trailer and layout: sysrewrite (default) or litebox"},
      options.format, {{"sysrewrite", Format::kSysrewrite}, {"litebox", Format::kLitebox}});
  add_choice<bool>(app,
                   {"--embed", "WHERE",
                    "where the trampoline goes: to the end (default) of the file, which\n"
                    "strip and objcopy drop, or into a segment with sections, which they\n"
                    "keep, with unwind tables; for files that go through packaging\n"
                    "pipelines"},
                   options.embed, {{"end", false}, {"segment", true}});
  add_choice<StubKind>(app,
                       {"--stub", "KIND",
                        "redzone (default): step over the red zone, restart address in r11;\n"
                        "plain: neither, for callbacks that restart at rcx - 6, and not for\n"
                        "sysload, which refuses such files"},
                       options.stub,
                       {{"redzone", StubKind::kRedzone}, {"plain", StubKind::kPlain}});
  app.add_flag_callback(
      "--no-native-tail", [&options] { options.native_tail = false; },
      "no syscall instruction in the stubs; the callback must issue all calls\n"
      "itself (sysload needs the tail; implied by --format=litebox)");
  app.add_flag("--symbols", options.symbols,
               "name the stubs for objdump, gdb and perf, and let gdb unwind from them:\n"
               "section headers, symbols and unwind tables in the output");
  add_site_options(app, options);
  add_loader_options(app, options);
  app.add_flag_callback(
      "--force", [&options] { options.force = options.accept_traces = true; },
      "rewrite files that find a payload from their own end, and those that look\n"
      "like outputs which have lost theirs");
  app.parse_complete_callback([&options] {
    if (options.format == Format::kLitebox) options.native_tail = false;
  });
}

}  // namespace sysrewrite
