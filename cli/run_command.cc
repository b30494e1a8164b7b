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
  const std::string path = loader_path(command.loader);
  Descriptor loader(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!loader.valid()) return system_error("cannot open the loader", path, errno);
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
  if (program.path.empty()) return arguments;
  arguments.insert(arguments.end(), {"--argv0", program.arguments.front(), "--", program.path});
  arguments.insert(arguments.end(), program.arguments.begin() + 1, program.arguments.end());
  return arguments;
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// How the program is started: by the kernel, by sysload, or by sysload where the kernel cannot.
struct Start {
  const ResolvedProgram& program;
  bool may_be_native;
  std::vector<char*> words;  // of the command line
  int loader;
  std::vector<char*> loader_words;
};

struct Started {
  pid_t child = -1;
  bool is_native = false;
};

// In the child. What it says of how it went is the parent's to read.
[[noreturn]] void become_program(const Start& start, volatile bool* is_native) {
  const ProgramKind kind = start.program.kind;
  if (kind != ProgramKind::kElf) {
    *is_native = true;
    errno = ENOEXEC;
    if (start.may_be_native) execve(start.program.named.c_str(), start.words.data(), environ);
    *is_native = false;
    if (kind != ProgramKind::kUnknown || errno != ENOEXEC || start.program.path.empty()) {
      complain(system_error("cannot run", start.program.named, errno).message);
      _exit(kCannotStart);
    }
  }
  fexecve(start.loader, start.loader_words.data(), environ);
  complain(fmt::format("cannot start the loader: {}", std::strerror(errno)));
  _exit(kCannotStart);
}

Started spawn(const Start& start, const Inheritance& inheritance) {
  volatile bool is_native = false;
  // Until it executes, the child has this process's memory: no page table is copied, and none of
  // this process's pages is copied behind it. It changes nothing there but what it says.
  const pid_t child = vfork();
  if (child == 0) {
    inheritance.hand_on();
    become_program(start, &is_native);
  }
  return {child, is_native};
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
  const char* reason = native_reason(program->kind);
  const bool is_followed = reason == nullptr || program->kind == ProgramKind::kUnknown;
  const bool may_be_native = command.unpatched != UnpatchedPolicy::kFail;
  if (!is_followed && !may_be_native)
    return complain(fmt::format("cannot rewrite {}: {}", program->named, reason)), kCannotStart;
  const auto loader = open_loader(command);
  if (!loader) return complain(loader.error().message), kCannotStart;
  Inheritance inheritance;
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
  const sigset_t signals = forwarded_signals();
  // Not before, since until then they are for this process: what it opens may take its time.
  inheritance.hold_signals(signals);
  const Descriptor arrived(signalfd(-1, &signals, SFD_CLOEXEC));
  if (!arrived.valid())
    return complain(fmt::format("cannot wait for signals: {}", std::strerror(errno))), kCannotStart;
  const std::vector<std::string> words = loader_arguments(command, (*server)->name(), *program);
  const Started started = spawn(
      {*program, may_be_native, pointers_to(command.command), loader->get(), pointers_to(words)},
      inheritance);
  if (started.child < 0)
    return complain(fmt::format("cannot fork: {}", std::strerror(errno))), kCannotStart;
  const Job job(started.child, is_alone_in_job());
  let_go_of_inherited_files(nothing);
  const int status = stand_in_for(started.child, job, arrived, **server);
  (*server)->stop();
  std::vector<std::string> natives = natives_of(**server);
  if (started.is_native)
    natives.insert(natives.begin(), fmt::format("{}: {}", program->named, reason));
  for (const std::string& line : (*hooks)->stop(natives)) complain(line);
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
