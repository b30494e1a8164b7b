#include "tests/hooks/scripted_api.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace {

ScriptedApi* g_api = nullptr;

struct CallName {
  uint16_t number;
  char name[26];
};
constexpr CallName kNames[] = {
#include "trampoline/call_names.inc"
};

bool is_of_interest(const uint64_t (&words)[SYSLOAD_MOST_NUMBERS / 64], uint64_t number) {
  number = static_cast<uint32_t>(number);
  if (number >= SYSLOAD_MOST_NUMBERS) number = SYSLOAD_MOST_NUMBERS - 1;
  return (words[number / 64] >> number % 64 & 1) != 0;
}

void* pointer_to(uint64_t address) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr)
  return reinterpret_cast<void*>(address);
}

std::string formatted(const char* format, va_list arguments) {
  char text[SYSLOAD_LINE];
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the caller has begun it
  vsnprintf(text, sizeof(text), format, arguments);
  return text;
}

}  // namespace

// The functions behind the pointers.
struct ScriptedFunctions {
  static int64_t syscall(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                         uint64_t e, uint64_t f) {
    const uint64_t arguments[] = {a, b, c, d, e, f};
    int64_t result = 0;
    if (g_api->answer && g_api->answer(number, arguments, &result)) return result;
    const long answer = ::syscall(static_cast<long>(number), a, b, c, d, e, f);
    return answer == -1 ? -errno : answer;
  }

  // AddressSanitizer's own memory, which it maps at fixed addresses. Source: LLVM, compiler-rt,
  // asan_mapping.h.
  static bool is_sanitizers(uint64_t address) {
    constexpr uint64_t kStart = 0x7fff8000, kEnd = 0x10007fff8000;
    return address >= kStart && address < kEnd;
  }

  static int64_t read(void* to, uint64_t address, uint64_t size) {
    if (size == 0) return 0;
    if (is_sanitizers(address)) return -EFAULT;
    iovec here{to, size}, there{pointer_to(address), size};
    const ssize_t done = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    return done < 0 ? -errno : done;
  }

  static int64_t read_string(char* to, uint64_t address, uint64_t size) {
    constexpr uint64_t kPage = 4096;
    for (uint64_t done = 0; done < size;) {
      // Not beyond the page, since the next one may not be there.
      const uint64_t part = std::min(kPage - (address + done) % kPage, size - done);
      if (read(to + done, address + done, part) != static_cast<int64_t>(part)) return -EFAULT;
      if (const void* end = memchr(to + done, 0, part)) return static_cast<const char*>(end) - to;
      done += part;
    }
    if (size > 0) to[size - 1] = 0;
    return -ENAMETOOLONG;
  }

  static int64_t write(uint64_t address, const void* from, uint64_t size) {
    memcpy(pointer_to(address), from, size);
    return 0;
  }

  static void* allocate(uint64_t size) {
    g_api->memory_.push_back(std::make_unique<std::vector<uint64_t>>(size / 8 + 1));
    return g_api->memory_.back()->data();
  }

  static void* call_memory(sysload_call* /*call*/, uint64_t size) {
    return g_api->has_call_memory && size <= SYSLOAD_CALL_MEMORY ? allocate(size) : nullptr;
  }

  // The same again for the next hook, as for the next process of a tree.
  static void* share(sysload_hook* /*hook*/, uint64_t size) {
    if (!g_api->has_shared_memory) return nullptr;
    if (g_api->shared_.empty()) g_api->shared_.resize(size / 8 + 1);
    return g_api->shared_.data();
  }

  static void emit(sysload_hook* /*hook*/, const char* text, uint64_t size) {
    g_api->output.append(text, size);
  }

  static void print(sysload_hook* /*hook*/, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_api->output += formatted(format, arguments);
    va_end(arguments);
  }

  static uint64_t format(char* into, uint64_t size, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it has been begun
    const int length = vsnprintf(into, size, format, arguments);
    va_end(arguments);
    return static_cast<uint64_t>(length);
  }

  [[gnu::noreturn]] static void fail(sysload_hook* /*hook*/, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const std::string text = formatted(format, arguments);
    va_end(arguments);
    throw HookFailure(text);
  }

