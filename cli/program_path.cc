#include "cli/program_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "cli/descriptor.h"
#include "cli/input_file.h"

namespace sysrewrite {

namespace {

constexpr int kScriptDepth = 5;                        // fs/exec.c, exec_binprm()
constexpr size_t kScriptLine = 256;                    // BINPRM_BUF_SIZE
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
  char buffer[kScriptLine];
  const ssize_t size = read(file.get(), buffer, sizeof(buffer));
  if (size < 2 || buffer[0] != '#' || buffer[1] != '!') return std::vector<std::string>{};
  std::string line(buffer + 2, static_cast<size_t>(size) - 2);
  line = line.substr(0, line.find('\n'));
  const auto trim = [](const std::string& text) {
    const size_t first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return std::string();
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
  };
  line = trim(line);
  const size_t space = line.find_first_of(" \t");
  std::vector<std::string> words{line.substr(0, space)};
  if (words[0].empty())
    return Error{ErrorCode::kInputOutput, std::nullopt,
                 fmt::format("cannot run {}: its first line names no interpreter", path)};
  if (space != std::string::npos) words.push_back(trim(line.substr(space)));
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
