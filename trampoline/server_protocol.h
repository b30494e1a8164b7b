// What sysload and the process behind `sysrewrite run` say to each other, over a connected
// SOCK_SEQPACKET unix socket: one packet each way, but for a report.
//
//   request:   ServerRequest, with one descriptor attached where the kind says so
//   answer:    ServerReply, with one descriptor attached where its verdict is kCopy
//
// A rewritten copy has the layout of its original, and differs from it in few pages of code. Only
// those are in the copy, and what was appended; between them it is empty:
//
//      original   |headers|  code                        |  data     |
//      copy       |headers|      |pieces|      |piece|               |trampoline, metadata|
//
// Code is mapped from the original, then each piece from the copy over it.
//
// A door is a connection for those who will not find the server's name any more, since they leave
// its network namespace. Nothing is answered there. Each further packet, kDoor again, has one end
// of a socketpair attached, which is a connection as any other. It is inherited, and ends when all
// who have it have closed it.
//
//   request:   kDoor
//              kDoor with a socket attached  ---+    request over it, answer over it
//              kDoor with a socket attached  ---|-+  request over it, answer over it
#ifndef SYSREWRITE_TRAMPOLINE_SERVER_PROTOCOL_H_
#define SYSREWRITE_TRAMPOLINE_SERVER_PROTOCOL_H_

#include <cstddef>
#include <cstdint>

namespace sysrewrite {

// Longest name of the server's socket in the abstract namespace, without the leading NUL.
inline constexpr size_t kServerNameSize = 64;

enum class RequestKind : uint32_t {
  kCopy = 1,        // a file is attached: rewrite it
  kLoader = 2,      // sysload's own file, please
  kUnfollowed = 3,  // `text` is a path that was executed without sysload; a reason follows its NUL
  kReport = 4,      // packets of text follow until the end of the connection: print them
  kShare = 5,       // memory that a hook shares with the whole tree; `text` is a ShareRequest
  kOutput = 6,      // the ring that hooks' output goes through (output_ring.h)
  kDoor = 7,        // this connection stays, and is to bring others: see above
};

struct ServerRequest {
  RequestKind kind;
  char text[508];  // NUL-ended
};
static_assert(sizeof(ServerRequest) == 512);

struct ShareRequest {
  uint32_t index;  // of the hook, in the order that `run` named them
  uint32_t reserved;
  uint64_t size;  // bytes; who asks later gets no more than who asked first
};
static_assert(sizeof(ShareRequest) <= sizeof(ServerRequest::text));

inline constexpr uint64_t kMostShared = uint64_t{256} << 20;

enum class ServerVerdict : uint8_t {
  kCopy = 0,
  kNothing = 1,
  kNative = 2,
  kRefused = 3,
};

// Pages of code that come from the copy.
struct CodePiece {
  uint64_t offset, size;  // of the file, in bytes; whole pages
  friend bool operator==(const CodePiece&, const CodePiece&) = default;
};

// Each takes two mappings more, so near ones are made one.
inline constexpr uint32_t kMostPieces = 16;

struct ServerReply {
  ServerVerdict verdict;
  uint8_t reserved[3];
  uint32_t piece_count;           // 0 unless kCopy
  CodePiece pieces[kMostPieces];  // ascending, disjoint
};
static_assert(sizeof(ServerReply) == 8 + kMostPieces * sizeof(CodePiece));

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_SERVER_PROTOCOL_H_
