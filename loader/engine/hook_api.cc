#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/engine/hook_format.h"
#include "loader/engine/hook_output.h"
#include "loader/engine/hook_set.h"
#include "loader/memory.h"
#include "loader/report.h"
#include "loader/serve/program_memory.h"
#include "loader/signals/places.h"
#include "loader/state.h"
#include "loader/thread_block.h"
#include "trampoline/call_names.h"
#include "trampoline/hook_options.h"

// What hooks may call. Legal here: what is legal in a hook (hook.h).

// Where it may, clang puts vector registers away at the start of such a function.
#ifdef __clang__
#define VARIADIC __attribute__((target("general-regs-only")))
#else
#define VARIADIC
#endif

namespace sysrewrite {

namespace {

int64_t api_read(void* to, uint64_t address, uint64_t size) {
  if (size == 0) return 0;
  return read_program(address, Memory::bytes(Memory::address_of(static_cast<char*>(to)), size));
}

int64_t api_read_string(char* to, uint64_t address, uint64_t size) {
  if (size == 0) return -ENAMETOOLONG;
  const int64_t length = read_program_string(address, to, size);
  if (length == -ENAMETOOLONG) to[size - 1] = 0;
  return length;
}

int64_t api_write(uint64_t address, const void* from, uint64_t size) {
  return write_program(address, as_byte_view(from, size));
}

void* api_call_memory(sysload_call* call, uint64_t size) {
  ThreadBlock* const block = own_block();
  const uint64_t used = (uint64_t{block->call_memory_used} + 15) / 16 * 16;
  if (call != &block->call || size > SYSLOAD_CALL_MEMORY || used > SYSLOAD_CALL_MEMORY - size)
    return nullptr;
  block->call_memory_used = static_cast<uint32_t>(used + size);
  return Memory::at<char>(Memory::address_of(block) + kBlockSize + used);
}

void* api_allocate(uint64_t size) {
  const int64_t start = sys::map_anonymous(0, size, sys::kRead | sys::kWrite);
  return sys::failed(start) ? nullptr : Memory::at<char>({static_cast<uint64_t>(start)});
}

void* api_share(sysload_hook* hook, uint64_t size) {
  return share_memory(hook, size);
}

void api_emit(sysload_hook* hook, const char* text, uint64_t size) {
  emit_text(hook, text, size);
}

VARIADIC void api_print(sysload_hook* hook, const char* format, ...) {
  char line[SYSLOAD_LINE];
  va_list arguments;
  va_start(arguments, format);
  const uint64_t size = format_text(line, sizeof(line), format, arguments);
  va_end(arguments);
  emit_text(hook, line, size < sizeof(line) ? size : sizeof(line) - 1);
}

VARIADIC uint64_t api_format(char* into, uint64_t size, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const uint64_t length = format_text(into, size, format, arguments);
  va_end(arguments);
  return length;
}

// As part of its type, which [[noreturn]] is not.
__attribute__((noreturn)) VARIADIC void api_fail(sysload_hook* hook, const char* format, ...) {
  char line[2048];
  va_list arguments;
  va_start(arguments, format);
  format_text(line, sizeof(line), format, arguments);
  va_end(arguments);
  fail("hook", name_of_hook(hook), ": ", static_cast<const char*>(line));
}

// "key=value:key=value", with "\:" for a colon.
class OptionReader {
 public:
  explicit OptionReader(const char* text) : at_(text) {}

  bool is_at_end() const { return *at_ == 0; }

  // Reads `key`, and stands behind its "="; false where another key is here, which is stepped over.
  bool take_key(const char* key) {
    const char* at = at_;
    while (*key != 0 && *at == *key) ++at, ++key;
    const bool found = *key == 0 && (*at == '=' || *at == ':' || *at == 0);
    if (found) {
      at_ = *at == '=' ? at + 1 : at;
    } else {
      at_ += option_length(at_);
      if (*at_ == ':') ++at_;
    }
    return found;
  }

  int64_t take_value(char* into, uint64_t size) {
    uint64_t length = 0;
    while (*at_ != 0 && *at_ != ':') {
      if (length + 1 >= size) return -ENAMETOOLONG;
      into[length++] = take_option_byte(at_);
    }
    if (size == 0) return -ENAMETOOLONG;
    into[length] = 0;
    return static_cast<int64_t>(length);
  }

 private:
  const char* at_;
};

int64_t api_option(const sysload_hook* hook, const char* key, char* into, uint64_t size) {
  OptionReader reader(hook->options);
  while (!reader.is_at_end())
    if (reader.take_key(key)) return reader.take_value(into, size);
  return -ENOENT;
}

int api_place(const sysload_call* call, sysload_place* into) {
  return place_of_call({call->origin}, into);
}

const char* api_program() {
  return sysload_state.hooks->program;
}

// Filled at run time, once: a table of addresses would need relocations.
sysload_api make_api() {
  sysload_api api{};
  api.abi = SYSLOAD_HOOK_ABI;
  api.size = sizeof(api);
  api.syscall = &sysload_syscall;
  api.read = &api_read;
  api.read_string = &api_read_string;
  api.write = &api_write;
  api.call_memory = &api_call_memory;
  api.allocate = &api_allocate;
  api.share = &api_share;
  api.emit = &api_emit;
  api.print = &api_print;
  api.format = &api_format;
  api.fail = &api_fail;
  api.option = &api_option;
  api.place = &api_place;
  api.call_name = &call_name;
  api.call_number = &call_number;
  api.error_name = &error_name;
  api.program = &api_program;
  return api;
}

}  // namespace

const sysload_api* hook_api() {
  if (sysload_state.api.abi == 0) sysload_state.api = make_api();
  return &sysload_state.api;
}

}  // namespace sysrewrite
