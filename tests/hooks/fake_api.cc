#include "tests/hooks/fake_api.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "trampoline/call_names.h"

namespace sysrewrite::test {

namespace {

FakeApi* current = nullptr;

std::string formatted(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is a copy
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  std::string text(static_cast<size_t>(length) + 1, '\0');
  std::vsnprintf(text.data(), text.size(), format, arguments);
  text.pop_back();
  return text;
}

void* pointer(uint64_t address) {
  return reinterpret_cast<void*>(address);  // NOLINT: as in a process
}

}  // namespace

// The functions of an api.
struct FakeCalls {
  static int64_t syscall(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                         uint64_t e, uint64_t f) {
    const uint64_t argument[6] = {a, b, c, d, e, f};
    if (current->answer) {
      const auto scripted = current->answer(number, argument);
      if (scripted) return *scripted;
    }
    const long answer = ::syscall(static_cast<long>(number), a, b, c, d, e, f);
    return answer == -1 ? -errno : answer;
  }

  static int64_t read(void* to, uint64_t address, uint64_t size) {
    iovec here{to, size}, there{pointer(address), size};
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
    std::memcpy(pointer(address), from, size);
    return 0;
  }

  static void* allocate(uint64_t size) { return current->memory_.emplace_back(size).data(); }

  static void* call_memory(sysload_call* /*call*/, uint64_t size) {
    current->call_memory.push_back(size);
    return size > SYSLOAD_CALL_MEMORY ? nullptr : allocate(size);
  }

  static void* share(sysload_hook* /*hook*/, uint64_t size) {
    if (!current->can_share) return nullptr;
    current->shared.resize(size);
    return current->shared.data();
  }

  static void emit(sysload_hook* /*hook*/, const char* text, uint64_t size) {
    current->printed.append(text, size);
  }

  [[gnu::format(printf, 2, 3)]] static void print(sysload_hook* /*hook*/, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    current->printed += formatted(format, arguments);
    va_end(arguments);
  }

  [[gnu::format(printf, 3, 4)]] static uint64_t format(char* into, uint64_t size,
                                                       const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line before does it
    const int length = std::vsnprintf(into, size, format, arguments);
    va_end(arguments);
    return static_cast<uint64_t>(length);
  }

  [[gnu::noreturn, gnu::format(printf, 2, 3)]] static void fail(sysload_hook* /*hook*/,
                                                                const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const std::string text = formatted(format, arguments);
    va_end(arguments);
    throw HookFailed(text);
  }

  static int64_t option(const sysload_hook* hook, const char* key, char* into, uint64_t size) {
    const char* at = hook->options;
    while (*at != 0) {
      std::string one;
      for (; *at != 0 && *at != ':'; ++at) {
        if (at[0] == '\\' && at[1] == ':') ++at;
        one += *at;
      }
      if (*at == ':') ++at;
      const size_t equal = one.find('=');
      if (one.substr(0, equal) != key) continue;
      const std::string value = equal == std::string::npos ? "" : one.substr(equal + 1);
      if (value.size() >= size) return -ENAMETOOLONG;
      std::memcpy(into, value.c_str(), value.size() + 1);
      return static_cast<int64_t>(value.size());
    }
    return -ENOENT;
  }

  static int place(const sysload_call* /*call*/, sysload_place* /*into*/) { return -ENOENT; }

  static const char* error_name(int64_t error) {
    return strerrorname_np(static_cast<int>(std::abs(error)));
  }

  static const char* program() { return "/bin/program"; }
};

FakeApi::FakeApi() {
  if (current != nullptr) std::abort();
  current = this;
  api.abi = SYSLOAD_HOOK_ABI;
  api.size = sizeof(api);
  api.syscall = &FakeCalls::syscall;
  api.read = &FakeCalls::read;
  api.read_string = &FakeCalls::read_string;
  api.write = &FakeCalls::write;
  api.call_memory = &FakeCalls::call_memory;
  api.allocate = &FakeCalls::allocate;
  api.share = &FakeCalls::share;
  api.emit = &FakeCalls::emit;
  api.print = &FakeCalls::print;
  api.format = &FakeCalls::format;
  api.fail = &FakeCalls::fail;
  api.option = &FakeCalls::option;
  api.place = &FakeCalls::place;
  api.call_name = &call_name;
  api.call_number = &call_number;
  api.error_name = &FakeCalls::error_name;
  api.program = &FakeCalls::program;
}

FakeApi::~FakeApi() {
  current = nullptr;
}

sysload_hook& FakeApi::hook(const std::string& options) {
  sysload_hook& hook = hooks_.emplace_back();
  std::memset(&hook, 0, sizeof(hook));
  hook.api = &api;
  hook.options = options_.emplace_back(options).c_str();
  return hook;
}

}  // namespace sysrewrite::test
