// Message queues, semaphores and shared memory: POSIX's and System V's.

#include <asm/msgbuf.h>
#include <asm/sembuf.h>
#include <asm/shmbuf.h>
#include <asm/unistd.h>
#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>

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

// msgsnd and msgrcv: the type, and as many bytes of text as the call says.
void print_typed_message(const Printer& p, uint64_t size) {
  int64_t type = 0;
  if (!p.fetch(p.argument(), type)) return;
  field(p.line, "mtype", true).decimal(type);
  field(p.line, "mtext");
  print_buffer(p, p.argument() + sizeof(type), size);
  p.line.character('}');
}

// --- msgctl, semctl and shmctl -------------------------------------------------------------------

enum class Control : uint8_t { kOther, kSet, kState, kLimits, kUsage };

Control control_of(const sysload_call& call) {
  const auto number = static_cast<uint32_t>(call.number);
  switch (static_cast<uint32_t>(call.argument[number == __NR_semctl ? 2 : 1])) {
    case IPC_SET:
      return Control::kSet;
    case IPC_STAT:
      return Control::kState;
    case IPC_INFO:
      return Control::kLimits;
    case MSG_STAT:
      return number == __NR_msgctl ? Control::kState : Control::kOther;
    case MSG_INFO:
      return number == __NR_msgctl ? Control::kUsage : Control::kOther;
    case MSG_STAT_ANY:  // and SHM_STAT
      return number == __NR_semctl ? Control::kOther : Control::kState;
    case SHM_INFO:
      return number == __NR_shmctl ? Control::kUsage : Control::kOther;
    case SHM_STAT_ANY:
      return number == __NR_shmctl ? Control::kState : Control::kOther;
    case SEM_STAT:
    case SEM_STAT_ANY:
      return number == __NR_semctl ? Control::kState : Control::kOther;
    case SEM_INFO:
      return number == __NR_semctl ? Control::kUsage : Control::kOther;
    default:
      return Control::kOther;
  }
}
static_assert(MSG_STAT_ANY == SHM_STAT);

// Who may use it. What is set is less than what there is.
void print_permissions(Line& line, const char* name, const ipc64_perm& permissions, bool all) {
  field(line, name, true);
  field(line, "uid", true).user_id(permissions.uid);
  field(line, "gid").user_id(permissions.gid);
  field(line, "mode").octal(permissions.mode);
  if (all) {
    field(line, "key").unsigned_decimal(static_cast<uint32_t>(permissions.key));
    field(line, "cuid").user_id(permissions.cuid);
    field(line, "cgid").user_id(permissions.cgid);
  }
  line.character('}');
}

void print_numbers(Line& line, const char* names, const int32_t* numbers, unsigned count) {
  // The names stand one behind the other, each ended by a NUL.
  for (unsigned i = 0; i < count; ++i) {
    field(line, names, i == 0).decimal(numbers[i]);
    while (*names++ != 0) {
    }
  }
}

void print_unsigned(Line& line, const char* names, const uint64_t* numbers, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    field(line, names, i == 0).unsigned_decimal(numbers[i]);
    while (*names++ != 0) {
    }
  }
}

void print_queue(const Printer& p, bool all) {
  msqid64_ds queue{};
  if (!p.fetch(p.argument(), queue)) return;
  Line& line = p.line;
  print_permissions(line, "msg_perm", queue.msg_perm, all);
  if (all) {
    field(line, "msg_stime").unsigned_decimal(static_cast<uint64_t>(queue.msg_stime));
    field(line, "msg_rtime").unsigned_decimal(static_cast<uint64_t>(queue.msg_rtime));
    field(line, "msg_ctime").unsigned_decimal(static_cast<uint64_t>(queue.msg_ctime));
    field(line, "msg_qnum").unsigned_decimal(queue.msg_qnum);
  }
  field(line, "msg_qbytes").unsigned_decimal(queue.msg_qbytes);
  if (all) {
    field(line, "msg_lspid").decimal(queue.msg_lspid);
    field(line, "msg_lrpid").decimal(queue.msg_lrpid);
  }
  line.character('}');
}

void print_queue_limits(const Printer& p) {
  static constexpr char kNames[] = "msgpool\0msgmap\0msgmax\0msgmnb\0msgmni\0msgssz\0msgtql";
  msginfo info{};
  if (!p.fetch(p.argument(), info)) return;
  const int32_t numbers[] = {info.msgpool, info.msgmap, info.msgmax, info.msgmnb,
                             info.msgmni,  info.msgssz, info.msgtql};
  print_numbers(p.line, kNames, numbers, 7);
  field(p.line, "msgseg").unsigned_decimal(info.msgseg).character('}');
}

