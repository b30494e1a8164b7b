// Formatting for hooks: the part of printf that needs no libc.
#ifndef SYSREWRITE_LOADER_ENGINE_HOOK_FORMAT_H_
#define SYSREWRITE_LOADER_ENGINE_HOOK_FORMAT_H_

#include <cstdarg>
#include <cstdint>

namespace sysrewrite {

// As sysload_api::format. Conversions that hook.h does not name are written as they stand.
uint64_t format_text(char* into, uint64_t size, const char* format, va_list arguments);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_HOOK_FORMAT_H_
