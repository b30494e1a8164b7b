// Message queues, semaphores and shared memory: POSIX's and System V's.

#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

// What semop does: to which semaphore, how much, how.
void print_semaphores(const Printer& p) {
  struct {
    uint16_t number;
    int16_t operation;
    uint16_t flags;
  } entry{};
  print_array(p, p.argument(), static_cast<uint32_t>(p.behind()), sizeof(entry), [&](uint64_t at) {
    if (!p.fetch(at, entry)) return;
    field(p.line, "sem_num", true).unsigned_decimal(entry.number);
    field(p.line, "sem_op").decimal(entry.operation);
    field(p.line, "sem_flg");
    Names(kNamesOfSemaphoreFlags).flags(p.line, entry.flags);
    p.line.character('}');
  });
}

// struct mq_attr. mq_open takes no notice of the flags, and they have no names there.
void print_queue_attributes(const Printer& p, bool with_names) {
  struct {
    uint64_t flags;
    int64_t most_messages, size, messages, reserved[4];
  } attributes{};
  if (!p.fetch(p.argument(), attributes)) return;
  field(p.line, "mq_flags", true);
  if (with_names) {
    Names(kNamesOfQueueAttributeFlags).flags(p.line, attributes.flags);
  } else {
    p.line.hex(attributes.flags);
  }
  field(p.line, "mq_maxmsg").decimal(attributes.most_messages);
  field(p.line, "mq_msgsize").decimal(attributes.size);
  field(p.line, "mq_curmsgs").decimal(attributes.messages).character('}');
}

}  // namespace

void print_ipc(Printer& p, Kind kind) {
  switch (kind) {
    case Kind::Semaphores:
      return print_semaphores(p);
    case Kind::QueueMode:
      p.line.octal(static_cast<uint16_t>(p.argument()));
      return;
    case Kind::QueueHow:
      return print_queue_attributes(p, false);
    case Kind::QueueAttributes:
      return print_queue_attributes(p, true);
    case Kind::QueueAttributesOut:
      if (!p.failed()) return print_queue_attributes(p, true);
      [[fallthrough]];
    default:
      p.line.address(p.argument());
  }
}

}  // namespace sysrewrite::trace
