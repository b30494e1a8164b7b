// The hooks of this process, in the order in which they were named, and which calls they want.
#ifndef SYSREWRITE_LOADER_ENGINE_HOOK_SET_H_
#define SYSREWRITE_LOADER_ENGINE_HOOK_SET_H_

#include <cstdint>

#include "loader/abi.h"
#include "loader/include/sysload/hook.h"
#include "loader/memory.h"
#include "loader/signals/signal_table.h"
#include "loader/vectors.h"
#include "trampoline/address.h"

namespace sysrewrite {

inline constexpr uint64_t kHookSpecSize = 1024;

struct ThreadBlock;
struct OutputRing;

// What of a number is of interest: a byte of the table at State::interest.
enum Interest : uint8_t {
  kWantsEntry = SYSLOAD_INTEREST_ENTRY,
  kWantsExit = SYSLOAD_INTEREST_EXIT,
  kWantsService = SYSLOAD_INTEREST_SERVICE,  // sysload itself has to do with it (hook_call.cc)
  kIsSimple = SYSLOAD_INTEREST_SIMPLE,
};

struct LoadedHook {
  sysload_hook hook;
  char spec[kHookSpecSize];    // as it was named: NAME or NAME:OPTIONS
  char name[kHookSpecSize];    // NAME alone
  char output[kHookSpecSize];  // path that its output goes to; empty: where reports go
  RuntimeAddr base;            // of its object; 0: it is built in
  uint64_t size;               // bytes of its object
  uint32_t thread_offset;      // of its part of the threads' memory
  uint64_t lost;               // pieces of its output that could not be written, in this process
  int64_t lost_by;             // the error of the last one
  int (*init)(sysload_hook*);
  int init_answer;
};

struct FileIdentity {
  uint64_t device, inode;
  bool operator==(const FileIdentity&) const = default;
};

struct HookSet {
  LoadedHook loaded[SYSLOAD_MOST_HOOKS];
  uint32_t count;
  uint32_t thread_memory_used;
  VectorKind vectors;       // what is kept, since one of them changes it
  uint64_t features;        // of that, where xsave keeps it
  SignalTable signals;      // of all threads but children of vfork
  uint32_t first_pid;       // the process that sysload has started
  OutputRing* ring;         // to the parent; nullptr: there is none
  FileIdentity error_file;  // what standard error was at the start; 0: nothing
  char program[4096];
};

// Makes the set, empty. Before the first add_hook().
void make_hook_set(const char* program);

// Loads and initialises a hook; ends the process with a line where it cannot be used. `spec` is
// NAME or NAME:OPTIONS; a name with a slash is the path of a shared object. `block` is that of the
// calling thread, the first one, on whose hook stack it is initialised.
void add_hook(ThreadBlock* block, const char* spec);
// The names of those that are built in, for a message.
const char* known_hooks();
// Whether add_hook() knows its name, or would open it.
bool is_known_hook(const char* spec);

// Whether one of them wants clock_gettime and its like to be calls.
bool hooks_see_vdso();

// Maps and fills the table.
void prepare_hooks();
// sysload has to do with this number as well, from now on.
void want_service(uint64_t number);

// Runs entry() of those that want it, until one answers: true. Otherwise the call is to be made.
bool run_entries(ThreadBlock* block, uint8_t interest);
// Runs exit() of those that were asked, with the result in the block's call.
void run_exits(ThreadBlock* block);

// Fills in what hook_entry.S calls where there is but one.
void show_first_hook(ThreadBlock* block);

void notify_thread_started(ThreadBlock* block);
void notify_thread_exiting(ThreadBlock* block);
void notify_forked(ThreadBlock* block);
void notify_finishing(ThreadBlock* block, int status);

// The table's word on a number; numbers beyond it are of the last one's interest.
inline uint8_t interest_in(uint64_t table, uint64_t number) {
  return Memory::at<const uint8_t>(
      {table})[number < SYSLOAD_MOST_NUMBERS ? number : SYSLOAD_MOST_NUMBERS - 1];
}

// Of a number the kernel looks at the lower half (linux, arch/x86/entry/entry_64.S: movslq %eax;
// before 5.14 a number with anything above it was ENOSYS). hook_entry.S shows hooks no more of what
// a program asks for; this is for what a hook has made of it.
inline void keep_lower_half(sysload_call* call) {
  call->number = static_cast<uint32_t>(call->number);
}

// The functions that hooks may call.
const sysload_api* hook_api();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_HOOK_SET_H_
