#include "cli/rewrite_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <future>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "cli/answer_board.h"
#include "cli/descriptor.h"
#include "cli/memory_copy.h"
#include "cli/server_socket.h"
#include "rewriter/pipeline.h"
#include "trampoline/server_protocol.h"

// One thread, the caller's, waits for requests and answers at once what it can: what is known
// already, and what the cache knows. Most programs need nothing else, and a thread costs as much as
// such an answer. For whatever takes longer (a rewrite, a digest of a whole file, a client that
// takes its time to send) it starts a thread, and goes on.
//
// A file is known by device, inode, size and both times: whoever replaces it changes one of them,
// once it has been left alone for longer than a tick of the clock. Until then each request is
// answered by what the file holds. Requests are answered only for the same user; what is answered
// is derived from what was attached, so nobody gets anything that he could not read before.

namespace sysrewrite {

namespace {

// What there is to say about one file, forever.
struct Outcome {
  ServerVerdict verdict = ServerVerdict::kNothing;
  MemoryCopy copy;  // where kCopy
};
using SharedOutcome = std::shared_future<std::shared_ptr<const Outcome>>;

bool is_ready(const SharedOutcome& outcome) {
  return outcome.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::string path_of(int descriptor) {
  char path[4096];
  const std::string link = fmt::format("/proc/self/fd/{}", descriptor);
  const ssize_t size = readlink(link.c_str(), path, sizeof(path));
  return size < 0 ? "a file" : std::string(path, static_cast<size_t>(size));
}

void answer(int socket, ServerVerdict verdict, int descriptor) {
  ServerReply reply{};
  reply.verdict = verdict;
  answer(socket, reply, descriptor);
}

ServerReply reply_of(const Outcome& outcome) {
  ServerReply reply{};
  reply.verdict = outcome.verdict;
  reply.piece_count = static_cast<uint32_t>(outcome.copy.pieces.size());
  std::copy(outcome.copy.pieces.begin(), outcome.copy.pieces.end(), std::begin(reply.pieces));
  return reply;
}

void answer(int socket, const Outcome& outcome) {
  answer(socket, reply_of(outcome), outcome.copy.file.get());
}

void answer_memory(int socket, int descriptor) {
  answer(socket, descriptor >= 0 ? ServerVerdict::kCopy : ServerVerdict::kNothing, descriptor);
}

// Without memory, most likely. Whoever has asked finds the connection closed, and says that what he
// wanted runs native; all others are served.
template <typename Work>
void or_give_up(Work&& work) {
  try {
    work();
  } catch (const std::exception&) {
  }
}

struct Worker {
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  Worker(Worker&&) = delete;
  Worker& operator=(Worker&&) = delete;
  ~Worker() {
    if (thread.joinable()) thread.join();
  }
  std::thread thread;
  std::atomic<bool> has_ended = false;
};

// Whoever sends another one says nothing of the file, but of his descriptor.
bool can_be_read(const Descriptor& file) {
  const int flags = fcntl(file.get(), F_GETFL);
  return flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_WRONLY;
}

// So many may have connected without a word: half of the descriptors that there may be.
size_t most_silent() {
  constexpr rlim_t kMost = 4096;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return std::min(limit.rlim_cur / 2, kMost);
}

// What of a file's calls nobody takes over. Bytes that may be one, or data, are not among it: the
// tables of libcrypto's ciphers are in its code.
std::vector<NativeSite> natives_in(const Report& report) {
  std::vector<NativeSite> sites;
  const auto add = [&](Vaddr address, Reason reason) {
    sites.push_back({address.value, static_cast<uint8_t>(reason)});
  };
  for (const SiteReport& site : report.sites)
    if (site.tier == Tier::kNative) add(site.address, site.reason);
  const auto add_others = [&](PairKind kind, Reason reason) {
    for (const ClassifiedCandidate& call : report.other_calls)
      if (call.candidate.kind == kind) add(call.candidate.address, reason);
  };
  add_others(PairKind::kInt80, Reason::kInt80);
  add_others(PairKind::kSysenter, Reason::kSysenter);
  return sites;
}

// So that neither a signal nor another client waits for long.
bool is_large(const EntryView& entry) {
  constexpr uint64_t kAtOnce = uint64_t{32} << 20;  // bytes; 10 ms, if all has to be copied
  const auto& patches = entry.output.patches;
  return !patches.empty() && patches.back().offset.value - patches.front().offset.value > kAtOnce;
}

}  // namespace

struct RewriteServer::Impl {
  ServerOptions options;
  std::string name;
  Descriptor listener;
  std::vector<Descriptor> silent;  // connections that have sent nothing yet
  std::vector<Descriptor> doors;   // and those that bring others
  std::list<Worker> workers;
  // What was found out about a file, and whether everybody can read it.
  struct Known {
    SharedOutcome outcome;
    bool is_published = false;
    uint64_t last_use = 0;
  };
  std::map<FileIdentity, Known> files;
  uint64_t uses = 0;
  AnswerBoard board;

