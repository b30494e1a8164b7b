#include "cli/rewrite_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "cli/descriptor.h"
#include "cli/memory_copy.h"
#include "rewriter/pipeline.h"
#include "trampoline/server_protocol.h"

// Threads take turns: whoever accepts a connection serves it, since rewriting a large library takes
// a while and nobody else should wait for it, and first starts another thread where none is left to
// accept. Two who ask for the same file wait for one rewrite: the first to ask puts a future into
// the table, and makes it.
//
// A file is known by device, inode, size and both times: whoever replaces it changes one of them.
// Requests are answered only for the same user; what is answered is derived from what was attached,
// so nobody gets anything that he could not read before.

namespace sysrewrite {

namespace {

// What there is to say about one file, forever.
struct Outcome {
  ServerVerdict verdict = ServerVerdict::kNothing;
  Descriptor copy;
};
using SharedOutcome = std::shared_future<std::shared_ptr<const Outcome>>;

std::string path_of(int descriptor) {
  char path[4096];
  const std::string link = fmt::format("/proc/self/fd/{}", descriptor);
  const ssize_t size = readlink(link.c_str(), path, sizeof(path));
  return size < 0 ? "a file" : std::string(path, static_cast<size_t>(size));
}

struct Request {
  ServerRequest request{};
  Descriptor file;
};

std::optional<Request> receive(int socket) {
  Request out;
  iovec vector{&out.request, sizeof(out.request)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  const cmsghdr* message = CMSG_FIRSTHDR(&header);
  if (message != nullptr && message->cmsg_type == SCM_RIGHTS &&
      message->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(message), sizeof(fd));
    out.file.reset(fd);
  }
  if (got != static_cast<ssize_t>(sizeof(out.request))) return std::nullopt;
  out.request.text[sizeof(out.request.text) - 1] = 0;
  return out;
}

void answer(int socket, ServerVerdict verdict, int descriptor) {
  iovec vector{&verdict, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* message = CMSG_FIRSTHDR(&header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(message), &descriptor, sizeof(descriptor));
  }
  // A client that has died in the meantime is nobody's loss.
  static_cast<void>(sendmsg(socket, &header, MSG_NOSIGNAL));
}

void answer_memory(int socket, int descriptor) {
  answer(socket, descriptor >= 0 ? ServerVerdict::kCopy : ServerVerdict::kNothing, descriptor);
}

// In one piece, since many programs may report at once.
void print_report(int socket) {
  constexpr size_t kMost = 1 << 20;
  std::string text;
  char packet[4096];
  ssize_t size = 0;
  while (text.size() < kMost && (size = recv(socket, packet, sizeof(packet), 0)) > 0)
    text.append(packet, static_cast<size_t>(size));
  std::fwrite(text.data(), 1, text.size(), stderr);
}

bool same_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

}  // namespace

struct RewriteServer::Impl {
  ServerOptions options;
  std::string name;
  Descriptor listener, wake;

  mutable std::mutex mutex;
  std::vector<std::thread> workers;
  size_t idle = 0;  // of them: waiting for a connection
  std::map<FileIdentity, SharedOutcome> outcomes;
  std::vector<NativeObject> natives;

  void report(std::string path, std::string reason) {
    const std::lock_guard lock(mutex);
    natives.push_back({std::move(path), std::move(reason)});
  }

  Outcome give_up(const std::string& path, const Error& error) {
    report(path, error.message);
    const bool fail = options.unpatched == UnpatchedPolicy::kFail;
    return {fail ? ServerVerdict::kRefused : ServerVerdict::kNative, {}};
  }

  Outcome outcome_of(const InputFile& input, const std::string& path, const OutputBytes* output,
                     const std::vector<NativeSite>& sites) {
    for (const NativeSite& site : sites)
      report(path,
             fmt::format("{:#x}: {}", site.address, reason_text(static_cast<Reason>(site.reason))));
    if (output == nullptr) return {ServerVerdict::kNothing, {}};
    auto copy = make_memory_copy(input, *output);
    if (!copy) return give_up(path, copy.error());
    return {ServerVerdict::kCopy, std::move(*copy)};
  }

  Outcome rewrite_file(Descriptor file) {
    const std::string path = path_of(file.get());
    const auto input = InputFile::adopt(file.release(), path);
    if (!input) return give_up(path, input.error());
    const CacheLookup known = options.cache->find(*input);
    if (known.entry) {
      const bool nothing = known.entry->output.tail.empty();
      return outcome_of(*input, path, nothing ? nullptr : &known.entry->output,
                        known.entry->natives);
    }
    Options rewrite_options = entry_options();
    if (options.select) options.select(path, rewrite_options);
    const auto rewritten = rewrite(input->bytes(), rewrite_options);
    if (!rewritten) return give_up(path, rewritten.error());
    if (options.rewritten) options.rewritten(path, rewritten->report);
    std::vector<NativeSite> sites;
    for (const SiteReport& site : rewritten->report.sites)
      if (site.tier == Tier::kNative)
        sites.push_back({site.address.value, static_cast<uint8_t>(site.reason)});
    const bool nothing = rewritten->report.trampoline_size == 0;
    const OutputBytes* output = nothing ? nullptr : &rewritten->output;
    options.cache->keep(*input, known, output, sites, path);
    return outcome_of(*input, path, output, sites);
  }

