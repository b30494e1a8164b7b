#include "cli/run_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "cli/descriptor.h"
#include "cli/hook_memory.h"
#include "cli/inheritance.h"
#include "cli/inherited_files.h"
#include "cli/input_file.h"
#include "cli/loader_path.h"
#include "cli/messages.h"
#include "cli/program_path.h"
#include "cli/stand_in.h"

namespace sysrewrite {

namespace {

constexpr int kCannotStart = 127;

void complain(const std::string& message) {
  print(stderr, "sysrewrite: run: " + message + "\n");
}

Result<Descriptor> open_loader(const RunCommand& command) {
  const auto path = loader_path(command.loader);
  if (!path) return path.error();
  Descriptor loader(open(path->c_str(), O_RDONLY | O_CLOEXEC));
  if (!loader.valid()) return system_error("cannot open the loader", *path, errno);
  return loader;
}

std::vector<std::string> loader_arguments(const RunCommand& command, const std::string& server,
                                          const ResolvedProgram& program) {
  std::vector<std::string> arguments{"sysload", "--server", server};
  for (const std::string& hook : command.hooks)
    arguments.insert(arguments.end(), {"--hook", hook_for_programs(hook)});
  if (command.exhaustive) arguments.emplace_back("--exhaustive");
  if (command.hide_vdso) arguments.insert(arguments.end(), {"--vdso", "hide"});
  if (!command.follow) arguments.emplace_back("--no-follow");
  if (command.unpatched == UnpatchedPolicy::kFail)
    arguments.insert(arguments.end(), {"--unpatched", "fail"});
  if (!program.script.empty()) arguments.insert(arguments.end(), {"--execfn", program.script});
  arguments.insert(arguments.end(), {"--argv0", program.arguments.front(), "--", program.path});
  arguments.insert(arguments.end(), program.arguments.begin() + 1, program.arguments.end());
  return arguments;
}

pid_t spawn(int loader, const std::vector<std::string>& arguments, const Inheritance& inheritance) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  // Until it executes, the child has this process's memory: no page table is copied, and none of
  // this process's pages is copied behind it. It changes nothing there but what a failure says.
  const pid_t child = vfork();
  if (child != 0) return child;
  inheritance.restore();
  fexecve(loader, argv.data(), environ);
  complain(fmt::format("cannot start the loader: {}", std::strerror(errno)));
  _exit(kCannotStart);
}

// What ran without its calls being seen: a line each, and each once.
std::vector<std::string> natives_of(const RewriteServer& server) {
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const NativeObject& object : server.natives()) {
    std::string line = object.path + ": " + object.reason;
    if (seen.insert(line).second) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

int execute(const RunCommand& command) {
  const Descriptor nothing = occupy_standard_numbers();
  const auto program = resolve_program(command.command);
  if (!program) return complain(program.error().message), kCannotStart;
  const auto loader = open_loader(command);
  if (!loader) return complain(loader.error().message), kCannotStart;
  const sigset_t signals = forwarded_signals();
  // Before any thread, which blocks what it blocks.
  const Inheritance inheritance(signals);
  // What is selected otherwise than always is nothing for another run.
  const bool use_cache = command.use_cache && !command.select;
  const RewriteCache cache = use_cache ? RewriteCache::for_user() : RewriteCache::none();
  auto hooks = HookMemory::start(command.hooks);
  if (!hooks) return complain(hooks.error().message), kCannotStart;
  auto server = RewriteServer::start(
      // A call that is caught is named by what is mapped there, which is better a file.
      {command.unpatched, loader->get(), &cache, hooks->get(), !command.exhaustive, command.select,
       command.rewritten});
  if (!server) return complain(server.error().message), kCannotStart;
  const Descriptor arrived(signalfd(-1, &signals, SFD_CLOEXEC));
  if (!arrived.valid())
    return complain(fmt::format("cannot wait for signals: {}", std::strerror(errno))), kCannotStart;
  const pid_t child =
      spawn(loader->get(), loader_arguments(command, (*server)->name(), *program), inheritance);
  if (child < 0)
    return complain(fmt::format("cannot fork: {}", std::strerror(errno))), kCannotStart;
  let_go_of_inherited_files(nothing);
  const int status = stand_in_for(child, arrived, **server);
  (*server)->stop();
  const std::vector<std::string> natives = natives_of(**server);
  (*hooks)->stop(natives);
  cache.tidy();
  if (!command.quiet) {
    for (const std::string& line : natives) complain("native: " + line);
    if (const std::string problem = cache.problem(); !problem.empty())
      complain(
          fmt::format("nothing is kept for the next run: {} (--no-cache runs without, and without "
                      "this line)",
                      problem));
  }
  return status;
}

}  // namespace sysrewrite