  std::mutex unsettled;

  mutable std::mutex mutex;
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

  // Of a file that is to have this copy, or none; nothing where it is not the file that the copy
  // was made for.
  std::optional<Outcome> outcome_of(const Original& original, const OutputView* output,
                                    const std::vector<NativeSite>& sites) {
    Outcome outcome;
    if (output != nullptr) {
      auto copy = make_memory_copy(original, *output);
      if (!copy) return give_up(path_of(original.descriptor), copy.error());
      if (!*copy) return std::nullopt;
      outcome = {ServerVerdict::kCopy, std::move(**copy)};
    }
    report_sites(original, sites);
    return outcome;
  }

  // Sites one by one; of the rest a file may be full, so each kind is one line.
  void report_sites(const Original& original, const std::vector<NativeSite>& sites) {
    for (size_t i = 0, same = 1; i < sites.size(); i += same) {
      const auto reason = static_cast<Reason>(sites[i].reason);
      same = 1;
      while (is_no_site(reason) && i + same < sites.size() &&
             sites[i + same].reason == sites[i].reason)
        ++same;
      const std::string more = same == 1 ? "" : fmt::format(" and {} more", same - 1);
      report(path_of(original.descriptor),
             fmt::format("{:#x}{}: {}", sites[i].address, more, reason_text(reason)));
    }
  }

  std::optional<Outcome> outcome_of(const Original& original, const EntryView& entry) {
    return outcome_of(original, entry.output.tail.empty() ? nullptr : &entry.output, entry.natives);
  }

  // What the cache says of a file that was not touched since, without reading it but where patches
  // lie; nothing where the rest has to be done. `at_once`: and where to make the copy takes long.
  std::optional<Outcome> outcome_untouched(const Original& original, const struct stat& status,
                                           bool at_once) {
    if (!S_ISREG(status.st_mode)) return std::nullopt;
    const auto entry = options.cache->find_untouched(status);
    if (!entry || (at_once && is_large(entry->view))) return std::nullopt;
    return outcome_of(original, entry->view);
  }

  Outcome rewrite_file(Descriptor file) {
    const std::string path = path_of(file.get());
    try {
      return rewrite_file(std::move(file), path);
    } catch (const std::bad_alloc&) {
      return give_up(path, {ErrorCode::kInputOutput, std::nullopt, "there is no memory for it"});
    }
  }

  Outcome rewrite_file(Descriptor file, const std::string& path) {
    struct stat status {};
    if (fstat(file.get(), &status) == 0)
      if (auto known =
              outcome_untouched({file.get(), static_cast<uint64_t>(status.st_size)}, status, false))
        return std::move(*known);
    const auto input = InputFile::adopt_read(file.release(), path);
    if (!input) return give_up(path, input.error());
    const Original original{input->descriptor(), input->bytes().size()};
    const CacheLookup known = options.cache->find(*input);
    if (known.entry)
      if (auto outcome = outcome_of(original, known.entry->view)) return std::move(*outcome);
    Options rewrite_options = entry_options();
    if (options.select) options.select(path, rewrite_options);
    const auto rewritten = rewrite(input->bytes(), rewrite_options);
    if (!rewritten) return give_up(path, rewritten.error());
    if (options.rewritten) options.rewritten(path, rewritten->report);
    const std::vector<NativeSite> sites = natives_in(rewritten->report);
    const bool nothing = rewritten->report.trampoline_size == 0;
    options.cache->keep(*input, known, nothing ? nullptr : &rewritten->output, sites, path);
    const OutputView view = view_of(rewritten->output);
    if (auto outcome = outcome_of(original, nothing ? nullptr : &view, sites))
      return std::move(*outcome);
    return give_up(path, {ErrorCode::kInputOutput, std::nullopt, "it was changed meanwhile"});
  }

