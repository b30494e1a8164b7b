#include "loader/start/own_image.h"

#include <algorithm>
#include <cstring>

#include "loader/state.h"
#include "trampoline/elf_types.h"

namespace sysrewrite {

bool is_own_image(ByteView start) {
  // What stands behind it tells of sections.
  constexpr uint64_t kHeader = offsetof(elf::Ehdr, shoff);
  const auto header = load<elf::Ehdr>(start, 0);
  if (!header || memcmp(start.data(), __ehdr_start, kHeader) != 0) return false;
  if (header->phoff != sizeof(elf::Ehdr)) return false;
  const uint64_t end = sizeof(elf::Ehdr) + uint64_t{header->phnum} * sizeof(elf::Phdr);
  const uint64_t size = std::min<uint64_t>(end, start.size()) - sizeof(elf::Ehdr);
  return memcmp(start.data() + sizeof(elf::Ehdr), __ehdr_start + sizeof(elf::Ehdr), size) == 0;
}

}  // namespace sysrewrite
