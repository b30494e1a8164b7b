#include "cli/program_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "cli/descriptor.h"
#include "cli/input_file.h"
#include "trampoline/script_line.h"

namespace sysrewrite {

namespace {

constexpr int kScriptDepth = 5;                        // fs/exec.c, exec_binprm()
constexpr const char* kDefaultPath = "/bin:/usr/bin";  // execvp(3)

bool executable_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

Result<std::string> find_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (executable_file(name)) return name;
    return system_error("cannot run", name, access(name.c_str(), F_OK) != 0 ? ENOENT : EACCES);
  }
  const char* variable = std::getenv("PATH");
  const std::string all = variable != nullptr ? variable : kDefaultPath;
  for (size_t at = 0; at <= all.size();) {
    const size_t end = std::min(all.find(':', at), all.size());
    const std::string folder = end == at ? "." : all.substr(at, end - at);
    std::string candidate = fmt::format("{}/{}", folder, name);
    if (executable_file(candidate)) return candidate;
    at = end + 1;
  }
  return Error{ErrorCode::kInputOutput, std::nullopt,
               fmt::format("cannot run {}: not found in $PATH", name)};
}

// The interpreter and its one optional argument, or nothing for a file that is no script.
Result<std::vector<std::string>> script_line(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return system_error("cannot open", path, errno);
  char start[kScriptLine] = {};
  const ssize_t size = read(file.get(), start, sizeof(start));
  if (size < 2 || start[0] != '#' || start[1] != '!') return std::vector<std::string>{};
  ScriptLine line;
  if (!split_script_line(start, &line))
    return Error{
        ErrorCode::kInputOutput, std::nullopt,
        fmt::format("cannot run {}: its first line names no interpreter, or none that ends "
                    "within {} bytes",
                    path, kScriptLine)};
  std::vector<std::string> words{line.interpreter};
  if (line.argument != nullptr) words.emplace_back(line.argument);
  return words;
}

}  // namespace

Result<ResolvedProgram> resolve_program(const std::vector<std::string>& command) {
  const auto found = find_in_path(command.front());
  if (!found) return found.error();
  ResolvedProgram program{*found, command, {}};
  for (int depth = 0; depth <= kScriptDepth; ++depth) {
    const auto words = script_line(program.path);
    if (!words) return words.error();
    if (words->empty()) return program;
    if (program.script.empty()) program.script = program.path;
    std::vector<std::string> arguments = *words;
    arguments.push_back(program.path);
    arguments.insert(arguments.end(), program.arguments.begin() + 1, program.arguments.end());
    program = {words->front(), std::move(arguments), program.script};
    if (!executable_file(program.path))
      return system_error("cannot run the interpreter", program.path,
                          access(program.path.c_str(), F_OK) != 0 ? ENOENT : EACCES);
  }
  return Error{ErrorCode::kInputOutput, std::nullopt,
               fmt::format("cannot run {}: its interpreters are scripts more than {} deep",
                           command.front(), kScriptDepth)};
}

}  // namespace sysrewrite
