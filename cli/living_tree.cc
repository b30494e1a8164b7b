#include "cli/living_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sysrewrite {

namespace {

// As a line of /proc/PID/maps names it. Source: linux, fs/proc/task_mmu.c,
// show_vma_header_prefix().
std::string identity_of(const struct stat& file) {
  return fmt::format(" {:02x}:{:02x} {} ", major(file.st_dev), minor(file.st_dev), file.st_ino);
}

bool maps(const std::filesystem::path& process, const std::string& identity) {
  std::ifstream mappings(process / "maps");
  for (std::string line; std::getline(mappings, line);)
    if (line.find(identity) != std::string::npos) return true;
  return false;
}

// In clock ticks since the system was started; 0 where that is not to be had.
uint64_t start_of(const std::filesystem::path& process) {
  constexpr int kBetween = 19;  // fields: proc(5), /proc/pid/stat, from (3) state to (22) starttime
  std::ifstream file(process / "stat");
  std::string text;
  std::getline(file, text);
  const size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(end_of_name + 1));
  for (int i = 0; i < kBetween; ++i) fields >> text;
  uint64_t start = 0;
  fields >> start;
  return start;
}

}  // namespace

size_t count_living(int file, const std::set<pid_t>& named) {
  struct stat status {};
  if (fstat(file, &status) != 0) return 0;
  const std::string identity = identity_of(status), own = std::to_string(getpid());
  const uint64_t start = start_of("/proc/self");
  size_t count = 0;
  std::error_code error;
  using Directory = std::filesystem::directory_iterator;
  for (Directory process("/proc", error); !error && process != Directory();
       process.increment(error)) {
    const std::string name = process->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos || name == own) continue;
    const bool is_young = named.count(std::stoi(name)) != 0 && start_of(process->path()) >= start;
    if (is_young || maps(process->path(), identity)) ++count;
  }
  return count;
}

}  // namespace sysrewrite
