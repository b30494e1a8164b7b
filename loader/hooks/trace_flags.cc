// Flags that have something beside them: a field of several bits, or an argument that is only there
// with one of them.

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/openat2.h>
#include <linux/stat.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint32_t kAccessModes = 3;

void print_open_flags(Line& line, uint64_t flags) {
  static constexpr char kModes[4][10] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
  line.text(kModes[flags & kAccessModes]);
  bool first = false;
  const uint64_t rest =
      Names(kNamesOfOpenFlags).known_flags(line, flags & ~uint64_t{kAccessModes}, first);
  if (rest != 0) line.character('|').hex(rest);
}

void print_map_flags(Line& line, uint32_t flags) {
  static constexpr char kTypes[4][20] = {"MAP_FILE", "MAP_SHARED", "MAP_PRIVATE",
                                         "MAP_SHARED_VALIDATE"};
  constexpr unsigned kHugeShift = 26;
  constexpr uint32_t kDroppable = 8;
  const uint32_t type = flags & 15;
  bool first = false;
  if (type < 4) {
    // MAP_FILE is 0, and said only where there is nothing else.
    line.text(kTypes[type]);
  } else if (type == kDroppable) {
    line.text("MAP_DROPPABLE");
  } else {
    line.hex(type).text(" /* MAP_??? */");
  }
  const uint32_t size = flags >> kHugeShift;
  const uint32_t named = flags & ((1U << kHugeShift) - 1);
  const uint64_t rest = Names(kNamesOfMapFlags).known_flags(line, named & ~15U, first);
  if (rest != 0) line.character('|').hex(rest);
  if (size != 0) line.character('|').unsigned_decimal(size).text("<<MAP_HUGE_SHIFT");
}

// The uppermost bits are the logarithm of a page size.
void print_memfd_flags(Line& line, uint32_t flags) {
  constexpr unsigned kHugeShift = 26;
  const uint32_t size = flags >> kHugeShift, named = flags & ((1U << kHugeShift) - 1);
  if (named != 0 || size == 0) Names(kNamesOfMemfdFlags).flags(line, named);
  if (size == 0) return;
  line.text(named != 0 ? "|" : "").unsigned_decimal(size).text("<<MFD_HUGE_SHIFT");
}

// "IPC_CREAT|0600". Of shared memory the uppermost bits are the logarithm of a page size.
template <class Packed>
void print_flags_and_mode(Line& line, const Packed& packed, uint32_t flags, bool has_size) {
  constexpr unsigned kHugeShift = 26;
  bool first = true;
  const uint32_t size = has_size ? flags >> kHugeShift : 0;
  const uint32_t named = has_size ? flags & ((1U << kHugeShift) - 1) : flags;
  const uint64_t rest = Names(packed).known_flags(line, named & ~0777U, first);
  if (rest != 0) {
    line.text(first ? "" : "|").hex(rest);
    first = false;
  }
  if (size != 0) {
    line.text(first ? "" : "|").unsigned_decimal(size).text("<<SHM_HUGE_SHIFT");
    first = false;
  }
  if (!first) line.character('|');
  line.octal(flags & 0777);
}

void print_open_how(const Printer& p) {
  open_how how{};
  constexpr uint64_t kHasMode = O_CREAT | 020000000;  // __O_TMPFILE
  if (p.behind() < sizeof(how)) {
    p.line.address(p.argument());
    return;
  }
  if (!p.fetch(p.argument(), how)) return;
  p.line.text("{flags=");
  print_open_flags(p.line, how.flags);
  if (how.mode != 0 || (how.flags & kHasMode) != 0) field(p.line, "mode").octal(how.mode);
  field(p.line, "resolve");
  Names(kNamesOfResolveFlags).flags(p.line, how.resolve);
  print_bytes_behind(p, p.argument(), sizeof(how), p.behind());
  p.line.character('}');
}

void print_statx_flags(Line& line, uint32_t flags) {
  if ((flags & (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC)) == 0) {
    line.text("AT_STATX_SYNC_AS_STAT");
    bool first = false;
    const uint64_t rest = Names(kNamesOfStatxFlags).known_flags(line, flags, first);
    if (rest != 0) line.character('|').hex(rest);
  } else {
    Names(kNamesOfStatxFlags).flags(line, flags);
  }
}

