// Processes: how they begin and end, what they may use, and the system around them.

#include <asm/unistd.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint64_t kSignalMask = 0xff;  // of clone's flags: what the parent is sent

void print_signal(Line& line, uint64_t number) {
  const Names names(kNamesOfSignals);
  if (names.has(number)) {
    names.value(line, number);
  } else {
    line.unsigned_decimal(number);
  }
}

// The identifier that the kernel stored, where it did.
void print_stored_id(const Printer& p, uint64_t address) {
  int32_t id = 0;
  if (!p.failed() && address != 0 && p.peek(address, id)) {
    p.line.character('[').decimal(id).character(']');
  } else {
    p.line.address(address);
  }
}

// x86-64's order is flags, stack, parent's and child's place for the identifier, thread storage.
void print_clone(const Printer& p) {
  const uint64_t flags = p.call.argument[0];
  p.line.text("child_stack=").address(p.call.argument[1]).text(", flags=");
  bool first = true;
  const uint64_t rest = Names(kNamesOfClone3Flags).known_flags(p.line, flags & 0xffffff00, first);
  const uint64_t unknown = rest | (flags & ~uint64_t{0xffffffff});
  if (unknown != 0) {
    p.line.text(first ? "" : "|").hex(unknown);
    first = false;
  }
  if ((flags & kSignalMask) != 0 || first) {
    if (!first) p.line.character('|');
    print_signal(p.line, flags & kSignalMask);
  }
  if ((flags & (CLONE_PARENT_SETTID | CLONE_PIDFD)) != 0) {
    p.line.text(", parent_tid=");
    print_stored_id(p, p.call.argument[2]);
  }
  if ((flags & CLONE_SETTLS) != 0) p.line.text(", tls=").address(p.call.argument[4]);
  if ((flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) != 0)
    p.line.text(", child_tidptr=").address(p.call.argument[3]);
}

constexpr uint64_t kCloneArgumentsLeast = 64;

bool fetch_clone_arguments(const Printer& p, clone_args& arguments) {
  const uint64_t size = p.behind() < sizeof(arguments) ? p.behind() : sizeof(arguments);
  return size >= kCloneArgumentsLeast && p.argument() != 0 &&
         p.api.read(&arguments, p.argument(), size) == static_cast<int64_t>(size);
}

// The identifiers that the new process is to have, one for each namespace.
void print_wanted_ids(const Printer& p, uint64_t address, uint64_t count) {
  constexpr uint64_t kMostLevels = 32;  // MAX_PID_NS_LEVEL
  if (count == 0 || count > kMostLevels) {
    p.line.address(address);
    return;
  }
  int32_t id = 0;
  print_array(p, address, count, sizeof(id), [&](uint64_t at) {
    if (p.fetch(at, id)) p.line.decimal(id);
  });
}

void print_clone_arguments(const Printer& p) {
  clone_args a{};
  if (!fetch_clone_arguments(p, a)) {
    p.line.address(p.argument());
    return;
  }
  field(p.line, "flags", true);
  Names(kNamesOfClone3Flags).flags(p.line, a.flags);
  if ((a.flags & CLONE_PIDFD) != 0) field(p.line, "pidfd").address(a.pidfd);
  if ((a.flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) != 0)
    field(p.line, "child_tid").address(a.child_tid);
  if ((a.flags & CLONE_PARENT_SETTID) != 0) field(p.line, "parent_tid").address(a.parent_tid);
  field(p.line, "exit_signal");
  print_signal(p.line, a.exit_signal);
  field(p.line, "stack").address(a.stack);
  field(p.line, "stack_size").hex(a.stack_size);
  if ((a.flags & CLONE_SETTLS) != 0) field(p.line, "tls").address(a.tls);
  if (a.set_tid != 0 || a.set_tid_size != 0) {
    field(p.line, "set_tid");
    print_wanted_ids(p, a.set_tid, a.set_tid_size);
    field(p.line, "set_tid_size").unsigned_decimal(a.set_tid_size);
  }
  if ((a.flags & CLONE_INTO_CGROUP) != 0) field(p.line, "cgroup").unsigned_decimal(a.cgroup);
  print_bytes_behind(p, p.argument(), sizeof(a), p.behind());
  p.line.character('}');
}

// What clone3 stored, behind what it was given.
void print_clone_results(const Printer& p) {
  clone_args a{};
  if (p.failed() || !fetch_clone_arguments(p, a)) return;
  if ((a.flags & (CLONE_PIDFD | CLONE_PARENT_SETTID)) == 0) return;
  p.line.text(" => ");
  if ((a.flags & CLONE_PIDFD) != 0) {
    field(p.line, "pidfd", true);
    print_stored_id(p, a.pidfd);
  }
  if ((a.flags & CLONE_PARENT_SETTID) != 0) {
    field(p.line, "parent_tid", (a.flags & CLONE_PIDFD) == 0);
    print_stored_id(p, a.parent_tid);
  }
  p.line.character('}');
}

