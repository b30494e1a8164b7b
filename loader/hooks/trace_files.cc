// What files are: stat and its kin, directories, fcntl.

#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

void print_stat(const Printer& p) {
  struct stat status {};
  if (!p.fetch_result(p.argument(), status)) return;
  p.line.text("{st_mode=");
  print_mode(p.line, status.st_mode);
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    field(p.line, "st_rdev");
    print_device(p.line, status.st_rdev);
  } else {
    field(p.line, "st_size").unsigned_decimal(static_cast<uint64_t>(status.st_size));
  }
  p.line.text(", ...}");
}

void print_statx(const Printer& p) {
  struct statx status {};
  if (!p.fetch_result(p.argument(), status)) return;
  field(p.line, "stx_mask", true);
  Names(kNamesOfStatxMask).flags(p.line, status.stx_mask);
  field(p.line, "stx_attributes");
  Names(kNamesOfStatxAttributes).flags(p.line, status.stx_attributes);
  if ((status.stx_mask & (STATX_TYPE | STATX_MODE)) != 0) {
    field(p.line, "stx_mode");
    print_mode(p.line, status.stx_mode);
  }
  if ((status.stx_mask & STATX_SIZE) != 0)
    field(p.line, "stx_size").unsigned_decimal(status.stx_size);
  p.line.text(", ...}");
}

void print_statfs(const Printer& p) {
  struct statfs status {};
  if (!p.fetch_result(p.argument(), status)) return;
  field(p.line, "f_type", true);
  const Names types(kNamesOfFileSystems);
  const auto type = static_cast<uint64_t>(status.f_type);
  if (types.has(type)) {
    types.value(p.line, type);
  } else {
    p.line.hex(type);
  }
  field(p.line, "f_bsize").unsigned_decimal(static_cast<uint64_t>(status.f_bsize));
  field(p.line, "f_blocks").unsigned_decimal(static_cast<uint64_t>(status.f_blocks));
  field(p.line, "f_bfree").unsigned_decimal(static_cast<uint64_t>(status.f_bfree));
  field(p.line, "f_bavail").unsigned_decimal(static_cast<uint64_t>(status.f_bavail));
  field(p.line, "f_files").unsigned_decimal(static_cast<uint64_t>(status.f_files));
  field(p.line, "f_ffree").unsigned_decimal(static_cast<uint64_t>(status.f_ffree));
  p.line.text(", f_fsid={val=[").hex(static_cast<uint32_t>(status.f_fsid.val[0])).text(", ");
  p.line.hex(static_cast<uint32_t>(status.f_fsid.val[1])).text("]}");
  field(p.line, "f_namelen").unsigned_decimal(static_cast<uint64_t>(status.f_namelen));
  field(p.line, "f_frsize").unsigned_decimal(static_cast<uint64_t>(status.f_frsize));
  constexpr uint64_t kValid = 0x20;  // ST_VALID
  const auto flags = static_cast<uint64_t>(status.f_flags);
  if ((flags & kValid) != 0) {
    field(p.line, "f_flags");
    Names(kNamesOfStatFsFlags).flags(p.line, flags);
  }
  p.line.character('}');
}

// How many entries the kernel wrote: each says how long it is, in the two bytes behind the inode
// and the offset.
void print_entries(const Printer& p) {
  constexpr uint64_t kLengthAt = 16, kLeast = 19;
  p.line.address(p.argument());
  if (p.failed()) return;
  const auto size = static_cast<uint64_t>(p.call.result);
  uint64_t count = 0;
  uint16_t length = 0;
  for (uint64_t at = 0; at + kLeast <= size; at += length) {
    if (!p.peek(p.argument() + at + kLengthAt, length) || length < kLeast) break;
    ++count;
  }
  p.line.text(" /* ").unsigned_decimal(count).text(count == 1 ? " entry */" : " entries */");
}

void print_pipe(const Printer& p) {
  int32_t ends[2]{};
  if (!p.fetch_result(p.argument(), ends)) return;
  p.line.character('[').decimal(ends[0]).text(", ").decimal(ends[1]).character(']');
}

void print_number(const Printer& p) {
  uint32_t number = 0;
  if (!p.fetch_result(p.argument(), number)) return;
  p.line.character('[').unsigned_decimal(number).character(']');
}

void print_word(const Printer& p, bool is_address) {
  uint64_t word = 0;
  if (!p.fetch_result(p.argument(), word)) return;
  p.line.character('[');
  is_address ? p.line.address(word) : p.line.unsigned_decimal(word);
  p.line.character(']');
}

// mincore: for each page a byte, of which the lowest bit says whether it is there.
void print_pages(const Printer& p) {
  constexpr uint64_t kPage = 4096;
  const uint64_t size = p.call.argument[1];
  const uint64_t count = size / kPage + (size % kPage != 0 ? 1 : 0);
  if (p.failed() && count != 0) {
    p.line.address(p.argument());
    return;
  }
  uint8_t byte = 0;
  print_array(p, p.argument(), count, 1, [&](uint64_t at) {
    if (p.fetch(at, byte)) p.line.unsigned_decimal(byte & 1);
  });
}

void print_user_id(const Printer& p) {
  uint32_t id = 0;
  if (p.fetch_result(p.argument(), id)) p.line.character('[').user_id(id).character(']');
}