  template <typename Work>
  void start_thread(Work work) {
    workers.remove_if([](Worker& worker) { return worker.has_ended.load(); });
    Worker& worker = workers.emplace_back();
    const auto kept = std::make_shared<Work>(std::move(work));
    try {
      worker.thread = std::thread([&worker, kept] {
        or_give_up(*kept);
        worker.has_ended = true;
      });
    } catch (const std::system_error&) {
      // At a limit of processes or memory: then everybody waits.
      workers.pop_back();
      (*kept)();
    }
  }

  // Two who ask for the same file wait for one rewrite.
  void answer_with(Descriptor socket, const SharedOutcome& outcome) {
    const auto send = [](const Descriptor& to, const SharedOutcome& what) {
      answer(to.get(), *what.get());
    };
    if (is_ready(outcome)) return send(socket, outcome);
    start_thread([send, outcome, socket = std::move(socket)] { send(socket, outcome); });
  }

  // Of a file that is asked for a second time, and so will be for a third. From then on nobody has
  // to ask, and it takes one mapping.
  void publish(const FileIdentity& identity, const Descriptor& file, Known& entry) {
    if (entry.is_published || !is_ready(entry.outcome) || !board.has_room()) return;
    const Outcome& outcome = *entry.outcome.get();
    if (outcome.verdict == ServerVerdict::kCopy && options.may_widen) {
      auto wide = in_one_piece(outcome.copy, {file.get(), identity.size});
      struct stat now {};
      const bool is_untouched = fstat(file.get(), &now) == 0 && identity_of(now) == identity;
      if (wide && is_untouched) {
        std::promise<std::shared_ptr<const Outcome>> promise;
        promise.set_value(
            std::make_shared<const Outcome>(Outcome{ServerVerdict::kCopy, std::move(*wide)}));
        entry.outcome = promise.get_future().share();
      }
    }
    const Outcome& published = *entry.outcome.get();
    board.publish(identity, reply_of(published), published.copy.file.get());
    entry.is_published = true;
  }

  // A copy takes a descriptor and memory, and a build runs more new programs than there is room
  // for. What has been published is mapped by whoever wants it, without a word, and stays.
  void forget_oldest() {
    constexpr size_t kMostKept = 256;
    auto oldest = files.end();
    size_t count = 0;
    for (auto file = files.begin(); file != files.end(); ++file) {
      if (file->second.is_published || !is_ready(file->second.outcome)) continue;
      ++count;
      if (oldest == files.end() || file->second.last_use < oldest->second.last_use) oldest = file;
    }
    if (count > kMostKept) files.erase(oldest);
  }

  // One at a time, so that of many who ask for the same new file the second finds it in the cache.
  void serve_unsettled(Descriptor socket, Descriptor file) {
    start_thread([this, socket = std::move(socket), file = std::move(file)]() mutable {
      const std::lock_guard lock(unsettled);
      answer(socket.get(), rewrite_file(std::move(file)));
    });
  }

  void serve_copy(Descriptor socket, Descriptor file) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    struct stat status {};
    if (!can_be_read(file) || fstat(file.get(), &status) != 0)
      return answer(socket.get(), ServerVerdict::kNothing, -1);
    const FileIdentity identity = identity_of(status);
    if (!has_settled(identity, now)) return serve_unsettled(std::move(socket), std::move(file));
    const auto [place, inserted] = files.try_emplace(identity);
    Known& entry = place->second;
    entry.last_use = ++uses;
    if (!inserted) {
      answer_with(std::move(socket), entry.outcome);
      return publish(identity, file, entry);
    }
    std::promise<std::shared_ptr<const Outcome>> promise;
    entry.outcome = promise.get_future().share();
    forget_oldest();  // which this one is not, having no outcome yet
    const auto keep = [](auto& into, Outcome outcome) {
      into.set_value(std::make_shared<const Outcome>(std::move(outcome)));
    };
    const Original original{file.get(), static_cast<uint64_t>(status.st_size)};
    if (auto found = outcome_untouched(original, status, true)) {
      keep(promise, std::move(*found));
      return answer_with(std::move(socket), entry.outcome);
    }
    start_thread([this, keep, file = std::move(file), promise = std::move(promise),
                  outcome = entry.outcome, socket = std::move(socket)]() mutable {
      keep(promise, rewrite_file(std::move(file)));
      answer(socket.get(), *outcome.get());
    });
  }

  // Who has opened it has said so, and whoever inherits it sends a connection.
  void serve_door(Descriptor door, Descriptor connection) {
    if (connection.valid() && is_same_user(connection.get())) listen_to(std::move(connection));
    if (doors.size() < most_silent()) doors.push_back(std::move(door));
  }

