#include "cli/cache/digest.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>

namespace sysrewrite {

namespace {

const uint8_t* octets(ByteView bytes) {
  return static_cast<const uint8_t*>(static_cast<const void*>(bytes.data()));
}

uint8_t* octets(Digest& digest) {
  return static_cast<uint8_t*>(static_cast<void*>(digest.data()));
}

static_assert(sizeof(Digest) == SHA256_DIGEST_SIZE);

}  // namespace

Digest sha256(ByteView bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), octets(bytes));
  Digest digest;
  sha256_digest(&context, digest.size(), octets(digest));
  return digest;
}

Digest keyed_digest(ByteView key, std::initializer_list<ByteView> parts) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), octets(key));
  for (const ByteView part : parts) hmac_sha256_update(&context, part.size(), octets(part));
  Digest digest;
  hmac_sha256_digest(&context, digest.size(), octets(digest));
  return digest;
}

bool same_digest(const Digest& a, const Digest& b) {
  return memeql_sec(a.data(), b.data(), a.size()) != 0;
}

std::string hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const std::byte byte : digest) {
    text += kDigits[std::to_integer<size_t>(byte >> 4)];
    text += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return text;
}

}  // namespace sysrewrite