void print_groups(const Printer& p, uint64_t count) {
  uint32_t group = 0;
  print_array(p, p.argument(), count, sizeof(group), [&](uint64_t at) {
    if (p.fetch(at, group)) p.line.user_id(group);
  });
}

void print_offset(const Printer& p) {
  int64_t offset = 0;
  if (p.fetch(p.argument(), offset)) p.line.character('[').decimal(offset).character(']');
}

// sendfile: where it stood, and where it stands now.
void print_moved_offset(const Printer& p) {
  uint64_t offset = 0;
  if (!p.leaving) {
    if (p.fetch(p.argument(), offset))
      p.line.character('[').unsigned_decimal(offset).character(']');
  } else if (!p.failed() && p.call.result != 0 && p.argument() != 0 &&
             p.peek(p.argument(), offset)) {
    p.line.text(" => [").unsigned_decimal(offset).character(']');
  }
}

void print_lock(const Printer& p, bool with_owner) {
  struct {
    int16_t type, whence;
    int32_t unused;
    int64_t start, length;
    int32_t owner, padding;
  } lock{};
  static_assert(sizeof(lock) == 32);  // struct flock of x86-64
  if (!p.fetch(p.argument(), lock)) return;
  field(p.line, "l_type", true);
  Names(kNamesOfLockTypes).value(p.line, static_cast<uint16_t>(lock.type));
  field(p.line, "l_whence");
  Names(kNamesOfWhences).value(p.line, static_cast<uint16_t>(lock.whence));
  field(p.line, "l_start").decimal(lock.start);
  field(p.line, "l_len").decimal(lock.length);
  if (with_owner) field(p.line, "l_pid").decimal(lock.owner);
  p.line.character('}');
}

constexpr uint32_t kOpenGetLock = 36, kOpenSetLock = 37, kOpenSetLockWait = 38;  // F_OFD_*
constexpr uint32_t kNotify = 1026, kDuplicate = 1030, kSetPipeSize = 1031, kAddSeals = 1033,
                   kSetLease = 1024;

// struct f_owner_ex: who is told that a descriptor is ready.
void print_owner(const Printer& p) {
  struct {
    int32_t type, id;
  } owner{};
  if (!p.fetch(p.argument(), owner)) return;
  field(p.line, "type", true);
  Names(kNamesOfOwnerTypes).value(p.line, static_cast<uint32_t>(owner.type));
  field(p.line, "pid").decimal(owner.id).character('}');
}

void print_fcntl_argument(const Printer& p) {
  const uint64_t value = p.argument();
  const auto low = static_cast<uint32_t>(value);
  switch (static_cast<uint32_t>(p.call.argument[1])) {
    case F_DUPFD:
    case kDuplicate:
    case kSetPipeSize:
      p.line.decimal(static_cast<int64_t>(value));
      return;
    case F_SETOWN:
      p.line.decimal(static_cast<int32_t>(low));
      return;
    case F_SETFD:
      return Names(kNamesOfDescriptorFlagsSet).flags(p.line, low);
    case F_SETFL:
      return print_flags(const_cast<Printer&>(p), Kind::OpenHowFlags);
    case F_SETSIG:
      return print_argument(const_cast<Printer&>(p), Kind::Signals);
    case F_SETLK:
    case F_SETLKW:
    case kOpenSetLock:
    case kOpenSetLockWait:
      return print_lock(p, false);
    case F_GETLK:
    case kOpenGetLock:
      if (!p.failed()) return print_lock(p, true);
      p.line.address(value);
      return;
    case kAddSeals:
      return Names(kNamesOfSeals).flags(p.line, value);
    case kSetLease:
      return Names(kNamesOfLeases).value(p.line, value);
    case kNotify:
      return Names(kNamesOfNotifications).flags(p.line, value);
    case F_GETOWN_EX:
      if (!p.failed()) return print_owner(p);
      p.line.address(value);
      return;
    case F_SETOWN_EX:
      return print_owner(p);
    default:
      p.line.hex(value);
  }
}

}  // namespace

void print_file(Printer& p, Kind kind) {
  switch (kind) {
    case Kind::Stat:
      return print_stat(p);
    case Kind::Statx:
      return print_statx(p);
    case Kind::Statfs:
      return print_statfs(p);
    case Kind::Dirents:
    case Kind::Dirents64:
      return print_entries(p);
    case Kind::PipeFds:
      return print_pipe(p);
    case Kind::NumberOut:
      return print_number(p);
    case Kind::UserIdOut:
      return print_user_id(p);
    case Kind::AddressOut:
    case Kind::SizeOut:
      return print_word(p, kind == Kind::AddressOut);
    case Kind::PagesOut:
      return print_pages(p);
    case Kind::Groups:
      return print_groups(p, static_cast<uint32_t>(p.call.argument[0]));
    case Kind::GroupsOut:
      // Asked for none, the kernel only counts them.
      if (p.failed() || (p.call.argument[0] == 0 && p.call.result != 0)) {
        p.line.address(p.argument());
      } else {
        print_groups(p, static_cast<uint64_t>(p.call.result));
      }
      return;
    case Kind::OffsetIn:
      return print_offset(p);
    case Kind::OffsetInOut:
      return print_moved_offset(p);
    case Kind::FcntlArgument:
      return print_fcntl_argument(p);
    default:
      p.line.address(p.argument());
  }
}

}  // namespace sysrewrite::trace
