#include "cli/program_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <bit>
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

// Why it is none.
int not_executable(const std::string& path) {
  return access(path.c_str(), F_OK) != 0 ? errno : EACCES;
}

Result<std::string> find_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (executable_file(name)) return name;
    return system_error("cannot run", name, not_executable(name));
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

struct FileLook {
  ProgramKind kind = ProgramKind::kUnreadable;
  bool is_elf = false;             // or wants to be
  std::vector<std::string> words;  // a script's interpreter, and its one optional argument
};

Result<FileLook> look_at(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid() && errno == EACCES) return FileLook{};
  if (!file.valid()) return system_error("cannot open", path, errno);
  struct stat status {};
  char head[kScriptLine] = {};
  const ssize_t size = pread(file.get(), head, sizeof(head), 0);
  if (size < 0 || fstat(file.get(), &status) != 0) return system_error("cannot read", path, errno);
  const ByteView start = as_byte_view(head, static_cast<size_t>(size));
  const bool has_capabilities = fgetxattr(file.get(), "security.capability", nullptr, 0) > 0;
  FileLook look{kind_of(start, status.st_mode, has_capabilities), false, {}};
  look.is_elf = load<uint32_t>(start, 0) == std::bit_cast<uint32_t>(elf::kMagic);
  if (look.kind != ProgramKind::kScript) return look;
  ScriptLine line;
  if (!split_script_line(head, &line)) return FileLook{ProgramKind::kUnknown, false, {}};
  look.words.emplace_back(line.interpreter);
  if (line.argument != nullptr) look.words.emplace_back(line.argument);
  return look;
}

// What execvp does where the kernel says ENOEXEC, which no ELF file is worth trying for.
Result<ResolvedProgram> for_a_shell(const std::string& named,
                                    const std::vector<std::string>& command, bool is_elf) {
  constexpr const char* kShell = "/bin/sh";
  ResolvedProgram program{named, ProgramKind::kUnknown, {}, {}, {}};
  if (is_elf) return program;
  const auto shell = look_at(kShell);
  if (!shell || shell->kind != ProgramKind::kElf) return program;
  program.path = kShell;
  program.arguments = {kShell, named};
  program.arguments.insert(program.arguments.end(), command.begin() + 1, command.end());
  return program;
}

}  // namespace

Result<ResolvedProgram> resolve_program(const std::vector<std::string>& command) {
  const auto found = find_in_path(command.front());
  if (!found) return found.error();
  ResolvedProgram program{*found, ProgramKind::kElf, *found, command, {}};
  for (int depth = 0; depth <= kScriptDepth; ++depth) {
    const auto look = look_at(program.path);
    if (!look) return look.error();
    program.kind = look->kind;
    if (look->kind == ProgramKind::kUnknown)
      return for_a_shell(*found, command, depth == 0 && look->is_elf);
    if (look->kind != ProgramKind::kScript) return program;
    program.script = *found;
    std::vector<std::string> arguments = look->words;
    arguments.push_back(program.path);
    arguments.insert(arguments.end(), program.arguments.begin() + 1, program.arguments.end());
    program.path = look->words.front();
    program.arguments = std::move(arguments);
    if (!executable_file(program.path))
      return system_error("cannot run the interpreter", program.path, not_executable(program.path));
  }
  return Error{ErrorCode::kInputOutput, std::nullopt,
               fmt::format("cannot run {}: its interpreters are scripts more than {} deep",
                           command.front(), kScriptDepth)};
}

}  // namespace sysrewrite