  static int64_t option(const sysload_hook* hook, const char* key, char* into, uint64_t size) {
    const std::string all = hook->options;
    for (size_t at = 0; at < all.size();) {
      std::string item;
      for (; at < all.size() && all[at] != ':'; ++at) {
        if (all[at] == '\\' && at + 1 < all.size() && all[at + 1] == ':') ++at;
        item += all[at];
      }
      ++at;
      const size_t equals = item.find('=');
      if (item.substr(0, equals) != key) continue;
      const std::string value = equals == std::string::npos ? "" : item.substr(equals + 1);
      if (value.size() >= size) return -ENAMETOOLONG;
      memcpy(into, value.c_str(), value.size() + 1);
      return static_cast<int64_t>(value.size());
    }
    return -ENOENT;
  }

  static const char* call_name(uint64_t number) {
    for (const CallName& known : kNames)
      if (known.number == number) return known.name;
    return nullptr;
  }

  static int64_t call_number(const char* name) {
    for (const CallName& known : kNames)
      if (strcmp(known.name, name) == 0) return known.number;
    return -1;
  }

  static const char* error_name(int64_t error) {
    return strerrorname_np(static_cast<int>(error < 0 ? -error : error));
  }

  static int place(const sysload_call* /*call*/, sysload_place* /*into*/) { return -ENOENT; }
  static const char* program() { return "/bin/program"; }
};

ScriptedApi::ScriptedApi() {
  if (g_api != nullptr) throw std::logic_error("there is a ScriptedApi already");
  g_api = this;
  api_ = {SYSLOAD_HOOK_ABI,
          sizeof(api_),
          &ScriptedFunctions::syscall,
          &ScriptedFunctions::read,
          &ScriptedFunctions::read_string,
          &ScriptedFunctions::write,
          &ScriptedFunctions::call_memory,
          &ScriptedFunctions::allocate,
          &ScriptedFunctions::share,
          &ScriptedFunctions::emit,
          &ScriptedFunctions::print,
          &ScriptedFunctions::format,
          &ScriptedFunctions::fail,
          &ScriptedFunctions::option,
          &ScriptedFunctions::place,
          &ScriptedFunctions::call_name,
          &ScriptedFunctions::call_number,
          &ScriptedFunctions::error_name,
          &ScriptedFunctions::program};
}

ScriptedApi::~ScriptedApi() {
  g_api = nullptr;
}

void ScriptedApi::start(int (*init)(sysload_hook*), const std::string& options) {
  options_ = options;
  hook = {};
  hook.api = &api_;
  hook.options = options_.c_str();
  if (init(&hook) != 0) throw HookFailure("init says no");
  new_thread();
}

void ScriptedApi::new_thread() {
  thread_data_.assign(hook.thread_size / 8 + 1, 0);
  thread = {1234, thread_data_.data()};
}

namespace {

sysload_call call_of(uint64_t number, const std::vector<uint64_t>& arguments) {
  sysload_call call{};
  call.number = number;
  for (size_t i = 0; i < arguments.size() && i < 6; ++i) call.argument[i] = arguments[i];
  return call;
}

}  // namespace

void ScriptedApi::make_call(uint64_t number, const std::vector<uint64_t>& arguments, int64_t result,
                            const std::function<void()>& kernel) {
  sysload_call call = call_of(number, arguments);
  if (hook.entry != nullptr && is_of_interest(hook.entry_interest, number))
    hook.entry(&hook, &thread, &call);
  if (kernel) kernel();
  call.result = result;
  if (hook.exit != nullptr && is_of_interest(hook.exit_interest, number))
    hook.exit(&hook, &thread, &call);
}

void ScriptedApi::enter(uint64_t number, const std::vector<uint64_t>& arguments,
                        uint64_t stack_pointer) {
  sysload_call call = call_of(number, arguments);
  call.stack_pointer = stack_pointer;
  if (hook.entry != nullptr && is_of_interest(hook.entry_interest, number))
    hook.entry(&hook, &thread, &call);
}
