// Waiting for descriptors: poll, select, epoll.

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

struct PollEntry {
  int32_t fd;
  int16_t events, revents;
};

void print_asked(const Printer& p) {
  PollEntry entry{};
  print_array(p, p.argument(), static_cast<uint32_t>(p.behind()), sizeof(entry), [&](uint64_t at) {
    if (!p.fetch(at, entry)) return;
    field(p.line, "fd", true).decimal(entry.fd);
    if (entry.fd >= 0) {
      field(p.line, "events");
      Names(kNamesOfPollEvents).flags(p.line, static_cast<uint16_t>(entry.events));
    }
    p.line.character('}');
  });
}

// Those that have something to say.
void print_answered(const Printer& p) {
  PollEntry entry{};
  const auto count = static_cast<uint32_t>(p.call.argument[1]);
  uint32_t shown = 0;
  p.line.character('[');
  for (uint32_t i = 0; i < count && p.peek(p.call.argument[0] + i * sizeof(entry), entry); ++i) {
    if (entry.revents == 0) continue;
    if (shown > 0) p.line.text(", ");
    if (shown++ == kMostElements) {
      p.line.text("...");
      break;
    }
    field(p.line, "fd", true).decimal(entry.fd);
    field(p.line, "revents");
    Names(kNamesOfPollEvents).flags(p.line, static_cast<uint16_t>(entry.revents));
    p.line.character('}');
  }
  p.line.character(']');
}

constexpr int32_t kMost = 65536;  // descriptors of a set that are looked at

// The descriptors of a set of select(2): as many as the first argument says.
void print_set(const Printer& p, uint64_t address) {
  const auto asked = static_cast<int32_t>(p.call.argument[0]);
  const int32_t count = asked < 0 ? 0 : asked < kMost ? asked : kMost;
  uint64_t word = 0;
  if (address == 0 || asked <= 0 || (!p.peek(address, word))) {
    p.line.address(address);
    return;
  }
  p.line.character('[');
  bool first = true;
  for (int32_t fd = 0; fd < count; ++fd) {
    if (fd % 64 == 0 && !p.peek(address + static_cast<uint32_t>(fd) / 8, word)) break;
    if ((word >> (fd % 64) & 1) == 0) continue;
    if (!first) p.line.character(' ');
    first = false;
    p.line.decimal(fd);
  }
  p.line.character(']');
}

bool has_any(const Printer& p, uint64_t address) {
  const auto asked = static_cast<int32_t>(p.call.argument[0]);
  const int32_t count = asked < kMost ? asked : kMost;
  uint64_t word = 0;
  for (int32_t fd = 0; fd < count && p.peek(address + static_cast<uint32_t>(fd) / 8, word);
       fd += 64) {
    if (count - fd < 64) word &= (uint64_t{1} << (count - fd)) - 1;
    if (word != 0) return true;
  }
  return false;
}

// " (in [3], left {...})"
void print_selected(const Printer& p, bool nanoseconds) {
  static constexpr char kSets[3][7] = {"in", "out", "except"};
  const char* separator = " (";
  for (unsigned i = 0; i < 3; ++i) {
    const uint64_t set = p.call.argument[i + 1];
    if (set == 0 || !has_any(p, set)) continue;
    p.line.text(separator).text(kSets[i]).character(' ');
    print_set(p, set);
    separator = ", ";
  }
  const uint64_t timeout = p.call.argument[4];
  if (timeout != 0) {
    p.line.text(separator).text("left ");
    nanoseconds ? print_timespec(p, timeout) : print_timeval(p, timeout);
    separator = ", ";
  }
  if (*separator == ',') p.line.character(')');
}

// Twelve bytes, without a gap between them.
struct EpollEntry {
  uint32_t events, low, high;
};

void print_epoll_entry(const Printer& p, const EpollEntry& entry) {
  field(p.line, "events", true);
  Names(kNamesOfEpollEvents).flags(p.line, entry.events);
  p.line.text(", data={u32=").unsigned_decimal(entry.low);
  p.line.text(", u64=")
      .unsigned_decimal(static_cast<uint64_t>(entry.high) << 32 | entry.low)
      .text("}}");
}

void print_epoll_entries(const Printer& p) {
  EpollEntry entry{};
  if (p.failed()) {
    p.line.address(p.argument());
    return;
  }
  print_array(p, p.argument(), static_cast<uint64_t>(p.call.result), sizeof(entry),
              [&](uint64_t at) {
                if (p.fetch(at, entry)) print_epoll_entry(p, entry);
              });
}

void print_epoll_event(const Printer& p) {
  constexpr uint32_t kDelete = 2;
  EpollEntry entry{};
  if (static_cast<uint32_t>(p.call.argument[1]) == kDelete) {
    p.line.address(p.argument());
  } else if (p.fetch(p.argument(), entry)) {
    print_epoll_entry(p, entry);
  }
}

}  // namespace

void print_event(Printer& p, Kind kind) {
  switch (kind) {
    case Kind::Pollfds:
      return print_asked(p);
    case Kind::Fdset:
      return print_set(p, p.argument());
    case Kind::EpollEvent:
      return print_epoll_event(p);
    case Kind::EpollEventsOut:
      return print_epoll_entries(p);
    default:
      p.line.address(p.argument());
  }
}

void print_ready(const Printer& p, Result result) {
  if (p.failed()) return;
  if (p.call.result == 0) {
    p.line.text(" (Timeout)");
  } else if (result == Result::SelectResult || result == Result::PselectResult) {
    print_selected(p, result == Result::PselectResult);
  } else {
    p.line.text(" (");
    print_answered(p);
    if (result == Result::PpollResult && p.call.argument[2] != 0) {
      p.line.text(", left ");
      print_timespec(p, p.call.argument[2]);
    }
    p.line.character(')');
  }
}

}  // namespace sysrewrite::trace