  std::shared_ptr<const Outcome> outcome_for(Descriptor file) {
    struct stat status {};
    if (fstat(file.get(), &status) != 0) return std::make_shared<Outcome>();
    std::promise<std::shared_ptr<const Outcome>> promise;
    SharedOutcome shared;
    bool mine = false;
    {
      const std::lock_guard lock(mutex);
      const auto [entry, inserted] = outcomes.try_emplace(identity_of(status));
      if (inserted) entry->second = promise.get_future().share();
      shared = entry->second;
      mine = inserted;
    }
    if (mine) promise.set_value(std::make_shared<const Outcome>(rewrite_file(std::move(file))));
    return shared.get();
  }

  void serve(int socket) {
    if (!same_user(socket)) return;
    auto request = receive(socket);
    if (!request) return;
    switch (request->request.kind) {
      case RequestKind::kCopy: {
        if (!request->file.valid()) return;
        const auto outcome = outcome_for(std::move(request->file));
        return answer(socket, outcome->verdict, outcome->copy.get());
      }
      case RequestKind::kLoader:
        return answer(socket, ServerVerdict::kCopy, options.loader);
      case RequestKind::kReport:
        print_report(socket);
        return answer(socket, ServerVerdict::kNothing, -1);
      case RequestKind::kShare: {
        ShareRequest wanted{};
        std::memcpy(&wanted, request->request.text, sizeof(wanted));
        const bool fits = wanted.size != 0 && wanted.size <= kMostShared;
        return answer_memory(socket, fits ? options.hooks->share(wanted.index, wanted.size) : -1);
      }
      case RequestKind::kOutput:
        return answer_memory(socket, options.hooks->ring());
      case RequestKind::kUnfollowed: {
        const std::string path = request->request.text;
        const size_t reason = std::min(path.size() + 1, sizeof(request->request.text) - 1);
        report(path, request->request.text + reason);
        return answer(socket, ServerVerdict::kNothing, -1);
      }
    }
  }

  // Under the mutex.
  void start_worker() {
    ++idle;
    workers.emplace_back([this] { work(); });
  }

  void work() {
    for (;;) {
      pollfd waits[] = {{listener.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
      if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
      if (waits[1].revents != 0) return;
      Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket.valid()) continue;
      {
        const std::lock_guard lock(mutex);
        if (--idle == 0) start_worker();
      }
      serve(socket.get());
      socket.reset();
      const std::lock_guard lock(mutex);
      ++idle;
    }
  }
};

Result<std::unique_ptr<RewriteServer>> RewriteServer::start(const ServerOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  uint64_t random[2] = {};
  if (getrandom(random, sizeof(random), 0) != sizeof(random))
    return system_error("cannot get", "random bytes", errno);
  impl->name = fmt::format("sysrewrite-{:016x}{:016x}", random[0], random[1]);
  impl->listener.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  impl->wake.reset(eventfd(0, EFD_CLOEXEC));
  if (!impl->listener.valid() || !impl->wake.valid())
    return system_error("cannot create", "a socket", errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, impl->name.data(), impl->name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + impl->name.size());
  const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (bind(impl->listener.get(), generic, size) != 0 || listen(impl->listener.get(), 4096) != 0)
    return system_error("cannot listen on", impl->name, errno);
  {
    // Two, so that the first to ask need not wait for a thread to be made.
    const std::lock_guard lock(impl->mutex);
    impl->start_worker();
    impl->start_worker();
  }
  return std::unique_ptr<RewriteServer>(new RewriteServer(std::move(impl)));
}

RewriteServer::RewriteServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RewriteServer::~RewriteServer() {
  stop();
}

const std::string& RewriteServer::name() const {
  return impl_->name;
}

std::vector<NativeObject> RewriteServer::natives() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->natives;
}

void RewriteServer::stop() {
  const uint64_t one = 1;
  static_cast<void>(write(impl_->wake.get(), &one, sizeof(one)) < 0);
  // Nobody starts another once all have seen that; those who serve still may, until then.
  for (;;) {
    std::vector<std::thread> finishing;
    {
      const std::lock_guard lock(impl_->mutex);
      finishing.swap(impl_->workers);
    }
    if (finishing.empty()) break;
    for (std::thread& worker : finishing) worker.join();
  }
  impl_->listener.reset();
}

}  // namespace sysrewrite
