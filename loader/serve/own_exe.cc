#include "loader/serve/own_exe.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "loader/hooks/path_calls.h"
#include "loader/memory.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/serve/exe_link.h"
#include "loader/serve/mapping_link.h"
#include "loader/serve/own_copy.h"
#include "loader/serve/program_memory.h"
#include "loader/state.h"
#include "loader/text.h"

namespace sysrewrite {

void remember_own_exe(sys::Fd fd) {
  State& state = sysload_state;
  const char* path = sys::name_of(fd, state.exe_path, sizeof(state.exe_path));
  struct stat status {};
  const auto into = Memory::address_of(&status).value;
  if (path != state.exe_path || sys::failed(sys::call(__NR_fstat, static_cast<uint64_t>(fd), into)))
    return;
  state.exe_size = static_cast<uint32_t>(strlen(path));
  state.exe_device = status.st_dev;
  state.exe_inode = status.st_ino;
  keep_own_contents(fd);
}

// Code may come from a copy.
void remember_own_mapping(const ProgramFile& file, const ElfImage& image,
                          const MappedImage& mapped) {
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    const bool may_be_copied = (segment.flags & elf::kFlagExec) != 0 && file.has_copy();
    if (segment.type != elf::kPtLoad || segment.filesz == 0 || may_be_copied) continue;
    sysload_state.exe_mapping = mapped.at({segment.vaddr});
    return;
  }
}

namespace {

// As long as the file is mapped, no other one gets its number.
bool leads_to_own_exe(const char* path) {
  struct stat status {};
  const int64_t answer =
      sys::call(__NR_stat, Memory::address_of(path).value, Memory::address_of(&status).value);
  return !sys::failed(answer) && status.st_dev == sysload_state.exe_device &&
         status.st_ino == sysload_state.exe_inode;
}

bool read_link(const char* link, char (&name)[kOwnPath]) {
  const int64_t got = sys::call(__NR_readlink, Memory::address_of(link).value,
                                Memory::address_of(&name[0]).value, sizeof(name) - 1);
  if (sys::failed(got)) return false;
  name[got] = 0;
  return true;
}

void copy_first_path(char (&path)[kOwnPath]) {
  memcpy(path, sysload_state.exe_path, sysload_state.exe_size + 1);
}

}  // namespace

OwnExe::OwnExe() : found_(find()) {}

bool OwnExe::find() {
  copy_first_path(path_);
  if (leads_to_own_exe(path_)) return true;
  char link[kMappingLink];
  if (!link_of_mapping(sysload_state.exe_mapping, link)) return false;
  if (read_link(link, path_) && leads_to_own_exe(path_)) return true;
  memcpy(path_, link, strlen(link) + 1);
  if (leads_to_own_exe(path_)) return true;
  copy_ = beyond_limit([] { return copy_own_file(); });
  if (!is_copy()) return false;
  memcpy(path_, sys::link_of(copy_, link), sizeof(link));
  return true;
}

void OwnExe::give_up_copy() {
  if (copy_ >= 0) sys::close(copy_);
  copy_ = -1;
}

bool read_own_exe(char (&name)[kOwnPath]) {
  copy_first_path(name);
  char link[kMappingLink];
  return leads_to_own_exe(name) ||
         (link_of_mapping(sysload_state.exe_mapping, link) && read_link(link, name));
}

