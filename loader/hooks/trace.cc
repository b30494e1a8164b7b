// The trace hook: every call as one line, as `strace -f -o FILE` writes it.
//
//     1234  openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
//
// A line has two halves, since before the call the kernel has not filled in what it fills in, and
// behind it what the program gave may be overwritten. The first half, up to the first argument that
// the kernel fills in, is made by the entry hook and kept in the call's memory; the second half is
// added by the exit hook, which writes the line. Lines are thus in the order in which calls end.
//
//     entry            openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC
//     exit                                                                    ) = 3
//     entry            read(3,
//     exit                     "\177ELF"..., 832) = 832
//
// What does not come back is written by the entry hook: exit, exit_group, rt_sigreturn. An execve
// comes back only if it fails. Where the file looks as if it could be executed, the line is written
// before, as strace writes a call that something comes between, and completed by whoever knows how
// it ended: this program, or the new one, which learns of it through memory that both share.
//
//     1234  execve("/bin/ls", ["ls"], 0x7ffd1a2b /* 20 vars */ <unfinished ...>
//     1234  <... execve resumed>)             = 0

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/time.h>

#include <cstring>

#include "loader/hooks/hooks.h"
#include "loader/hooks/trace_halves.h"
#include "loader/hooks/trace_options.h"
#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr uint64_t kLineSize = SYSLOAD_LINE;
constexpr uint64_t kForResult = 512;  // of the line, kept free for the result
constexpr uint64_t kResultColumn = 40;
constexpr uint64_t kBillion = 1000000000;

// Of the whole process tree: who has begun an execve whose line is not complete. The uppermost bit
// says that it is an execveat.
struct Shared {
  static constexpr unsigned kMost = 1000;
  uint32_t executing[kMost];
};

struct Data {
  Options options;
  Shared* shared;  // null where there is no such memory
};

struct ThreadData {
  uint32_t interrupted;  // the call that restart_syscall would resume
};

// scratch of a call; of the second, the length stands above a byte with the index and whether the
// text was cut
enum : unsigned { kText, kLengthAndIndex, kBefore, kTime };
constexpr uint64_t kCut = 128, kIndex = 127;

Data& data_of(sysload_hook* hook) {
  return *static_cast<Data*>(hook->data);
}

uint32_t number_of(const sysload_call& call) {
  return static_cast<uint32_t>(call.number);
}

// Addresses are numbers where a call takes them, and where they are kept in one.
uint64_t address_of(const void* object) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uintptr_t>(object);
}

const char* kept_text(const sysload_call& call) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr)
  return reinterpret_cast<const char*>(call.scratch[kText]);
}

uint64_t now(const sysload_api& api, int clock) {
  uint64_t time[2]{};
  api.syscall(__NR_clock_gettime, static_cast<uint64_t>(clock), address_of(time), 0, 0, 0, 0);
  return time[0] * kBillion + time[1];
}

// "1234  ", and the time where it is asked for.
void print_head(sysload_hook* hook, Line& line, uint64_t tid) {
  line.unsigned_decimal(tid).pad_to(5).character(' ');
  if (!data_of(hook).options.time) return;
  const uint64_t time = now(*hook->api, CLOCK_REALTIME);
  line.unsigned_decimal(time / kBillion)
      .character('.')
      .padded(time % kBillion / 1000, 6)
      .character(' ');
}

void print_name(const sysload_api& api, Line& line, uint32_t number) {
  const char* name = api.call_name(number);
  if (name != nullptr) {
    line.text(name);
  } else {
    line.text("syscall_").hex(number);
  }
}

// A call that the table does not have.
constexpr CallRow kUnknown = {
    0, {Kind::Hex, Kind::Hex, Kind::Hex, Kind::Hex, Kind::Hex, Kind::Hex}, Result::Decimal, 0};

// --- Lines ---------------------------------------------------------------------------------------

// A line under way: room for the arguments, and behind them for the result.
struct Sheet {
  char memory[kLineSize];
  Line arguments{memory, kLineSize - kForResult};
};

// Adds what stands behind the arguments, and writes the line.
template <class PrintResult>
void finish(sysload_hook* hook, Sheet& sheet, uint64_t began, PrintResult print_result_to) {
  Line line(sheet.memory, kLineSize - 1);  // whatever comes, there is room for its end
  line.skip(sheet.arguments.length());
  line.text(sheet.arguments.full() ? "...) " : ") ").pad_to(kResultColumn);
  print_result_to(line);
  if (began != 0) {
    const uint64_t spent = now(*hook->api, CLOCK_MONOTONIC) - began;
    line.text(" <").unsigned_decimal(spent / kBillion).character('.');
    line.padded(spent % kBillion / 1000, 6).character('>');
  }
  sheet.memory[line.length()] = '\n';
  hook->api->emit(hook, line.data(), line.length() + 1);
}

