// Printing one call: what the functions for the kinds of arguments share, and their declarations.
#ifndef LOADER_HOOKS_TRACE_PRINTER_H_
#define LOADER_HOOKS_TRACE_PRINTER_H_

#include <cstdint>

#include "loader/hooks/trace_line.h"
#include "loader/hooks/trace_table.h"
#include "loader/include/sysload/hook.h"

namespace sysrewrite::trace {

constexpr uint32_t kDefaultStringLimit = 32;  // bytes of a string that are shown, as strace has it
constexpr uint32_t kMostStringLimit = 4096;
constexpr uint32_t kMostElements = 32;  // of an array; strace shows as many as bytes of a string
constexpr uint64_t kPathSize = 4096;    // PATH_MAX

// The call that is being printed. `leaving` is false before the call and true behind it.
struct Printer {
  const sysload_api& api;
  const sysload_call& call;
  Line& line;
  uint32_t string_limit;
  bool leaving;
  unsigned index = 0;    // of the argument that is being printed
  uint64_t before = 0;   // value_before()
  uint64_t resumed = 0;  // the number of the call that restart_syscall resumes

  uint64_t argument() const { return call.argument[index]; }
  uint64_t behind(unsigned places = 1) const {
    return index + places < kArguments ? call.argument[index + places] : 0;
  }
  bool failed() const { return call.result < 0 && call.result >= -4095; }

  // Copies a structure from the program's memory. Where it is not there its address is printed
  // instead, and the answer is false.
  template <class T>
  bool fetch(uint64_t address, T& into) const {
    if (address != 0 && peek(address, into)) return true;
    line.address(address);
    return false;
  }
  // The same, but nothing is printed.
  template <class T>
  bool peek(uint64_t address, T& into) const {
    return api.read(&into, address, sizeof(T)) == static_cast<int64_t>(sizeof(T));
  }
  // Of a structure that the kernel fills in: it is only there when the call succeeded.
  template <class T>
  bool fetch_result(uint64_t address, T& into) const {
    if (!failed()) return fetch(address, into);
    line.address(address);
    return false;
  }
};

// struct timespec, or timeval.
struct TimePair {
  int64_t seconds, fraction;
};

// Prints a field's name, with what separates it from the one before.
inline Line& field(Line& line, const char* name, bool first = false) {
  return line.text(first ? "{" : ", ").text(name).character('=');
}

// An array of `count` elements of `size` bytes: "[a, b, ...]". `print` is given the address of
// each.
template <class Print>
void print_array(const Printer& p, uint64_t address, uint64_t count, uint64_t size, Print print,
                 bool is_program_memory = true) {
  if (address == 0) {
    p.line.text("NULL");
    return;
  }
  char byte;
  if (is_program_memory && count > 0 && !p.peek(address, byte)) {
    p.line.address(address);
    return;
  }
  p.line.character('[');
  for (uint64_t i = 0; i < count && !p.line.full(); ++i) {
    if (i > 0) p.line.text(", ");
    if (i == kMostElements) {
      p.line.text("...");
      break;
    }
    if (is_program_memory && !p.peek(address + i * size, byte)) {
      p.line.text("... /* ").hex(address + i * size).text(" */");
      break;
    }
    print(address + i * size);
  }
  p.line.character(']');
}

// trace_arguments.cc: any kind.
void print_argument(Printer& p, Kind kind);

// trace_strings.cc
void print_path(const Printer& p, uint64_t address);
void print_string(const Printer& p, uint64_t address);  // NUL-ended
void print_buffer(const Printer& p, uint64_t address, uint64_t size, bool hexadecimal = false);
// Of a structure that the program says has `size` bytes: those behind the `known`, if they are not
// 0.
void print_bytes_behind(const Printer& p, uint64_t address, uint64_t known, uint64_t size);
void print_iovecs(const Printer& p, uint64_t address, uint64_t count, uint64_t bytes,
                  bool contents = true);
void print_strings(const Printer& p, Kind kind);

// trace_flags.cc: flags with something beside them, and modes.
void print_mode(Line& line, uint32_t mode);  // with the file's type
void print_device(Line& line, uint64_t device);
void print_personality(Line& line, uint32_t personality);
void print_flags(Printer& p, Kind kind);

// trace_time.cc
void print_date(Line& line, int64_t seconds);  // 1970-01-01T00:00:00+0000
void print_timespec(const Printer& p, uint64_t address);
void print_timeval(const Printer& p, uint64_t address);
void print_time(Printer& p, Kind kind);

// trace_files.cc: stat and the like, directories, fcntl.
void print_file(Printer& p, Kind kind);

// trace_ioctl.cc
void print_ioctl(Printer& p, Kind kind);
bool ioctl_has_argument(uint32_t command);

// trace_signal.cc
void print_sigset(const Printer& p, uint64_t address, uint64_t size);
void print_signal(Printer& p, Kind kind);
// trace_siginfo.cc
void print_signal_name(Line& line, int32_t number);  // a number where it has none
void print_siginfo(const Printer& p, uint64_t address);

// trace_process.cc: clone, wait, limits, the system.
void print_process(Printer& p, Kind kind);
// trace_capabilities.cc
void print_capability(Printer& p, Kind kind);
// trace_prctl.cc: prctl and arch_prctl; the same two questions as below.
bool option_has_arguments(const sysload_call& call, Kind kind);
bool option_answers(const sysload_call& call, Kind kind);
void print_option_arguments(const Printer& p, Kind kind);
void print_prctl_result(const Printer& p);
// trace_futex.cc: futex, seccomp, ptrace.
void print_filter_program(const Printer& p, uint64_t address);
void print_operation(Printer& p, Kind kind);
// Whether an argument that follows from an operation is there, and whether the kernel fills it in.
bool operation_has(const sysload_call& call, Kind kind);
bool operation_answers(const sysload_call& call, Kind kind);

// trace_events.cc: poll, select, epoll.
void print_event(Printer& p, Kind kind);
void print_ready(const Printer& p, Result result);  // behind the result: what became ready

// trace_ipc.cc
bool control_answers(const sysload_call& call);  // whether the kernel fills in Kind::Control
void print_ipc(Printer& p, Kind kind);

// trace_socket.cc, trace_message.cc
void print_sockaddr(const Printer& p, uint64_t address, uint64_t size);
void print_credentials(Line& line, const int32_t (&word)[3]);  // struct ucred
void print_socket(Printer& p, Kind kind);
void print_message(const Printer& p, uint64_t address, uint64_t bytes, uint64_t name_size_before);
void print_messages(const Printer& p);
// What recvmmsg is going to overwrite, as it was before; Printer::before is its address then.
struct MessagesBefore {
  uint64_t has_timeout;
  TimePair timeout;
  uint32_t name_sizes[kMostElements];
};

// trace_result.cc: from the blank in front of "= " on.
void print_result(const Printer& p, Result result);
void print_error(const Printer& p, int64_t error);

}  // namespace sysrewrite::trace

#endif  // LOADER_HOOKS_TRACE_PRINTER_H_
