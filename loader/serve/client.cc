#include "loader/serve/client.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/serve/answers.h"
#include "loader/serve/connection.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/state.h"
#include "trampoline/server_protocol.h"

namespace sysrewrite {

namespace {

size_t length_up_to(const char* text, size_t most) {
  size_t length = 0;
  while (length < most && text[length] != 0) ++length;
  return length;
}

// Whole pages, ascending.
bool are_pieces(const CodePiece* pieces, uint32_t count) {
  if (count > kMostPieces) return false;
  uint64_t free_from = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const auto [offset, size] = pieces[i];
    if (offset < free_from || !is_aligned(offset | size, kPageSize)) return false;
    const auto end = checked_add(offset, size);
    if (!end) return false;
    free_from = *end;
  }
  return true;
}

// What the reply says, besides the descriptor of a copy.
ServerAnswer answer_of(const ServerReply& reply, RewrittenCopy* copy) {
  switch (reply.verdict) {
    case ServerVerdict::kNothing:
      return ServerAnswer::kNothing;
    case ServerVerdict::kNative:
      return ServerAnswer::kNative;
    case ServerVerdict::kRefused:
      return ServerAnswer::kRefused;
    case ServerVerdict::kCopy:
      break;
  }
  if (!are_pieces(reply.pieces, reply.piece_count)) return ServerAnswer::kNoServer;
  copy->piece_count = reply.piece_count;
  memcpy(copy->pieces, reply.pieces, reply.piece_count * sizeof(CodePiece));
  return ServerAnswer::kCopy;
}

// A descriptor without a copy that it belongs to is nobody's.
ServerAnswer receive(sys::Fd socket, RewrittenCopy* copy) {
  ServerReply reply;
  sys::Fd attached = -1;
  if (!receive_packet(socket, &reply, &attached)) return ServerAnswer::kNoServer;
  const ServerAnswer answer = answer_of(reply, copy);
  if (answer == ServerAnswer::kCopy) {
    copy->fd = attached;
    return attached < 0 ? ServerAnswer::kNoServer : answer;
  }
  if (attached >= 0) sys::close(attached);
  return answer;
}

ServerAnswer ask_once(const ServerRequest& request, sys::Fd file, RewrittenCopy* answer) {
  const sys::Fd socket = connect_to_server();
  if (sys::failed(socket)) return ServerAnswer::kNoServer;
  const ServerAnswer result =
      send_packet(socket, request, file) ? receive(socket, answer) : ServerAnswer::kNoServer;
  sys::close(socket);
  return result;
}

// Asking takes a descriptor for the connection and one for the answer.
ServerAnswer ask(const ServerRequest& request, sys::Fd file, RewrittenCopy* answer) {
  const ServerAnswer first = ask_once(request, file, answer);
  if (first != ServerAnswer::kNoServer || sysload_state.server_name[0] == 0) return first;
  const BeyondLimit room;
  return ask_once(request, file, answer);
}

ServerAnswer ask_for_descriptor(const ServerRequest& request, sys::Fd* descriptor) {
  RewrittenCopy answer;
  const ServerAnswer result = ask(request, -1, &answer);
  *descriptor = answer.fd;
  return result;
}

}  // namespace

ServerAnswer ask_for_copy(sys::Fd file, RewrittenCopy* copy) {
  if (const KnownAnswer* known = known_answer(file)) {
    const ServerAnswer answer = answer_of(known->reply, copy);
    if (answer != ServerAnswer::kCopy) return answer;
    copy->fd = open_known(known->copy);
    if (!sys::failed(copy->fd)) return answer;
    *copy = {};
  }
  ServerRequest request{};
  request.kind = RequestKind::kCopy;
  return ask(request, file, copy);
}

ServerAnswer ask_for_loader(sys::Fd* loader) {
  *loader = known_loader();
  if (!sys::failed(*loader)) return ServerAnswer::kCopy;
  ServerRequest request{};
  request.kind = RequestKind::kLoader;
  return ask_for_descriptor(request, loader);
}

sys::Fd ask_for_ring() {
  if (const sys::Fd known = known_ring(); !sys::failed(known)) return known;
  ServerRequest request{};
  request.kind = RequestKind::kOutput;
  sys::Fd ring = -1;
  return ask_for_descriptor(request, &ring) == ServerAnswer::kCopy ? ring : -1;
}

sys::Fd ask_for_share(uint32_t hook, uint64_t size) {
  if (const sys::Fd known = known_share(hook, size); !sys::failed(known)) return known;
  ServerRequest request{};
  request.kind = RequestKind::kShare;
  const ShareRequest wanted{hook, 0, size};
  memcpy(request.text, &wanted, sizeof(wanted));
  sys::Fd memory = -1;
  return ask_for_descriptor(request, &memory) == ServerAnswer::kCopy ? memory : -1;
}

void fail_unpatched(const char* path, const char* why) {
  fail("run", path, ": ", why, ", and --unpatched=fail was asked for");
}

void report_no_server(const char* path) {
  if (sysload_state.unpatched_fails)
    fail_unpatched(path, "the process behind `sysrewrite run` cannot be reached from here");
  if (sysload_state.server_lost) return;
  sysload_state.server_lost = true;
  note("run", path,
       " and what follows it runs native: the process behind `sysrewrite run` cannot"
       " be reached from here");
}

void report_unfollowed(const char* path, const char* why) {
  if (sysload_state.unpatched_fails) fail_unpatched(path, why);
  ServerRequest request{};
  request.kind = RequestKind::kUnfollowed;
  const size_t path_length = length_up_to(path, 400);
  memcpy(request.text, path, path_length);
  memcpy(request.text + path_length + 1, why, length_up_to(why, 100));
  RewrittenCopy none;
  if (ask(request, -1, &none) == ServerAnswer::kNoServer) note("run", path, " runs native: ", why);
}

sys::Fd open_report() {
  if (sysload_state.server_name[0] == 0) return -1;
  const sys::Fd socket = connect_to_server();
  if (sys::failed(socket)) return -1;
  ServerRequest request{};
  request.kind = RequestKind::kReport;
  if (send_packet(socket, request, -1)) return socket;
  sys::close(socket);
  return -1;
}

void close_report(sys::Fd report) {
  constexpr uint64_t kShutWrite = 1;  // SHUT_WR
  sys::call(__NR_shutdown, static_cast<uint64_t>(report), kShutWrite);
  RewrittenCopy none;
  receive(report, &none);
  sys::close(report);
}

}  // namespace sysrewrite
