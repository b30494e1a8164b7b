#include "cli/hook_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <thread>

#include "cli/descriptor.h"
#include "cli/hook_sink.h"
#include "cli/input_file.h"
#include "cli/living_tree.h"
#include "trampoline/call_names.h"
#include "trampoline/counts.h"
#include "trampoline/hook_options.h"
#include "trampoline/output_ring.h"

namespace sysrewrite {

namespace {

constexpr char kFiles[] = "files";  // the hook that says itself what it has not seen

// The value of key=value as it is meant, without its backslashes; nothing where the key is another.
std::optional<std::string> value_of(const std::string& option, const std::string& key) {
  if (option == key) return "";
  if (option.rfind(key + "=", 0) != 0) return std::nullopt;
  std::string value;
  for (const char* at = option.c_str() + key.size() + 1; *at != 0;) value += take_option_byte(at);
  return value;
}

// NAME:key=value:key=value, with "\\:" for a colon.
struct HookName {
  std::string name;
  std::vector<std::string> options;

  explicit HookName(const std::string& text) {
    const char* at = text.c_str();
    name.assign(at, option_length(at));
    at += name.size();
    while (*at == ':') {
      options.emplace_back(at + 1, option_length(at + 1));
      at += 1 + options.back().size();
    }
  }

  // Nothing where there is no such key. Of several, which the hook refuses, the first one.
  std::optional<std::string> option(const std::string& key) const {
    for (const std::string& option : options)
      if (auto value = value_of(option, key)) return value;
    return std::nullopt;
  }
  std::string text() const {
    std::string result = name;
    for (const std::string& option : options) result += ":" + option;
    return result;
  }
};

// Mapped memory of a file without a name.
class Shared {
 public:
  Shared() = default;
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  Shared(Shared&&) = delete;
  Shared& operator=(Shared&&) = delete;
  ~Shared() {
    if (address_ != nullptr) munmap(address_, size_);
  }

  bool make(const char* name, uint64_t size) {
    file_.reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file_.valid() || ftruncate(file_.get(), static_cast<off_t>(size)) != 0) return false;
    // Those who share it could make it shorter under whoever reads.
    if (fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
      return false;
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (at == MAP_FAILED) return false;
    address_ = at;
    size_ = size;
    return true;
  }
  int descriptor() const { return file_.get(); }
  void* address() const { return address_; }
  uint64_t size() const { return size_; }

 private:
  Descriptor file_;
  void* address_ = nullptr;
  uint64_t size_ = 0;
};

uint64_t monotonic_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  constexpr uint64_t kSecond = 1000000000;
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

// One line, whatever is in it.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      result += "\\\\";
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < ' ' || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

// Bytes of the UTF-8 sequence that `text` begins with; 0 where it begins with none. The library
// decides, which drops what is none.
size_t sequence_size(std::string_view text) {
  for (size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    const nlohmann::json piece = std::string(text.substr(0, size));
    const size_t shown =
        piece.dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore).size() - 2;
    // All of it is there; a single byte may have been escaped.
    if (size == 1 ? shown != 0 : shown == size) return size;
  }
  return 0;
}

// A JSON string, in which what is no UTF-8 stands as Python's "surrogateescape" has it.
std::string json_string(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const size_t size = sequence_size(text);
    if (size == 0) {
      result += fmt::format("\\udc{:02x}", static_cast<unsigned char>(text[0]));
    } else {
      const std::string shown = nlohmann::json(std::string(text.substr(0, size))).dump();
      result += shown.substr(1, shown.size() - 2);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return result + "\"";
}

// Of the thread that makes it, whose mask a new one has. Signals are not for the one that reads
// output: another waits for them.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked(AllSignalsBlocked&&) = delete;
  AllSignalsBlocked& operator=(AllSignalsBlocked&&) = delete;
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

CountOrder order_of(const HookName& hook) {
  const std::string word = hook.option("sort").value_or("time");
  return word == "calls"    ? CountOrder::kCalls
         : word == "errors" ? CountOrder::kErrors
         : word == "name"   ? CountOrder::kName
                            : CountOrder::kTime;
}

}  // namespace

struct HookMemory::Impl {
  struct Hook {
    explicit Hook(const std::string& text) : name(text) {}
    HookName name;
    HookSink output;
    Shared shared;
  };

  std::vector<std::unique_ptr<Hook>> hooks;
  Shared ring_memory;
  OutputRing* ring = nullptr;
  uint64_t consumed = 0;  // of the ring; what stands there is for those who write
  std::mutex mutex;
  std::atomic<bool> stopping = false;