void finish_never(sysload_hook* hook, Sheet& sheet) {
  finish(hook, sheet, 0, [](Line& line) { line.text("= ?"); });
}

// --- Calls that do not return --------------------------------------------------------------------

void print_exited(sysload_hook* hook, uint64_t tid, uint64_t status) {
  Sheet sheet;
  Line& line = sheet.arguments;
  print_head(hook, line, tid);
  line.text("+++ exited with ").unsigned_decimal(status & 0xff).text(" +++\n");
  hook->api->emit(hook, line.data(), line.length());
}

// rt_sigreturn's result is what the interrupted code will find in rax.
void finish_sigreturn(sysload_hook* hook, Sheet& sheet, const sysload_call& call) {
  constexpr uint64_t kRaxAt = 144;  // of the frame: ucontext, gregs
  sysload_call restored = call;
  const bool known =
      hook->api->read(&restored.result, call.stack_pointer + kRaxAt, sizeof(restored.result)) ==
      static_cast<int64_t>(sizeof(restored.result));
  if (!known) return finish_never(hook, sheet);
  finish(hook, sheet, 0, [&](Line& line) {
    print_result(Printer{*hook->api, restored, line, 0, true}, Result::Decimal);
  });
}

bool is_execve(uint32_t number) {
  return number == __NR_execve || number == __NR_execveat;
}

// Whether the kernel is likely to do it: there is a file, and it may be executed.
bool looks_executable(const sysload_api& api, const sysload_call& call) {
  constexpr uint64_t kExecutable = 1;  // X_OK
  const bool at = number_of(call) == __NR_execveat;
  const uint64_t folder = at ? call.argument[0] : static_cast<uint64_t>(AT_FDCWD);
  const uint64_t path = call.argument[at ? 1 : 0];
  const uint64_t flags = at ? call.argument[4] & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) : 0;
  struct stat status {};
  if (api.syscall(__NR_newfstatat, folder, path, address_of(&status), flags, 0, 0) != 0)
    return false;
  return S_ISREG(status.st_mode) &&
         api.syscall(__NR_faccessat2, folder, path, kExecutable, flags | AT_EACCESS, 0, 0) == 0;
}

constexpr uint32_t kExecveat = 0x80000000;

