#include "bench/largest_elf.h"

#include <elf.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace sysrewrite::bench {

namespace {

namespace fs = std::filesystem;

bool is_linked_elf(const fs::path& path) {
  Elf64_Ehdr header{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(static_cast<char*>(static_cast<void*>(&header)), sizeof(header))) return false;
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64 &&
         (header.e_type == ET_EXEC || header.e_type == ET_DYN);
}

}  // namespace

std::string find_largest_elf(const std::string& directory) {
  std::string largest;
  uintmax_t largest_size = 0;
  std::error_code error;
  fs::recursive_directory_iterator entry(directory, fs::directory_options::skip_permission_denied,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code unreadable;
    if (!fs::is_regular_file(entry->symlink_status(unreadable))) continue;
    const uintmax_t size = entry->file_size(unreadable);
    // Asked last, since it opens the file: only the few that are larger than all before.
    if (unreadable || size <= largest_size || !is_linked_elf(entry->path())) continue;
    largest = entry->path().string();
    largest_size = size;
  }
  return largest;
}

}  // namespace sysrewrite::bench