  // What a thread was doing when it was looked at last, and how often it had been the same.
  struct Look {
    WatchedCall call{};
    uint64_t said = 0;
    int times = 0;
  };
  static constexpr int kSuspicious = 5;  // looks, a second apart
  std::map<uint32_t, Look> looks;
  // Of the reader, for the kernel.
  robust_list_head robust_list{};
  struct robust_list robust_entry {};
  std::thread reader;

  void put(uint32_t index, const std::string& text) {
    if (index < hooks.size()) hooks[index]->output.put(text);
  }

  // Bytes that were promised and not read. Others write in this memory: it may be nonsense.
  uint64_t waiting() const {
    const uint64_t promised = __atomic_load_n(&ring->reserved, __ATOMIC_SEQ_CST);
    const uint64_t bytes = (promised & ~OutputRing::kClosed) - consumed;
    return bytes <= kRingData ? bytes : 0;
  }

  // What the next record's head says: of a record that was promised it fits in.
  uint64_t length_in(uint32_t word) const {
    const uint64_t length = word & ~OutputRing::kCommitted;
    return length <= kMostRecord && OutputRing::record_size(length) <= waiting() ? length : 0;
  }

  // Takes the next record out, if it is committed.
  bool read_record() {
    if (waiting() == 0) return false;
    const uint64_t at = consumed;
    const uint32_t word = __atomic_load_n(ring->word(at), __ATOMIC_ACQUIRE);
    if ((word & OutputRing::kCommitted) == 0) return false;
    const uint64_t length = length_in(word);
    uint32_t index = 0;
    std::memcpy(&index, ring->place(at + 4), sizeof(index));
    std::string text(length, 0);
    const uint64_t to_end = kRingData - (at + 8) % kRingData;
    const uint64_t first = std::min(length, to_end);
    std::memcpy(text.data(), ring->place(at + 8), first);
    std::memcpy(text.data() + first, ring->place(at + 8 + first), length - first);
    consume(at, OutputRing::record_size(length));
    put(index, text);
    return true;
  }

  void consume(uint64_t at, uint64_t size) {
    for (uint64_t i = 0; i < size; i += 8) std::memset(ring->place(at + i), 0, 8);
    consumed = at + size;
    __atomic_store_n(&ring->consumed, consumed, __ATOMIC_RELEASE);
  }

  // Somebody was killed between promise and commit: his record, as long as its head says. One who
  // was killed before that has written nothing, and is stepped over word by word. Whether there was
  // a head.
  bool step_over() {
    if (waiting() == 0) return false;
    const uint32_t word = __atomic_load_n(ring->word(consumed), __ATOMIC_ACQUIRE);
    consume(consumed, OutputRing::record_size(length_in(word)));
    return word != 0;
  }

  // False, with errno: ESRCH where the process has ended.
  static bool read_call(pid_t pid, const WatchedThread& thread, WatchedCall* call) {
    iovec here{call, sizeof(*call)};
    iovec there{std::bit_cast<void*>(thread.call), sizeof(*call)};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof(*call);
  }

  // The processes that threads are known of. One who was killed is still there.
  std::set<pid_t> named_processes() const {
    std::set<pid_t> named;
    for (const WatchedThread& thread : ring->watched) {
      const auto pid = static_cast<pid_t>(__atomic_load_n(&thread.pid, __ATOMIC_RELAXED));
      WatchedCall call{};
      if (pid > 0 && (read_call(pid, thread, &call) || errno != ESRCH)) named.insert(pid);
    }
    return named;
  }

  // How many processes of the tree live on. What others have written says whether to look, and
  // where. A child is counted as one that is being made until it has named itself, so that is read
  // first: the other way round, one that names itself in between is neither. It may then execute
  // something before it is looked at, and map nothing, so whoever has just come has to be known by
  // name.
  size_t count_tree() const {
    constexpr int kMostLooks = 10;  // at a tree that goes on making processes
    std::set<pid_t> known;
    size_t count = 0;
    for (int i = 0; i < kMostLooks; ++i) {
      const bool is_forking = __atomic_load_n(&ring->forking, __ATOMIC_SEQ_CST) != 0;
      std::set<pid_t> named = named_processes();
      if (named.empty() && !is_forking) return 0;
      if (i > 0 && named == known) break;
      count = count_living(ring_memory.descriptor(), named);
      known = std::move(named);
    }
    return count;
  }

