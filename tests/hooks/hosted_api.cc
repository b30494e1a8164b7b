#include "tests/hooks/hosted_api.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <utility>

#include "loader/hooks/address.h"

namespace sysrewrite {

namespace {

HostedHook* g_current = nullptr;

int64_t make_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                  uint64_t f) {
  const long result = ::syscall(static_cast<long>(number), a, b, c, d, e, f);
  return result == -1 ? -errno : result;
}

std::string formatted(const char* format, va_list list) {
  char text[SYSLOAD_LINE];
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start has been called
  vsnprintf(text, sizeof(text), format, list);
  return text;
}

}  // namespace

struct HostedApi {
  static int64_t syscall(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                         uint64_t e, uint64_t f) {
    ++g_current->own_calls_;
    return make_call(number, a, b, c, d, e, f);
  }
  static int64_t read(void* to, uint64_t address, uint64_t size) {
    const iovec here{to, size}, there{at_word<void>(address), size};
    const ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    return got < 0 ? -EFAULT : got;
  }
  static int64_t read_string(char* to, uint64_t address, uint64_t size) {
    for (uint64_t i = 0; i < size; ++i) {
      if (read(to + i, address + i, 1) != 1) return -EFAULT;
      if (to[i] == 0) return static_cast<int64_t>(i);
    }
    to[size - 1] = 0;
    return -ENAMETOOLONG;
  }
  static int64_t write(uint64_t address, const void* from, uint64_t size) {
    const iovec here{const_cast<void*>(from), size}, there{at_word<void>(address), size};
    return process_vm_writev(getpid(), &here, 1, &there, 1, 0) == static_cast<ssize_t>(size)
               ? 0
               : -EFAULT;
  }
  static void* call_memory(sysload_call* /*call*/, uint64_t size) {
    size = (size + 15) / 16 * 16;
    if (size > g_current->call_memory_left_) return nullptr;
    g_current->call_memory_left_ -= size;
    return g_current->call_memory_.emplace_back(new char[size]).get();
  }
  static void* allocate(uint64_t size) {
    return g_current->allocations_.emplace_back(new char[size]()).get();
  }
  static void* share(sysload_hook* /*hook*/, uint64_t size) {
    HostedHook& self = *g_current;
    if (self.shared_ != nullptr) return self.shared_;
    self.shared_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    self.shared_size_ = size;
    self.shared_is_own_ = true;
    return self.shared_;
  }
  static void emit(sysload_hook* /*hook*/, const char* text, uint64_t size) {
    g_current->output_.append(text, size);
  }
  static void print(sysload_hook* /*hook*/, const char* format, ...) {
    va_list list;
    va_start(list, format);
    g_current->output_ += formatted(format, list);
    va_end(list);
  }
  static uint64_t format(char* into, uint64_t size, const char* format, ...) {
    va_list list;
    va_start(list, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start has been called
    const int length = vsnprintf(into, size, format, list);
    va_end(list);
    return static_cast<uint64_t>(length);
  }
  __attribute__((noreturn)) static void fail(sysload_hook* /*hook*/, const char* format, ...) {
    va_list list;
    va_start(list, format);
    const std::string text = formatted(format, list);
    va_end(list);
    throw HookFailed(text);
  }
  static int64_t option(const sysload_hook* hook, const char* key, char* into, uint64_t size) {
    std::istringstream all(hook->options);
    const std::string wanted = std::string(key) + "=";
    for (std::string one; std::getline(all, one, ':');) {
      if (one.compare(0, wanted.size(), wanted) != 0) continue;
      const std::string value = one.substr(wanted.size());
      if (value.size() + 1 > size) return -ENAMETOOLONG;
      memcpy(into, value.c_str(), value.size() + 1);
      return static_cast<int64_t>(value.size());
    }
    return -ENOENT;
  }
  static const char* error_name(int64_t error) {
    return strerrorname_np(static_cast<int>(error < 0 ? -error : error));
  }
  static const char* program() { return g_current->program_.c_str(); }
};

HostedHook::HostedHook(Init init, std::string options, std::string program, HostedHook* tree)
    : options_(std::move(options)), program_(std::move(program)), before_(g_current) {
  g_current = this;
  if (tree != nullptr) shared_ = tree->shared_;
  api_.abi = SYSLOAD_HOOK_ABI;
  api_.size = sizeof(api_);
  api_.syscall = HostedApi::syscall;
  api_.read = HostedApi::read;
  api_.read_string = HostedApi::read_string;
  api_.write = HostedApi::write;
  api_.call_memory = HostedApi::call_memory;
  api_.allocate = HostedApi::allocate;
  api_.share = HostedApi::share;
  api_.emit = HostedApi::emit;
  api_.print = HostedApi::print;
  api_.format = HostedApi::format;
  api_.fail = HostedApi::fail;
  api_.option = HostedApi::option;
  api_.error_name = HostedApi::error_name;
  api_.program = HostedApi::program;
  hook_.api = &api_;
  hook_.options = options_.c_str();
  try {
    if (init(&hook_) != 0) throw HookFailed("init returned something else than 0");
  } catch (...) {
    g_current = before_;
    throw;
  }
  thread_.tid = static_cast<uint64_t>(gettid());
  thread_.data = thread_memory_;
  if (hook_.thread_started != nullptr) hook_.thread_started(&hook_, &thread_);
}

HostedHook::~HostedHook() {
  g_current = before_;
  if (shared_is_own_) munmap(shared_, shared_size_);
}

int64_t HostedHook::call_with(uint64_t number, const uint64_t (&words)[6]) {
  HostedHook* const before = g_current;
  g_current = this;
  sysload_call call{};
  call.number = number;
  std::copy(std::begin(words), std::end(words), call.argument);
  call_memory_left_ = SYSLOAD_CALL_MEMORY;
  const uint64_t index = static_cast<uint32_t>(number) % SYSLOAD_MOST_NUMBERS;
  const auto wanted = [&](const uint64_t* interest) {
    return (interest[index / 64] >> index % 64 & 1) != 0;
  };
  bool answered = false;
  if (wanted(hook_.entry_interest))
    answered = hook_.entry(&hook_, &thread_, &call) == SYSLOAD_ANSWER;
  if (!answered) {
    const uint64_t* a = call.argument;
    call.result = pretended_ ? pretended_result_
                             : make_call(static_cast<uint32_t>(call.number), a[0], a[1], a[2], a[3],
                                         a[4], a[5]);
    if (wanted(hook_.exit_interest)) hook_.exit(&hook_, &thread_, &call);
  }
  call_memory_.clear();
  g_current = before;
  return call.result;
}

std::string HostedHook::take_output() {
  return std::exchange(output_, {});
}

std::vector<std::string> HostedHook::take_lines() {
  std::istringstream all(take_output());
  std::vector<std::string> lines;
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

uint64_t HostedHook::take_own_calls() {
  return std::exchange(own_calls_, 0);
}

}  // namespace sysrewrite