namespace {

using Arguments = std::array<uint64_t, 6>;

int64_t make(uint64_t number, const Arguments& argument) {
  return sys::call(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                   argument[5]);
}

// Nobody writes a file that is being executed. What the kernel says of rights comes first.
int64_t open_to_write(uint64_t number, const Arguments& argument, uint64_t* flags) {
  *flags &= ~uint64_t{O_TRUNC | O_CREAT};
  const int64_t answer = make(number, argument);
  if (sys::failed(answer)) return answer;
  sys::close(static_cast<sys::Fd>(answer));
  return -ETXTBSY;
}

// The copy had the lowest descriptor, which the program's is to have.
int64_t open_copy(uint64_t number, const Arguments& argument, uint64_t flags, OwnExe* own) {
  int64_t opened = 0;
  {
    const BeyondLimit room;
    opened = make(number, argument);
  }
  own->give_up_copy();
  if (sys::failed(opened)) return opened;
  const uint64_t command = (flags & O_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC : F_DUPFD;
  const int64_t lowest = sys::call(__NR_fcntl, static_cast<uint64_t>(opened), command, 0);
  sys::close(opened);
  return lowest;
}

bool writes(uint64_t open_flags) {
  return (open_flags & O_PATH) == 0 && (open_flags & (O_WRONLY | O_RDWR | O_TRUNC)) != 0;
}

// Of a call that writes, and is not told of rights by flags of open.
int64_t refuse_to_write(const char* path) {
  const int64_t opened = sys::call(__NR_open, Memory::address_of(path).value, O_WRONLY | O_CLOEXEC);
  if (sys::failed(opened)) return opened;
  sys::close(static_cast<sys::Fd>(opened));
  return -ETXTBSY;
}

bool gives_descriptor(uint64_t number) {
  const PathUse use = path_call(number)->slot[0].use;
  return use == PathUse::kOpen || number == __NR_open_tree || number == SYSLOAD_NR_OPEN_TREE_ATTR;
}

// By a name that may be a link to a file. What executes is follow.cc's.
bool may_follow_exe(const PathSlot& slot) {
  if (slot.form != PathForm::kString || slot.last == LastLink::kNamed) return false;
  switch (slot.use) {
    case PathUse::kNothing:
    case PathUse::kExecute:
    case PathUse::kEnter:
    case PathUse::kRoot:
      return false;
    default:
      return true;
  }
}

// They write, for which nobody has a right but the kernel's administrator: they are told of
// sysload's file what they would be told of the program's.
bool is_administrators(uint64_t number) {
  switch (number) {
    case __NR_acct:
    case __NR_quotactl:
    case __NR_swapon:
    case __NR_swapoff:
    case __NR_uselib:
      return true;
    default:
      return false;
  }
}

// openat2 is then called with what was read. False: it asks for more than a path.
// Source: linux, include/uapi/linux/openat2.h: a larger structure is a later kernel's.
bool read_how(Arguments& argument, open_how* how) {
  constexpr int64_t kSize = sizeof(*how);
  if (argument[3] != kSize ||
      read_program(argument[2], Memory::bytes(Memory::address_of(how), kSize)) != kSize)
    return false;
  argument[2] = Memory::address_of(how).value;
  return how->resolve == 0;
}

// Elsewhere nothing is read, as in serve.S: who traces the program would see that.
bool may_be_path(uint64_t address) {
  constexpr uint64_t kFirst = 0x10000, kKernels = uint64_t{1} << 56;
  return address >= kFirst && address < kKernels;
}

// Whether this name, of which a call has `flags`, leads through the link.
bool is_own_exe(const PathSlot& slot, const Arguments& argument, uint64_t flags) {
  char name[64];
  const int32_t directory =
      slot.directory == kNoArgument ? AT_FDCWD : static_cast<int32_t>(argument[slot.directory]);
  return may_follow_exe(slot) && may_be_path(argument[slot.name]) &&
         follows_last(slot, flags, slot.use == PathUse::kOpen ? flags : 0) &&
         read_program_string(argument[slot.name], name, sizeof(name)) >= 0 &&
         is_exe_link(directory, name);
}

int64_t make_by_path(uint64_t number, Arguments& argument, uint64_t* flags, OwnExe* own) {
  if (!own->found()) return -ENOENT;
  if (number == __NR_creat || number == __NR_truncate) return refuse_to_write(own->path());
  const bool opens = path_call(number)->slot[0].use == PathUse::kOpen;
  if (opens && writes(*flags)) return open_to_write(number, argument, flags);
  if (own->is_copy() && gives_descriptor(number)) return open_copy(number, argument, *flags, own);
  return make(number, argument);
}

}  // namespace

bool serve_own_exe(uint64_t number, const uint64_t (&asked)[6], int64_t* answer) {
  if (sysload_state.exe_size == 0 || !takes_path_of_exe(number)) return false;
  Arguments argument;
  std::copy(std::begin(asked), std::end(asked), argument.begin());
  open_how how{};
  if (number == __NR_openat2 && !read_how(argument, &how)) return false;
  // What the kernel says of it comes before the path.
  if (number == __NR_truncate && static_cast<int64_t>(asked[1]) < 0) return false;
  static_assert(sizeof(how.flags) == sizeof(uint64_t));
  const auto& slots = path_call(number, asked)->slot;
  uint64_t none = 0;
  uint64_t* flags = &none;
  bool is_named[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    if (slots[i].flags != kNoArgument) flags = &argument[slots[i].flags];
    if (number == __NR_openat2) flags = Memory::at<uint64_t>(Memory::address_of(&how.flags));
    is_named[i] = is_own_exe(slots[i], argument, *flags);
  }
  if (!is_named[0] && !is_named[1]) return false;
  OwnExe own;
  for (size_t i = 0; i < 2; ++i)
    if (is_named[i]) argument[slots[i].name] = Memory::address_of(own.path()).value;
  *answer = make_by_path(number, argument, flags, &own);
  return true;
}

bool takes_path_of_exe(uint64_t number) {
  const PathCall* const call = widest_path_call(number);
  return call != nullptr && !is_administrators(number) &&
         (may_follow_exe(call->slot[0]) || may_follow_exe(call->slot[1]));
}

}  // namespace sysrewrite