// As the macros of wait(2) take it apart.
void print_wait_status(const Printer& p) {
  uint32_t status = 0;
  if (p.failed() || p.call.result == 0) {
    p.line.address(p.argument());
    return;
  }
  if (!p.fetch(p.argument(), status)) return;
  const uint32_t signal = status & 0x7f;
  p.line.character('[');
  if (status == 0xffff) {
    p.line.text("{WIFCONTINUED(s)}]");
    return;
  }
  if ((status & 0xff) == 0x7f) {
    p.line.text("{WIFSTOPPED(s) && WSTOPSIG(s) == ");
    print_signal(p.line, (status >> 8) & 0x7f);
    if (((status >> 8) & 0x80) != 0) p.line.text(" | 0x80");
  } else if (signal == 0) {
    p.line.text("{WIFEXITED(s) && WEXITSTATUS(s) == ").unsigned_decimal((status >> 8) & 0xff);
  } else {
    p.line.text("{WIFSIGNALED(s) && WTERMSIG(s) == ");
    print_signal(p.line, signal);
    if ((status & 0x80) != 0) p.line.text(" && WCOREDUMP(s)");
  }
  p.line.text("}]");
}

void print_usage(const Printer& p) {
  struct rusage usage {};
  const uint64_t address = p.argument();
  const bool is_empty = static_cast<uint32_t>(p.call.number) == __NR_wait4 && p.call.result == 0;
  if (p.failed() || is_empty) {
    p.line.address(address);
    return;
  }
  if (!p.fetch(address, usage)) return;
  field(p.line, "ru_utime", true);
  print_timeval(p, address);
  field(p.line, "ru_stime");
  print_timeval(p, address + sizeof(usage.ru_utime));
  p.line.text(", ...}");
}

void print_limit(Line& line, uint64_t limit) {
  if (limit == ~uint64_t{0}) {
    line.text("RLIM64_INFINITY");
  } else if (limit > 1024 && limit % 1024 == 0) {
    line.unsigned_decimal(limit / 1024).text("*1024");
  } else {
    line.unsigned_decimal(limit);
  }
}

void print_limits(const Printer& p) {
  uint64_t limits[2]{};
  if (!p.fetch(p.argument(), limits)) return;
  field(p.line, "rlim_cur", true);
  print_limit(p.line, limits[0]);
  field(p.line, "rlim_max");
  print_limit(p.line, limits[1]);
  p.line.character('}');
}

void print_processors(const Printer& p, uint64_t size) {
  uint64_t word = 0;
  if (p.argument() == 0 || (size > 0 && !p.peek(p.argument(), word))) {
    p.line.address(p.argument());
    return;
  }
  p.line.character('[');
  bool first = true;
  for (uint64_t i = 0;
       i < size / sizeof(word) && i < 1024 && p.peek(p.argument() + i * sizeof(word), word); ++i) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((word >> bit & 1) == 0) continue;
      if (!first) p.line.character(' ');
      first = false;
      p.line.unsigned_decimal(i * 64 + bit);
    }
  }
  p.line.character(']');
}

void print_system(const Printer& p) {
  new_utsname names{};
  if (!p.fetch(p.argument(), names)) return;
  p.line.text("{sysname=");
  print_path(p, p.argument());  // whole, as a path is
  field(p.line, "nodename");
  print_path(p, p.argument() + sizeof(names.sysname));
  p.line.text(", ...}");
}

void print_sysinfo(const Printer& p) {
  struct sysinfo info {};
  if (!p.fetch(p.argument(), info)) return;
  field(p.line, "uptime", true).unsigned_decimal(static_cast<uint64_t>(info.uptime));
  p.line.text(", loads=[")
      .unsigned_decimal(info.loads[0])
      .text(", ")
      .unsigned_decimal(info.loads[1]);
  p.line.text(", ").unsigned_decimal(info.loads[2]).character(']');
  field(p.line, "totalram").unsigned_decimal(info.totalram);
  field(p.line, "freeram").unsigned_decimal(info.freeram);
  field(p.line, "sharedram").unsigned_decimal(info.sharedram);
  field(p.line, "bufferram").unsigned_decimal(info.bufferram);
  field(p.line, "totalswap").unsigned_decimal(info.totalswap);
  field(p.line, "freeswap").unsigned_decimal(info.freeswap);
  field(p.line, "procs").unsigned_decimal(info.procs);
  field(p.line, "totalhigh").unsigned_decimal(info.totalhigh);
  field(p.line, "freehigh").unsigned_decimal(info.freehigh);
  field(p.line, "mem_unit").unsigned_decimal(info.mem_unit).character('}');
}

void print_priority(const Printer& p) {
  int32_t priority = 0;
  if (p.fetch(p.argument(), priority)) p.line.character('[').decimal(priority).character(']');
}

}  // namespace

void print_process(Printer& p, Kind kind) {
  if (kind == Kind::Clone) return print_clone(p);
  if (kind == Kind::CloneArguments)
    return p.leaving ? print_clone_results(p) : print_clone_arguments(p);
  if (kind == Kind::CapabilityHeader || kind == Kind::CapabilitySets ||
      kind == Kind::CapabilitiesOut)
    return print_capability(p, kind);
  if (is_out(kind) && p.failed()) {
    p.line.address(p.argument());
    return;
  }
  switch (kind) {
    case Kind::WaitStatus:
      return print_wait_status(p);
    case Kind::RusageOut:
      return print_usage(p);
    case Kind::Rlimit:
    case Kind::RlimitOut:
      return print_limits(p);
    case Kind::SchedParam:
    case Kind::SchedParamOut:
      return print_priority(p);
    case Kind::CpuSet:
      return print_processors(p, static_cast<uint32_t>(p.call.argument[1]));
    case Kind::CpuSetOut:
      return print_processors(p, static_cast<uint64_t>(p.call.result));
    case Kind::Utsname:
      return print_system(p);
    case Kind::Sysinfo:
      return print_sysinfo(p);
    case Kind::Groups:
      return print_file(p, kind);
    default:
      p.line.address(p.argument());
  }
}

}  // namespace sysrewrite::trace