  // Says once of each thread whose hook has been in the same call for a while, always when looked
  // at.
  void look_at_threads() {
    for (WatchedThread& thread : ring->watched) {
      const auto pid = static_cast<pid_t>(__atomic_load_n(&thread.pid, __ATOMIC_RELAXED));
      if (pid <= 0) continue;
      WatchedCall call{};
      const bool is_read = read_call(pid, thread, &call);
      if (!is_read && errno == ESRCH) __atomic_store_n(&thread.pid, 0, __ATOMIC_RELAXED);
      Look& look = looks[thread.tid];
      const uint64_t said = __atomic_load_n(&thread.said, __ATOMIC_RELAXED);
      const bool is_same = is_read && said == look.said && call.running != 0 &&
                           call.running == look.call.running &&
                           std::memcmp(&call, &look.call, offsetof(WatchedCall, further)) == 0;
      look.times = is_same ? look.times + 1 : 0;
      look.call = call;
      look.said = said;
      if (look.times == kSuspicious && RunningHook{call.running}.index() < hooks.size())
        say_it_hangs(thread.tid, call);
    }
  }

  void say_it_hangs(uint32_t tid, const WatchedCall& call) {
    const RunningHook running{call.running};
    const char* name = call_name(call.number);
    const std::string where =
        running.is_of_call()
            ? "call " + (name == nullptr ? std::to_string(call.number) : std::string(name))
            : running.function();
    const std::string line =
        fmt::format("sysrewrite: run: hook {} has not come back for {} seconds, in thread {}, {}\n",
                    hooks[running.index()]->name.name, kSuspicious, tid, where);
    HookSink().put(line);
  }

  void wait() {
    __atomic_store_n(&ring->is_asleep, 1, __ATOMIC_SEQ_CST);
    const uint32_t bell = __atomic_load_n(&ring->bell, __ATOMIC_SEQ_CST);
    const bool is_empty =
        waiting() == 0 ||
        (__atomic_load_n(ring->word(consumed), __ATOMIC_SEQ_CST) & OutputRing::kCommitted) == 0;
    const timespec a_while{0, 50'000'000};
    if (is_empty && !stopping)
      syscall(SYS_futex, &ring->bell, FUTEX_WAIT, bell, &a_while, nullptr, 0);
    __atomic_store_n(&ring->is_asleep, 0, __ATOMIC_SEQ_CST);
  }

  // Tells those who wait for this thread that it lives, and has the kernel tell them when it does
  // not. The list is not in their memory, so they cannot lead the kernel astray.
  void show_reader() {
    static_assert(OutputRing::kDied == FUTEX_OWNER_DIED);
    robust_entry.next = &robust_list.list;
    robust_list.list.next = &robust_entry;
    robust_list.futex_offset =
        std::bit_cast<long>(&ring->reader) - std::bit_cast<long>(&robust_entry);
    syscall(SYS_set_robust_list, &robust_list, sizeof(robust_list));
    __atomic_store_n(&ring->reader, static_cast<uint32_t>(gettid()), __ATOMIC_SEQ_CST);
  }

  void read_until_stopped() {
    show_reader();
    using Clock = std::chrono::steady_clock;
    constexpr auto kPatience = std::chrono::seconds(2);
    Clock::time_point last = Clock::now(), looked = last;
    while (!stopping) {
      if (Clock::now() - looked > std::chrono::seconds(1)) {
        looked = Clock::now();
        look_at_threads();
      }
      if (read_record()) {
        last = Clock::now();
        continue;
      }
      const bool is_stuck = waiting() != 0;
      if (!is_stuck) last = Clock::now();
      if (is_stuck && Clock::now() - last > kPatience) {
        // The next one may be somebody who lives, and only takes his time.
        if (step_over()) last = Clock::now();
      } else {
        wait();
      }
    }
    drain();
  }

  // The first program has ended: what is not committed by now comes from others, or never.
  void drain() {
    const uint64_t end = ring->close();
    for (int patience = 20; static_cast<int64_t>(end - consumed) > 0 && waiting() != 0;) {
      if (read_record()) continue;
      if (patience-- > 0) {
        usleep(1000);
      } else {
        step_over();
      }
    }
  }

  // As the hook `files` writes its records (docs/hooks/files.md).
  void say_incomplete(uint32_t index, const std::vector<std::string>& unseen) {
    const HookName& name = hooks[index]->name;
    if (name.name != kFiles) return;
    const std::string format = name.option("format").value_or("text");
    std::string text;
    for (const std::string& line : unseen) {
      if (format == "json") {
        text += R"({"kind":"incomplete","path":)" + json_string(line) + "}\n";
      } else if (format == "null") {
        text += "incomplete " + line + '\0';
      } else {
        text += "incomplete " + escaped(line) + "\n";
      }
    }
    put(index, text);
  }

