// What is known of each call: the kinds of its arguments and of its result, and the classes of the
// filter.
#ifndef LOADER_HOOKS_TRACE_TABLE_H_
#define LOADER_HOOKS_TRACE_TABLE_H_

#include <cstdint>

#include "loader/hooks/trace_names.h"

namespace sysrewrite::trace {

// What an argument is. `In` is printed before the call, `Out` after it: the kernel fills it in.
// `InOut` is printed in two parts. A kind may look at the arguments beside it: a buffer's size
// stands behind it.
enum class Kind : uint16_t {
  None,
  // Numbers.
  Int,
  Uint,
  Long,
  Ulong,
  Hex,
  Hex32,
  Pointer,
  Mode,
  Fd,
  Dirfd,
  Device,
  IpcKey,
  UserId,
  Hidden,
  // Strings and memory.
  Path,
  String,
  Buffer,
  Iovecs,
  RemoteIovecs,
  Argv,
  Envp,
  // Flags with something beside them.
  OpenHowFlags,
  CreateMode,
  DescriptorFlags,
  MapHow,
  RemapAddress,
  ShmgetHow,
  SemgetHow,
  MemfdHow,
  NodeMode,
  NodeDevice,
  StatxHow,
  BindMode,  // a policy, in 64 bits
  MountHow,
  MountData,
  FanotifyHow,
  Personality,
  OpenHow,
  // Times.
  Timespec,
  Timeval,
  Timespecs,
  Timevals,
  Itimerspec,
  Itimerval,
  Utimbuf,
  TimespecBefore,  // as it was before the call, printed behind what the kernel fills in
  Timezone,
  // Processes and signals.
  Sigaction,
  Sigset,
  Sigstack,
  Siginfo,
  Sigevent,
  SigmaskPair,
  SignalFrame,
  Rlimit,
  CapabilityHeader,
  CapabilitySets,
  SchedParam,
  CpuSet,
  Groups,
  FutexOperation,
  FutexValue,
  FutexTimeout,
  FutexSecond,
  FutexThird,
  PrctlArguments,
  ArchArgument,
  FilterProgram,
  PtraceProcess,
  PtraceAddress,
  MembarrierProcessor,
  Resumed,
  // Descriptors.
  Pollfds,
  Fdset,
  EpollEvent,
  FcntlArgument,
  IoctlCommand,
  OffsetIn,
  // Sockets.
  SocketType,
  SocketProtocol,
  SocketOption,
  OptionValue,
  Sockaddr,
  Message,
  // Queues, semaphores and shared memory.
  Semaphores,
  QueueMode,  // of mq_open, as the next one: only there with O_CREAT
  QueueHow,
  QueueAttributes,
  TypedMessage,
  Control,  // of msgctl, semctl and shmctl

  FirstOut,
  OutBuffer = FirstOut,
  OutHexBuffer,
  OutString,
  OutIovecs,
  Dirents,
  Dirents64,
  Stat,
  Statx,
  Statfs,
  PipeFds,
  NumberOut,
  UserIdOut,
  AddressOut,
  SizeOut,
  PagesOut,
  GroupsOut,
  TimespecOut,
  TimevalOut,
  ItimerspecOut,
  ItimervalOut,
  Remaining,
  TimeOut,
  TimerOut,
  TimexOut,
  Tms,
  SigactionOut,
  SigsetOut,
  SigstackOut,
  SiginfoOut,
  WaitStatus,
  RusageOut,
  RlimitOut,
  CapabilitiesOut,
  SchedParamOut,
  CpuSetOut,
  Utsname,
  Sysinfo,
  EpollEventsOut,
  SockaddrOut,
  OptionOut,
  OutMessage,
  OutMessages,
  QueueAttributesOut,
  TypedMessageOut,
  Clone,
  IoctlArgument,

  FirstInOut,
  OffsetInOut = FirstInOut,
  SockaddrLength,
  OptionLength,
  CloneArguments,

  // Each set of names is a kind too.
  FirstNames,
  BeforeNames = FirstNames - 1,
#define NAMES(kind, ...) kind,
#include "loader/hooks/trace_names.inc"
#undef NAMES
  End
};

constexpr bool is_out(Kind kind) {
  return kind >= Kind::FirstOut && kind < Kind::FirstInOut;
}
constexpr bool is_in_out(Kind kind) {
  return kind >= Kind::FirstInOut && kind < Kind::FirstNames;
}

// What stands behind "= ".
enum class Result : uint8_t {
  Decimal,
  HexResult,
  OctalResult,
  PollResult,
  PpollResult,
  SelectResult,
  PselectResult,
  FcntlResult,
  SignalResult,
  TimeResult,
  SchedulerResult,
  PersonalityResult,
  MessagesResult,
  PrctlResult,
  ClockResult,
  MembarrierResult
};

// The classes of the filter: %file and the like. kAnyStatfs holds what %%statfs has beyond %statfs
// and %fstatfs.
enum : uint16_t {
  kFile = 1 << 0,
  kProcess = 1 << 1,
  kNetwork = 1 << 2,
  kSignal = 1 << 3,
  kIpc = 1 << 4,
  kDesc = 1 << 5,
  kMemory = 1 << 6,
  kStat = 1 << 7,
  kLstat = 1 << 8,
  kFstat = 1 << 9,
  kStatfs = 1 << 10,
  kFstatfs = 1 << 11,
  kAnyStatfs = 1 << 12,
  kCreds = 1 << 13,
  kClock = 1 << 14,
  kPure = 1 << 15
};

constexpr unsigned kArguments = 6;

struct CallRow {
  uint16_t number;
  Kind arguments[kArguments];
  Result result;
  uint16_t classes;
};

// Null for a number that has no row.
const CallRow* find_call(uint64_t number);

// Of a kind that is a set of names: prints the value as one of it.
void print_named(Line& line, Kind kind, uint64_t value);
// Whether the set has a name for the value.
bool is_named(Kind kind, uint64_t value);

}  // namespace sysrewrite::trace

#endif  // LOADER_HOOKS_TRACE_TABLE_H_