void print_semaphore_set(const Printer& p, bool all) {
  semid64_ds set{};
  if (!p.fetch(p.argument(), set)) return;
  print_permissions(p.line, "sem_perm", set.sem_perm, all);
  if (all) {
    field(p.line, "sem_otime").unsigned_decimal(static_cast<uint64_t>(set.sem_otime));
    field(p.line, "sem_ctime").unsigned_decimal(static_cast<uint64_t>(set.sem_ctime));
    field(p.line, "sem_nsems").unsigned_decimal(set.sem_nsems);
  }
  p.line.character('}');
}

void print_semaphore_limits(const Printer& p) {
  static constexpr char kNames[] =
      "semmap\0semmni\0semmns\0semmnu\0semmsl\0semopm\0semume\0semusz\0semvmx\0semaem";
  int32_t numbers[10]{};
  static_assert(sizeof(numbers) == sizeof(seminfo));
  if (!p.fetch(p.argument(), numbers)) return;
  print_numbers(p.line, kNames, numbers, 10);
  p.line.character('}');
}

void print_segment(const Printer& p, bool all) {
  shmid64_ds segment{};
  if (!p.fetch(p.argument(), segment)) return;
  Line& line = p.line;
  print_permissions(line, "shm_perm", segment.shm_perm, all);
  if (all) {
    field(line, "shm_segsz").unsigned_decimal(segment.shm_segsz);
    field(line, "shm_cpid").decimal(segment.shm_cpid);
    field(line, "shm_lpid").decimal(segment.shm_lpid);
    field(line, "shm_nattch").unsigned_decimal(segment.shm_nattch);
    field(line, "shm_atime").unsigned_decimal(static_cast<uint64_t>(segment.shm_atime));
    field(line, "shm_dtime").unsigned_decimal(static_cast<uint64_t>(segment.shm_dtime));
    field(line, "shm_ctime").unsigned_decimal(static_cast<uint64_t>(segment.shm_ctime));
  }
  line.character('}');
}

void print_segment_limits(const Printer& p) {
  static constexpr char kNames[] = "shmmax\0shmmin\0shmmni\0shmseg\0shmall";
  uint64_t numbers[9]{};
  static_assert(sizeof(numbers) == sizeof(shminfo64));
  if (!p.fetch(p.argument(), numbers)) return;
  print_unsigned(p.line, kNames, numbers, 5);
  p.line.character('}');
}

void print_segment_usage(const Printer& p) {
  static constexpr char kNames[] =
      "used_ids\0shm_tot\0shm_rss\0shm_swp\0swap_attempts\0swap_successes";
  shm_info info{};
  if (!p.fetch(p.argument(), info)) return;
  field(p.line, kNames, true).decimal(info.used_ids);
  const uint64_t numbers[] = {info.shm_tot, info.shm_rss, info.shm_swp, info.swap_attempts,
                              info.swap_successes};
  const char* name = kNames;
  for (const uint64_t number : numbers) {
    while (*name++ != 0) {
    }
    field(p.line, name).unsigned_decimal(number);
  }
  p.line.character('}');
}

void print_control(const Printer& p) {
  const Control control = control_of(p.call);
  const auto number = static_cast<uint32_t>(p.call.number);
  const bool is_answer = control != Control::kOther && control != Control::kSet;
  if (control == Control::kOther || (is_answer && p.failed())) {
    p.line.address(p.argument());
  } else if (control == Control::kSet || control == Control::kState) {
    const bool all = control == Control::kState;
    number == __NR_msgctl   ? print_queue(p, all)
    : number == __NR_semctl ? print_semaphore_set(p, all)
                            : print_segment(p, all);
  } else if (number == __NR_shmctl) {
    control == Control::kUsage ? print_segment_usage(p) : print_segment_limits(p);
  } else {
    number == __NR_msgctl ? print_queue_limits(p) : print_semaphore_limits(p);
  }
}

}  // namespace

bool control_answers(const sysload_call& call) {
  const Control control = control_of(call);
  return control != Control::kOther && control != Control::kSet;
}

void print_ipc(Printer& p, Kind kind) {
  switch (kind) {
    case Kind::Semaphores:
      return print_semaphores(p);
    case Kind::TypedMessage:
      return print_typed_message(p, p.behind());
    case Kind::TypedMessageOut:
      // As strace has it: all the room that there was, of which the result says how much came.
      if (!p.failed()) return print_typed_message(p, p.behind());
      p.line.address(p.argument());
      return;
    case Kind::Control:
      return print_control(p);
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