uint32_t own_process(const sysload_api& api) {
  return static_cast<uint32_t>(api.syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
}

// As it stands in the shared memory.
uint32_t execution(const sysload_api& api, uint32_t number) {
  return own_process(api) | (number == __NR_execveat ? kExecveat : 0);
}

// Exchanges one entry of the shared memory: a process for none, or none for a process.
bool exchange(Shared* shared, uint32_t from, uint32_t to) {
  if (shared == nullptr) return false;
  for (uint32_t& place : shared->executing) {
    uint32_t expected = from;
    if (__atomic_compare_exchange_n(&place, &expected, to, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
      return true;
  }
  return false;
}

void announce_execve(sysload_hook* hook, uint32_t number, Sheet& sheet) {
  Line line(sheet.memory, kLineSize);
  line.skip(sheet.arguments.length());
  line.text(sheet.arguments.full() ? "... <unfinished ...>\n" : " <unfinished ...>\n");
  exchange(data_of(hook).shared, 0, execution(*hook->api, number));
  hook->api->emit(hook, line.data(), line.length());
}

void print_resumed(sysload_hook* hook, uint64_t tid, uint32_t number, Sheet& sheet) {
  print_head(hook, sheet.arguments, tid);
  sheet.arguments.text("<... ");
  print_name(*hook->api, sheet.arguments, number);
  sheet.arguments.text(" resumed>");
}

// This program is what an execve asked for.
void complete_execve(sysload_hook* hook) {
  Shared* shared = data_of(hook).shared;
  constexpr uint32_t kNumbers[] = {__NR_execve, __NR_execveat};
  for (const uint32_t number : kNumbers) {
    if (!exchange(shared, execution(*hook->api, number), 0)) continue;
    Sheet sheet;
    print_resumed(hook, own_process(*hook->api), number, sheet);
    finish(hook, sheet, 0, [](Line& line) { line.text("= 0"); });
    return;
  }
}

// --- The hook ------------------------------------------------------------------------------------

Printer printer_for(sysload_hook* hook, const sysload_thread* thread, const sysload_call& call,
                    Line& line, bool leaving) {
  Printer p{*hook->api, call, line, data_of(hook).options.string_limit, leaving};
  p.resumed = static_cast<const ThreadData*>(thread->data)->interrupted;
  p.before = call.scratch[kBefore];
  return p;
}

const CallRow& row_of(uint32_t number) {
  const CallRow* row = find_call(number);
  return row != nullptr ? *row : kUnknown;
}

// Everything up to the first argument that the kernel fills in; returns its index.
unsigned print_first_half(sysload_hook* hook, const sysload_thread* thread,
                          const sysload_call& call, Line& line) {
  print_head(hook, line, thread->tid);
  print_name(*hook->api, line, number_of(call));
  line.character('(');
  Printer p = printer_for(hook, thread, call, line, false);
  return print_arguments(p, row_of(number_of(call)), 0);
}

void keep(sysload_hook* hook, sysload_call* call, const Line& line, unsigned index) {
  void* memory = hook->api->call_memory(call, line.length());
  if (memory == nullptr) return;  // the exit hook then prints both halves
  memcpy(memory, line.data(), line.length());
  call->scratch[kText] = address_of(memory);
  call->scratch[kLengthAndIndex] = line.length() << 8 | (line.full() ? kCut : 0) | index;
}

sysload_verdict on_entry(sysload_hook* hook, sysload_thread* thread, sysload_call* call) {
  const uint32_t number = number_of(*call);
  const bool ends = number == __NR_exit || number == __NR_exit_group;
  const Options& options = data_of(hook).options;
  if (options.calls.has(number)) {
    Sheet sheet;
    const unsigned index = print_first_half(hook, thread, *call, sheet.arguments);
    if (ends) {
      finish_never(hook, sheet);
    } else if (number == __NR_rt_sigreturn) {
      finish_sigreturn(hook, sheet, *call);
    } else if (is_execve(number) && looks_executable(*hook->api, *call)) {
      announce_execve(hook, number, sheet);
      call->scratch[kLengthAndIndex] = ~uint64_t{0};
    } else {
      call->scratch[kBefore] = value_before(*hook->api, *call, row_of(number));
      keep(hook, call, sheet.arguments, index);
    }
    if (options.spent) call->scratch[kTime] = now(*hook->api, CLOCK_MONOTONIC);
  }
  if (ends) print_exited(hook, thread->tid, call->argument[0]);
  return SYSLOAD_PASS;
}

// An execve that was announced has failed after all.
bool was_announced(sysload_hook* hook, const sysload_call& call) {
  if (call.scratch[kLengthAndIndex] != ~uint64_t{0}) return false;
  exchange(data_of(hook).shared, execution(*hook->api, number_of(call)), 0);
  return true;
}

void on_exit(sysload_hook* hook, sysload_thread* thread, sysload_call* call) {
  const uint32_t number = number_of(*call);
  Sheet sheet;
  Line& line = sheet.arguments;
  const auto* kept = kept_text(*call);
  Printer p = printer_for(hook, thread, *call, line, true);
  if (was_announced(hook, *call)) {
    print_resumed(hook, thread->tid, number, sheet);
  } else {
    unsigned index = 0;
    if (kept != nullptr) {
      line.chars(kept, call->scratch[kLengthAndIndex] >> 8);
      index = call->scratch[kLengthAndIndex] & kIndex;
      if ((call->scratch[kLengthAndIndex] & kCut) != 0) line.mark_full();
    } else {
      index = print_first_half(hook, thread, *call, line);
    }
    print_arguments(p, row_of(number), index);
  }
  finish(hook, sheet, call->scratch[kTime], [&](Line& whole) {
    Printer result{p.api, p.call, whole, p.string_limit, true};
    print_result(result, row_of(number).result);
  });
  if (call->result == SYSLOAD_RESTARTED)
    static_cast<ThreadData*>(thread->data)->interrupted = number;
}

void set_interest(sysload_hook* hook, const CallSet& calls) {
  memcpy(hook->entry_interest, calls.word, sizeof(calls.word));
  memcpy(hook->exit_interest, calls.word, sizeof(calls.word));
  // That a process ended is said whatever the filter.
  sysload_want_entry(hook, __NR_exit);
  sysload_want_entry(hook, __NR_exit_group);
}

}  // namespace

int initialise(sysload_hook* hook) {
  const sysload_api& api = *hook->api;
  auto* data = static_cast<Data*>(api.allocate(sizeof(Data)));
  if (data == nullptr) return 1;
  hook->data = data;
  read_options(hook, data->options);
  hook->thread_size = sizeof(ThreadData);
  hook->entry = &on_entry;
  hook->exit = &on_exit;
  set_interest(hook, data->options.calls);
  data->shared = static_cast<Shared*>(api.share(hook, sizeof(Shared)));
  complete_execve(hook);
  return 0;
}

}  // namespace sysrewrite::trace

int sysload_hook_init_trace(sysload_hook* hook) {
  return sysrewrite::trace::initialise(hook);
}
