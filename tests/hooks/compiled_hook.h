// Hooks as their authors' compilers make them, and what the image says of them.
#ifndef SYSREWRITE_TESTS_HOOKS_COMPILED_HOOK_H_
#define SYSREWRITE_TESTS_HOOKS_COMPILED_HOOK_H_

#include <string>
#include <vector>

#include "loader/engine/hook_image.h"
#include "tests/byte_literals.h"

namespace sysrewrite::test {

// The command that hook.h documents, without the compiler, the output and the source.
inline constexpr char kDocumented[] =
    "-O2 -shared -fPIC -ffreestanding -nostdlib -mgeneral-regs-only";

// A shared object made of C source, which need not include hook.h. Fails the test, and returns
// nothing, where the compiler does.
Bytes compiled(const std::string& compiler, const std::string& source,
               const std::string& flags = kDocumented);

// "accepted", or why the object is refused.
std::string verdict(const Bytes& object);

// The memory that an accepted object has at this load bias, from low() to high(), without what is
// lent to it.
Bytes loaded(const Bytes& object, uint64_t bias);

// What a tool of binutils prints about an object: another witness of the same bytes.
std::string readelf(const Bytes& object, const std::string& options);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_HOOKS_COMPILED_HOOK_H_
