// Asking the hosted rewriter: the parent that `sysrewrite run` left behind.
//
// It listens on an abstract unix socket, whose name needs no file system and so survives chroot. A
// request is a file that the program has open; the answer is a sealed copy of it, rewritten. Each
// request is a connection of its own, so that no descriptor is open while the program runs.
#ifndef SYSREWRITE_LOADER_SERVE_CLIENT_H_
#define SYSREWRITE_LOADER_SERVE_CLIENT_H_

#include "loader/syscalls.h"
#include "trampoline/server_protocol.h"

namespace sysrewrite {

enum class ServerAnswer : uint8_t {
  kCopy,      // a rewritten copy, as a descriptor
  kNothing,   // the file has no site
  kNative,    // it cannot be rewritten, and runs as it is; the server reports it
  kRefused,   // it cannot be rewritten, and must not run
  kNoServer,  // nobody answers, or this process may not ask
};

struct RewrittenCopy {
  sys::Fd fd = -1;
  uint32_t piece_count = 0;
  CodePiece pieces[kMostPieces];
};

// Asks for a rewritten copy of the file; the caller closes what it gets.
ServerAnswer ask_for_copy(sys::Fd file, RewrittenCopy* copy);

// Asks for sysload's own file, to execute it where its path may not lead: after chroot.
ServerAnswer ask_for_loader(sys::Fd* loader);

// The ring that the output of hooks goes through, and the memory that a hook shares with the tree,
// as descriptors; negative where there is none.
sys::Fd ask_for_ring();
sys::Fd ask_for_share(uint32_t hook, uint64_t size);

// Ends the process where what is not rewritten is not to run: --unpatched=fail.
[[noreturn]] void fail_unpatched(const char* path, const char* why);

// Says that the server cannot be reached from here (another network namespace, another user, a
// filter, no descriptor left), and that this file and what follows it runs native. Once in a
// process. Ends it where that is not to be.
void report_no_server(const char* path);

// Tells the server that a child could not be followed, and why; or ends the process, as above.
void report_unfollowed(const char* path, const char* why);

// Where a report is written to arrive at the standard error of `sysrewrite run` in one piece, even
// if this program has closed its own; negative where there is no server. close_report() waits until
// it is printed.
sys::Fd open_report();
void close_report(sys::Fd report);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_CLIENT_H_
