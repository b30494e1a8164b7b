// Everything that outlives sysload's own start: what callbacks, hooks and the trap need while the
// program runs. This is the loader's one mutable global.
#ifndef SYSREWRITE_LOADER_STATE_H_
#define SYSREWRITE_LOADER_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "loader/abi.h"
#include "loader/engine/hook_set.h"
#include "loader/signals/handlers.h"
#include "loader/signals/site_tables.h"
#include "loader/syscalls.h"
#include "loader/thread_block.h"
#include "trampoline/address.h"
#include "trampoline/answer_table.h"
#include "trampoline/layout.h"
#include "trampoline/server_protocol.h"

namespace sysrewrite {

// Code that lies where ld.so will ask for it next; size 0: none.
struct PreparedCode {
  RuntimeAddr address;
  uint64_t size, offset;
  uint32_t protection;
  sys::FileIdentity file;
};

// A library that ld.so has mapped; size 0: the entry is free. [code, code_end) is what is left of
// its code, in pages.
struct MappedObject {
  RuntimeAddr base;
  uint64_t size;
  RuntimeAddr code, code_end;
  RuntimeAddr trampoline;
  uint64_t trampoline_size;
};

// A library that was looked at last, of which all calls are seen; size 0: none.
struct SeenLibrary {
  RuntimeAddr base;
  uint64_t size;
};

// A library whose place is reserved, but not yet free of what alignment wasted; size 0: none.
struct PendingLibrary {
  RuntimeAddr address;
  uint64_t size;
  RuntimeAddr end;
  int64_t fd;
};

// A reservation of ld.so's that was made larger; size 0: none.
struct WidenedReservation {
  RuntimeAddr end;  // of what ld.so knows of
  uint64_t extra;
};

struct ObjectTable {
  std::array<MappedObject, kMostObjects> entries;
  uint32_t count;
};

// Memory for the arguments of a program to be executed, under the serving lock.
struct Scratch {
  uint64_t address, size;
};

// Of a program's file that has no name (own_copy.h); size 0: none are kept.
struct OwnContents {
  RuntimeAddr address;
  uint64_t size;
  uint32_t mode;
  uint32_t seals;
};

struct State {
  RuntimeAddr entry;
  uint64_t objects_low, objects_high;
  uint64_t interest;  // a table of 65,536 bytes (hook_set.h); 0: there are no hooks
  ThreadBlock* free_blocks;
  uint32_t exe_size;  // of exe_path; 0: /proc/self/exe names the program already
  uint32_t interpreter_stubs_size;
  uint32_t minus_door;  // the descriptor of serve/door.h, negated for serve.S; 0: there is none
  uint32_t writes_gs;   // 1 where wrgsbase may be executed
  ThreadBlock* all_blocks;
  uint64_t blocks_low, blocks_high;  // where the lowest and the highest of them begin
  uint32_t threads;                  // of this process
  uint64_t open_signals;  // a mask of those that the kernel must never find blocked; 0: none
  HeldSignal held[2];     // SIGTRAP, SIGSYS: sent to the process while all threads had blocked them
  uint32_t poking;        // threads that look for another one that takes what they hold
  uint32_t pid;           // of this process, whose threads have the blocks
  bool expects_foreign_threads;  // foreign_threads.h
  bool has_native_files;         // mapped as code: they may ask the kernel what sysload hides,
                                 // and handle signals
  uint32_t adoptions_left;       // until blocks of threads that are gone are looked for
  bool watches_faults;           // signals.cc handles them
  bool has_engine;               // calls go through hook_call.cc
  bool has_filter;               // seccomp: the program's, or one that it has inherited
  bool has_hooks;                // which show them to somebody
  HookSet* hooks;                // nullptr: there are none
  sysload_api api;               // what hooks may call
  uint64_t callback;             // what slots are filled with
  bool callback_is_near;         // a copy of sysload_callback_pass
  SiteTables site_tables;
  Handlers handlers;  // of a program without hooks
  ObjectTable objects;
  PreparedCode prepared;  // of the library that was mapped last
  SeenLibrary seen;
  PendingLibrary pending;
  WidenedReservation widened;
  RuntimeAddr interpreter_stubs;      // the trampoline of ld.so, to know its calls by
  char server_name[kServerNameSize];  // empty: there is none
  const AnswerTable* answers;         // of the server; nullptr: they cannot be read from here
  bool follow;                        // what the program executes
  bool is_followed;                   // it was executed by a program of the same tree
  bool server_lost;                   // said once that it cannot be reached
  bool unpatched_fails;               // what would run native ends the process
  bool hide_vdso;                     // from what the program executes, too
  uint64_t caught_table;              // of such calls; 0: they are not caught
  bool exhaustive;                    // calls of code that nobody rewrote are caught; likewise
  Scratch scratch;
  char file_name[512];             // of a file that was named by its descriptor (program_file.h)
  char exe_path[4096];             // of the program, as /proc/self/exe would have shown it at first
  uint64_t exe_device, exe_inode;  // which that path may not lead to any more
  RuntimeAddr exe_mapping;         // where this file is mapped; 0: nowhere
  OwnContents own;
};

static_assert(offsetof(State, entry) == SYSLOAD_STATE_ENTRY);
static_assert(offsetof(State, objects_low) == SYSLOAD_STATE_OBJECTS_LOW);
static_assert(offsetof(State, objects_high) == SYSLOAD_STATE_OBJECTS_HIGH);
static_assert(offsetof(State, exe_size) == SYSLOAD_STATE_EXE_SIZE);
static_assert(offsetof(State, interpreter_stubs_size) == SYSLOAD_STATE_INTERPRETER_SIZE);
static_assert(offsetof(State, minus_door) == SYSLOAD_STATE_DOOR);
static_assert(offsetof(State, writes_gs) == SYSLOAD_STATE_WRITES_GS);
static_assert(offsetof(State, interest) == SYSLOAD_STATE_INTEREST);
static_assert(offsetof(State, free_blocks) == SYSLOAD_STATE_FREE_BLOCKS);

extern "C" [[gnu::visibility("hidden")]] State sysload_state;

// The serving lock, alone on its page, and the stack of whoever holds it; and what follow.cc
// builds.
extern "C"
    [[gnu::visibility("hidden")]] uint32_t sysload_serve_lock[SYSLOAD_PAGE_SIZE / sizeof(uint32_t)];
extern "C" [[gnu::visibility("hidden")]] std::byte sysload_serve_stack[SYSLOAD_SERVE_STACK_SIZE];
extern "C"
    [[gnu::visibility("hidden")]] std::byte sysload_follow_memory[SYSLOAD_FOLLOW_MEMORY_SIZE];

// Where this image begins, by the linker's name for it.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" [[gnu::visibility("hidden")]] const std::byte __ehdr_start[];

// The entries of start.S, as addresses: none of them is a C function.
extern "C" [[gnu::visibility("hidden")]] const std::byte _start[];
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_callback_pass[];
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_callback_far[];
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_callback_hook[];
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_callback_checked[];
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_callback_guarded[];
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_callback_serve[];
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_restorer[];

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_STATE_H_
