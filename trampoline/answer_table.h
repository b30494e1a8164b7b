// What the process behind `sysrewrite run` has answered so far, in memory that whoever asks can
// read: most questions of a tree of processes are asked again and again, and a request over the
// socket (server_protocol.h) is two switches of processes, each of which waits for its turn on a
// busy machine.
//
//   +0    magic, the server's name: whoever has opened the right memory knows it by them
//   ...   sysload's file, the ring, what hooks share: where the server has them open
//   ...   count, keys[count]: of the files that were asked for, for a quick look
//         answers[count]: each file's identity, the reply, and where its copy is open
//
// The memory file and all that it speaks of are open in the server, and are opened anew as
// /proc/PID/fd/N. The name of the server says which PID, and which N is the table:
//
//   sysrewrite-<32 hexadecimal digits>.PID.N
//
// The server alone can write (F_SEAL_FUTURE_WRITE). It adds, and never changes what it has added,
// so there is no lock: a reader looks at `count` entries, or at what says that it is_known.
//
// Who cannot open it (no /proc, another PID or user namespace, another user, an old kernel), or
// finds nothing there, asks over the socket.
#ifndef SYSREWRITE_TRAMPOLINE_ANSWER_TABLE_H_
#define SYSREWRITE_TRAMPOLINE_ANSWER_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "trampoline/server_protocol.h"

namespace sysrewrite {

inline constexpr char kAnswerMagic[8] = {'S', 'R', 'W', 'A', 'N', 'S', 'W', '1'};

inline constexpr uint32_t kMostAnswers = 512;  // files; those beyond are asked for
inline constexpr uint32_t kMostShares = 16;    // hooks; likewise

// By which a file is known to be the same, and untouched.
struct KnownFile {
  uint64_t device, inode, size;
  int64_t modified_s, modified_ns, changed_s, changed_ns;
  friend bool operator==(const KnownFile&, const KnownFile&) = default;

  // No two files of a tree have the same, as a rule.
  uint64_t key() const { return inode ^ device << 48 ^ static_cast<uint64_t>(changed_ns) << 16; }
};

// A file that the server has open. What is opened at its place must be this one: the number may be
// another process's by then.
struct OpenFile {
  uint32_t is_known;  // written last; 0: there is none
  int32_t descriptor;
  uint64_t device, inode;
  uint64_t size;  // bytes; of what hooks share
};

struct KnownAnswer {
  KnownFile file;
  ServerReply reply;
  OpenFile copy;  // where the verdict is kCopy
};

struct AnswerTable {
  char magic[8];
  char server[kServerNameSize];
  OpenFile loader, ring;
  OpenFile shares[kMostShares];  // by the hook's index
  uint32_t count;
  uint32_t reserved;
  uint64_t keys[kMostAnswers];
  KnownAnswer answers[kMostAnswers];
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_ANSWER_TABLE_H_