// mount: an old magic number in the upper half, and MS_MGC_VAL is said.
void print_mount_flags(Line& line, uint64_t flags) {
  constexpr uint64_t kMagic = 0xc0ed0000, kMagicMask = 0xffff0000;
  if ((flags & kMagicMask) == kMagic) {
    line.text("MS_MGC_VAL");
    flags &= ~kMagicMask;
    if (flags == 0) return;
    line.character('|');
  }
  Names(kNamesOfMountFlags).flags(line, flags);
}

void print_fanotify_flags(Line& line, uint32_t flags) {
  constexpr uint32_t kClass = 12;
  static constexpr char kClasses[4][22] = {"FAN_CLASS_NOTIF", "FAN_CLASS_CONTENT",
                                           "FAN_CLASS_PRE_CONTENT", ""};
  if ((flags & kClass) == kClass) {
    line.text("0xc /* FAN_CLASS_??? */");
  } else {
    line.text(kClasses[(flags & kClass) >> 2]);
  }
  bool first = false;
  const uint64_t rest = Names(kNamesOfFanotifyFlags).known_flags(line, flags & ~kClass, first);
  if (rest != 0) line.character('|').hex(rest);
}

}  // namespace

void print_mode(Line& line, uint32_t mode) {
  const uint32_t type = mode & S_IFMT;
  const Names types(kNamesOfFileTypes);
  if (types.has(type)) {
    types.value(line, type);
    line.character('|');
  } else if (type != 0) {
    line.octal(mode);
    return;
  }
  if ((mode & S_ISUID) != 0) line.text("S_ISUID|");
  if ((mode & S_ISGID) != 0) line.text("S_ISGID|");
  if ((mode & S_ISVTX) != 0) line.text("S_ISVTX|");
  line.octal(mode & ~uint32_t{S_IFMT | S_ISUID | S_ISGID | S_ISVTX});
}

void print_device(Line& line, uint64_t device) {
  const uint64_t major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xfffff000);
  const uint64_t minor = (device & 0xff) | ((device >> 12) & 0xffffff00);
  line.text("makedev(").hex(major).text(", ").hex(minor).character(')');
}

void print_personality(Line& line, uint32_t personality) {
  constexpr uint32_t kType = 0xff;
  bool first = false;
  Names(kNamesOfPersonalities).value(line, personality & kType);
  const uint64_t rest =
      Names(kNamesOfPersonalityBits).known_flags(line, personality & ~kType, first);
  if (rest != 0) line.character('|').hex(rest);
}

void print_flags(Printer& p, Kind kind) {
  const uint64_t value = p.argument();
  const auto low = static_cast<uint32_t>(value);
  switch (kind) {
    case Kind::OpenHowFlags:
      return print_open_flags(p.line, low);
    case Kind::DescriptorFlags:
      return Names(kNamesOfOpenFlags).flags(p.line, low);
    case Kind::MapHow:
      return print_map_flags(p.line, low);
    case Kind::ShmgetHow:
      return print_flags_and_mode(p.line, kNamesOfShmgetFlags, low, true);
    case Kind::SemgetHow:
      return print_flags_and_mode(p.line, kNamesOfSemgetFlags, low, false);
    case Kind::MemfdHow:
      return print_memfd_flags(p.line, low);
    case Kind::NodeMode:
      return print_mode(p.line, static_cast<uint16_t>(value));
    case Kind::NodeDevice:
      return print_device(p.line, low);
    case Kind::StatxHow:
      return print_statx_flags(p.line, low);
    case Kind::BindMode:
      return Names(kNamesOfPolicies).value(p.line, value);
    case Kind::MountHow:
      return print_mount_flags(p.line, value);
    case Kind::MountData:
      return print_string(p, value);
    case Kind::FanotifyHow:
      return print_fanotify_flags(p.line, low);
    case Kind::CreateMode:
      p.line.octal(static_cast<uint16_t>(value));
      return;
    case Kind::OpenHow:
      return print_open_how(p);
    case Kind::Personality:
      if (low == 0xffffffff) {
        p.line.hex(low);
      } else {
        print_personality(p.line, low);
      }
      return;
    default:
      p.line.address(value);
  }
}

}  // namespace sysrewrite::trace
