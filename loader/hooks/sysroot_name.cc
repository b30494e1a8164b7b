// The names in a call's arguments.
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/open_flags.h"
#include "loader/hooks/sysroot_state.h"

namespace sysrewrite {

namespace {

int32_t directory_of(const sysload_call& call, const PathSlot& slot) {
  return slot.directory == kNoArgument ? AT_FDCWD
                                       : static_cast<int32_t>(call.argument[slot.directory]);
}

Purpose purpose_of(const PathCall& row, uint32_t i, uint64_t open_flags) {
  const PathUse use = row.slot[i].use;
  if (use == PathUse::kMoveTo || (use == PathUse::kCreate && i == 1)) return Purpose::kNewName;
  if (use == PathUse::kCreate) return Purpose::kCreating;
  const bool creates =
      use == PathUse::kOpen && (open_flags & O_CREAT) != 0 && (open_flags & O_PATH) == 0;
  return creates ? Purpose::kCreating : Purpose::kExisting;
}

bool is_of_entry(PathUse use) {
  return use == PathUse::kCreate || use == PathUse::kDelete || use == PathUse::kMoveFrom ||
         use == PathUse::kMoveTo;
}

NameEnd end_of(const PathSlot& slot, const sysload_call& call, uint64_t open_flags) {
  if (is_of_entry(slot.use)) return NameEnd::kEntry;
  const uint64_t flags = slot.flags == kNoArgument ? 0 : call.argument[slot.flags];
  return follows_last(slot, flags, open_flags) ? NameEnd::kFollowed : NameEnd::kNamed;
}

// A struct sockaddr_un around a name.
constexpr uint32_t kSocketHead = 2, kSocketName = 108;

// The name that a slot points to; its size, 0 where there is none.
uint32_t read_name(const SysrootView& view, const sysload_call& call, const PathSlot& slot,
                   char (&into)[kNameBytes]) {
  const uint64_t address = call.argument[slot.name];
  if (slot.form == PathForm::kString) {
    const int64_t got = view.api.read_string(into, address, sizeof(into));
    return got < 0 ? 0 : static_cast<uint32_t>(got);
  }
  // An int, of whose upper half the kernel knows nothing.
  const auto size = static_cast<uint32_t>(call.argument[slot.name + 1]);
  uint16_t family = 0;
  if (slot.form != PathForm::kSocket || address == 0 || size <= kSocketHead ||
      size > kSocketHead + kSocketName ||
      view.api.read(&family, address, sizeof(family)) != int64_t{sizeof(family)} || family != 1)
    return 0;
  const uint32_t length = size - kSocketHead;
  if (view.api.read(into, address + kSocketHead, length) != int64_t{length}) return 0;
  into[length] = 0;
  return static_cast<uint32_t>(strlen(into));
}

// Returns 0 or an error, with which the call is answered.
int64_t put_name(const SysrootView& view, sysload_call& call, const PathSlot& slot,
                 const AbsolutePath& path) {
  const bool is_socket = slot.form == PathForm::kSocket;
  const uint32_t head = is_socket ? kSocketHead : 0;
  if (is_socket && path.size >= kSocketName) return -ENAMETOOLONG;
  auto* memory = static_cast<char*>(view.api.call_memory(&call, head + path.size + 1));
  if (memory == nullptr) return -ENOMEM;
  const uint16_t family = 1;
  if (is_socket) {
    memcpy(memory, &family, sizeof(family));
    call.argument[slot.name + 1] = head + path.size + 1;
  }
  memcpy(memory + head, path.text, path.size + 1);
  call.argument[slot.name] = word(memory);
  return 0;
}

// The kernel keeps it below a directory of the call's own.
bool has_boundary(const OpenFlags& open) {
  return (open.resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) != 0;
}

// Slashes alone. Nobody removes that, and the kernel says so in words that "." does not get.
bool is_top(const char* text, uint32_t size) {
  for (uint32_t i = 0; i < size; ++i)
    if (text[i] != '/') return false;
  return true;
}

bool is_below_proc(const char* text, uint32_t size) {
  const char proc[] = "/proc/";
  return size > sizeof(proc) - 1 && memcmp(text, proc, sizeof(proc) - 1) == 0;
}

// A link that is open itself, and is read by an empty name. Of /proc, be it mounted in the sysroot.
bool is_open_below_proc(const SysrootView& view, int32_t descriptor, char (&name)[kNameBytes]) {
  const int64_t got = name_of_descriptor(view.api, descriptor, name, sizeof(name));
  if (got <= 0) return false;
  auto size = static_cast<uint32_t>(got), size_inside = uint32_t{0};
  const char* inside = view.root().inside(name, size, &size_inside);
  return inside == nullptr ? is_below_proc(name, size) : is_below_proc(inside, size_inside);
}

}  // namespace

int64_t translate(const SysrootView& view, sysload_call& call, const PathCall& row, uint32_t i) {
  const PathSlot& slot = row.slot[i];
  if (slot.form == PathForm::kDescriptor || slot.form == PathForm::kMessage) return 0;
  char text[kNameBytes];
  const uint32_t text_size = read_name(view, call, slot, text);
  const OpenFlags open = open_flags(view.api, call);
  if (text_size == 0 && slot.use == PathUse::kRead && slot.directory != kNoArgument &&
      is_open_below_proc(view, directory_of(call, slot), text))
    call.scratch[0] = 1;
  if (text_size == 0 || !open.are_known || has_boundary(open)) return 0;
  if (slot.use == PathUse::kDelete && is_top(text, text_size)) return 0;
  GivenName given;
  const int64_t error = make_absolute(view, directory_of(call, slot), text, text_size, given);
  if (error != 0 || given.size == 0) return error;
  AbsolutePath path;
  const SysrootName name{given.text,
                         given.size,
                         purpose_of(row, i, open.flags),
                         end_of(slot, call, open.flags),
                         (open.resolve & RESOLVE_NO_SYMLINKS) != 0,
                         given.is_inside};
  const WalkEnd end = walk_sysroot(view.api, view.root(), name, path);
  const bool shows_names = is_below_proc(given.text, given.size) ||
                           (end == WalkEnd::kHost && is_below_proc(path.text, path.size));
  if (slot.use == PathUse::kRead && shows_names) call.scratch[0] = 1;
  switch (end) {
    case WalkEnd::kUnchanged:
      return 0;
    case WalkEnd::kTooLong:
      return -ENAMETOOLONG;
    case WalkEnd::kLinks:
      return -ELOOP;
    case WalkEnd::kSysroot:
    case WalkEnd::kHost:
      break;
  }
  return put_name(view, call, slot, path);
}

}  // namespace sysrewrite
