#include "loader/start/debugger.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "loader/memory.h"
#include "loader/start/exported_symbol.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

// By this name debuggers look for it. In debug_state.S.
constexpr char kName[] = "_dl_debug_state";
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_debug_state[];

constexpr std::byte kReturn{0xc3};
constexpr std::byte kEndbr[] = {std::byte{0xf3}, std::byte{0x0f}, std::byte{0x1e}, std::byte{0xfa}};

// jmp *0(%rip), and where it leads.
constexpr std::byte kJump[] = {std::byte{0xff}, std::byte{0x25}, std::byte{0},
                               std::byte{0},    std::byte{0},    std::byte{0}};
constexpr uint64_t kJumpSize = sizeof(kJump) + sizeof(uint64_t);

bool has_breakpoint() {
  return *static_cast<const volatile std::byte*>(sysload_debug_state) != kReturn;
}

// What assemblers fill up with: nops of all sizes, int3, zero. The jump of a springboard has none.
bool is_padding(std::byte byte) {
  constexpr uint8_t kOfNops[] = {0x00, 0x0f, 0x1f, 0x2e, 0x40, 0x44, 0x66, 0x80, 0x84, 0x90, 0xcc};
  return std::find(std::begin(kOfNops), std::end(kOfNops), static_cast<uint8_t>(byte)) !=
         std::end(kOfNops);
}

// Whether the function does nothing, and nothing else begins where the jump is going to stand.
bool has_room(const std::byte* function) {
  const uint64_t marker = memcmp(function, kEndbr, sizeof(kEndbr)) == 0 ? sizeof(kEndbr) : 0;
  if (function[marker] != kReturn) return false;
  for (uint64_t at = marker + 1; at < kJumpSize; ++at)
    if (!is_padding(function[at])) return false;
  return true;
}

// The bytes of code where they are mapped; nullptr where not all are.
std::byte* code_at(const ElfImage& image, const MappedImage& mapped, Vaddr at) {
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    const bool is_code = segment.type == elf::kPtLoad && (segment.flags & elf::kFlagExec) != 0;
    if (is_code && at.value >= segment.vaddr &&
        range_fits(at.value - segment.vaddr, kJumpSize, segment.filesz))
      return Memory::at<std::byte>(mapped.at(at));
  }
  return nullptr;
}

}  // namespace

void lead_to_breakpoint(const ElfImage& interpreter, const MappedImage& mapped) {
  if (!has_breakpoint()) return;
  const auto at = exported_symbol(interpreter, kName);
  // Functions begin at multiples of 16, so a jump into the last bytes of a page stays there.
  std::byte* const function = at ? code_at(interpreter, mapped, *at) : nullptr;
  if (function == nullptr || !is_aligned(at->value, 16) || !has_room(function)) return;
  const RuntimeAddr page = {align_down(mapped.at(*at).value, kPageSize)};
  // All at once: who refuses that, would refuse to let it be executed again.
  if (sys::failed(sys::protect(page, kPageSize, sys::kRead | sys::kWrite | sys::kExec))) return;
  const uint64_t target = Memory::address_of(sysload_debug_state).value;
  memcpy(function, kJump, sizeof(kJump));
  memcpy(function + sizeof(kJump), &target, sizeof(target));
  sys::protect(page, kPageSize, sys::kRead | sys::kExec);
}

}  // namespace sysrewrite