  void show_counts(uint32_t index) {
    const Hook& hook = *hooks[index];
    if (hook.name.name != "count" || hook.shared.size() < sizeof(CountHeader)) return;
    const auto* header = static_cast<const CountHeader*>(hook.shared.address());
    const auto most =
        static_cast<uint32_t>((hook.shared.size() - sizeof(CountHeader)) / sizeof(CountProcess));
    std::string text;
    write_counts({header, static_cast<const CountProcess*>(static_cast<const void*>(header + 1)),
                  most, order_of(hook.name), hook.name.option("each").has_value(), __rdtsc(),
                  monotonic_nanoseconds()},
                 {[](void* context, const char* piece, size_t size) {
                    static_cast<std::string*>(context)->append(piece, size);
                  },
                  &text});
    put(index, text);
  }
};

Result<std::unique_ptr<HookMemory>> HookMemory::start(const std::vector<std::string>& hooks) {
  auto impl = std::make_unique<Impl>();
  for (const std::string& hook : hooks) {
    impl->hooks.push_back(std::make_unique<Impl::Hook>(hook));
    Impl::Hook& made = *impl->hooks.back();
    const auto path = made.name.option("output");
    if (!path) continue;
    if (!made.output.open_file(*path))
      return system_error("cannot write the output of " + made.name.name + " to", *path, errno);
  }
  if (!hooks.empty()) {
    if (!impl->ring_memory.make("sysrewrite-output", sizeof(OutputRing)))
      return system_error("cannot make", "memory for the output of hooks", errno);
    impl->ring = static_cast<OutputRing*>(impl->ring_memory.address());
    try {
      const AllSignalsBlocked blocked;
      impl->reader = std::thread([raw = impl.get()] { raw->read_until_stopped(); });
    } catch (const std::system_error& error) {
      return system_error("cannot start", "the thread that reads the output of hooks",
                          error.code().value());
    }
  }
  return std::unique_ptr<HookMemory>(new HookMemory(std::move(impl)));
}

HookMemory::HookMemory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

// NOLINTNEXTLINE(bugprone-exception-escape): without memory for a line this process ends
HookMemory::~HookMemory() {
  stop();
}

int HookMemory::ring() const {
  return impl_->ring_memory.descriptor();
}

int HookMemory::share(uint32_t hook, uint64_t size) {
  const std::lock_guard lock(impl_->mutex);
  if (hook >= impl_->hooks.size()) return -1;
  Shared& shared = impl_->hooks[hook]->shared;
  if (shared.address() == nullptr && !shared.make("sysrewrite-hook", size)) return -1;
  return size <= shared.size() ? shared.descriptor() : -1;
}

std::vector<std::string> HookMemory::stop(std::vector<std::string> unseen) {
  std::vector<std::string> lines;
  if (!impl_->reader.joinable()) return lines;
  const size_t living = impl_->count_tree();
  impl_->stopping = true;
  syscall(SYS_futex, &impl_->ring->bell, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  impl_->reader.join();
  const std::string still_run =
      living == 1 ? "1 process still runs: what it does from now on"
                  : fmt::format("{} processes still run: what they do from now on", living);
  if (living != 0) unseen.push_back(still_run + " is not recorded");
  std::string unfinished;  // whose output ends before the tree does
  for (uint32_t i = 0; i < impl_->hooks.size(); ++i) {
    impl_->say_incomplete(i, unseen);
    impl_->show_counts(i);
    const Impl::Hook& hook = *impl_->hooks[i];
    if (std::string loss = hook.output.loss(hook.name.name); !loss.empty())
      lines.push_back(std::move(loss));
    if (living != 0 && hook.output.is_used() && hook.name.name != kFiles)
      unfinished += (unfinished.empty() ? "" : ", ") + hook.name.name;
  }
  if (!unfinished.empty()) lines.push_back(still_run + " is not in the output of " + unfinished);
  return lines;
}

std::string hook_for_programs(const std::string& hook) {
  HookName name(hook);
  if (name.name.find('/') != std::string::npos) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::absolute(name.name, error);
    if (!error) name.name = path.string();
  }
  // Two are for the hook to refuse.
  const auto is_output = [](const std::string& option) { return option.rfind("output=", 0) == 0; };
  if (std::count_if(name.options.begin(), name.options.end(), is_output) == 1)
    std::erase_if(name.options, is_output);
  if (name.name == "count") name.options.emplace_back("shown-by-parent");
  return name.text();
}

}  // namespace sysrewrite
