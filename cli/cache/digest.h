// Digests, from nettle; the one door to it.
#ifndef SYSREWRITE_CLI_CACHE_DIGEST_H_
#define SYSREWRITE_CLI_CACHE_DIGEST_H_

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>

#include "trampoline/bytes.h"

namespace sysrewrite {

using Digest = std::array<std::byte, 32>;

// SHA-256 of the bytes. Source: FIPS 180-4.
Digest sha256(ByteView bytes);

// HMAC-SHA-256 of the parts, one behind the other. Source: FIPS 198-1.
Digest keyed_digest(ByteView key, std::initializer_list<ByteView> parts);

// Compares in a time that tells nothing about where two digests differ.
bool same_digest(const Digest& a, const Digest& b);

// 64 lower-case hexadecimal digits.
std::string hex(const Digest& digest);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CACHE_DIGEST_H_