  void serve(Descriptor socket, Request request) {
    switch (request.request.kind) {
      case RequestKind::kDoor:
        return serve_door(std::move(socket), std::move(request.file));
      case RequestKind::kCopy:
        if (request.file.valid()) return serve_copy(std::move(socket), std::move(request.file));
        return answer(socket.get(), give_up("a file", {ErrorCode::kInputOutput, std::nullopt,
                                                       "it could not be received: too many files "
                                                       "are open"}));
      case RequestKind::kLoader:
        return answer(socket.get(), ServerVerdict::kCopy, options.loader);
      case RequestKind::kReport:
        return start_thread([socket = std::move(socket)] {
          print_report(socket.get());
          answer(socket.get(), ServerVerdict::kNothing, -1);
        });
      case RequestKind::kShare: {
        ShareRequest wanted{};
        std::memcpy(&wanted, request.request.text, sizeof(wanted));
        const bool fits = wanted.size != 0 && wanted.size <= kMostShared;
        const int memory = fits ? options.hooks->share(wanted.index, wanted.size) : -1;
        if (memory >= 0) board.publish_share(wanted.index, memory);
        return answer_memory(socket.get(), memory);
      }
      case RequestKind::kOutput:
        return answer_memory(socket.get(), options.hooks->ring());
      case RequestKind::kUnfollowed: {
        const std::string path = request.request.text;
        const size_t reason = std::min(path.size() + 1, sizeof(request.request.text) - 1);
        report(path, request.request.text + reason);
        return answer(socket.get(), ServerVerdict::kNothing, -1);
      }
    }
  }

  // Whoever has connected has most often sent by now what he wants.
  void listen_to(Descriptor socket) {
    or_give_up([this, &socket] {
      auto request = receive(socket.get());
      if (request) return serve(std::move(socket), std::move(*request));
      if (errno == EAGAIN) silent.push_back(std::move(socket));
      // Else nobody could connect any more.
      if (silent.size() > most_silent()) silent.erase(silent.begin());
    });
  }

  void accept_one() {
    Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.valid() && is_same_user(socket.get())) return listen_to(std::move(socket));
    // At a limit of descriptors or memory whoever knocks stays at the door, and poll() returns at
    // once.
    const bool is_out = !socket.valid() && errno != EAGAIN && errno != ECONNABORTED;
    if (is_out) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  // To those of which poll() has something to say. The others go on waiting.
  void listen_again(std::vector<Descriptor> connections, const pollfd* waits,
                    std::vector<Descriptor>* waiting) {
    for (Descriptor& connection : connections) {
      if ((waits++)->revents == 0) {
        waiting->push_back(std::move(connection));
      } else {
        listen_to(std::move(connection));
      }
    }
  }

  void serve_until_readable(int descriptor) {
    for (;;) {
      std::vector<pollfd> waits{{descriptor, POLLIN, 0}, {listener.get(), POLLIN, 0}};
      constexpr size_t kOwn = 2;
      const size_t first_door = kOwn + silent.size();
      for (const Descriptor& socket : silent) waits.push_back({socket.get(), POLLIN, 0});
      for (const Descriptor& socket : doors) waits.push_back({socket.get(), POLLIN, 0});
      if (poll(waits.data(), waits.size(), -1) < 0) continue;
      // Both, since a silent one may be a door, and a door brings silent ones.
      auto were_silent = std::exchange(silent, {}), were_doors = std::exchange(doors, {});
      listen_again(std::move(were_silent), waits.data() + kOwn, &silent);
      listen_again(std::move(were_doors), waits.data() + first_door, &doors);
      if (waits[1].revents != 0) accept_one();
      if (waits[0].revents != 0) return;
    }
  }
};

Result<std::unique_ptr<RewriteServer>> RewriteServer::start(const ServerOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  uint64_t random[2] = {};
  if (getrandom(random, sizeof(random), 0) != sizeof(random))
    return system_error("cannot get", "random bytes", errno);
  impl->name =
      fmt::format("sysrewrite-{:016x}{:016x}{}", random[0], random[1], impl->board.name_suffix());
  impl->board.set_server(impl->name, options.loader, options.hooks->ring());
  auto listener = listen_at(impl->name);
  if (!listener) return listener.error();
  impl->listener = std::move(*listener);
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

void RewriteServer::serve_until_readable(int descriptor) {
  impl_->serve_until_readable(descriptor);
}

void RewriteServer::stop() {
  impl_->workers.clear();
  impl_->silent.clear();
  impl_->doors.clear();
  impl_->listener.reset();
}

}  // namespace sysrewrite
