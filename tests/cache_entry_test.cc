// Entries and identities of the cache as bytes: what was written is read, and nothing else.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "cli/cache/entry.h"

namespace sysrewrite {
namespace {

Digest digest_of(unsigned char fill) {
  Digest digest;
  digest.fill(std::byte{fill});
  return digest;
}

const CacheSeal kSeal{digest_of(1), digest_of(2)};

std::vector<std::byte> original() {
  return std::vector<std::byte>(100, std::byte{0x90});
}

CacheEntry sample() {
  OutputBytes output;
  output.patches.push_back({{10}, {std::byte{0xe9}, std::byte{1}, std::byte{2}}});
  output.patches.push_back({{50}, {std::byte{0xf1}, std::byte{0xf4}}});
  output.tail_offset = {4096};
  output.tail.assign(33, std::byte{7});
  CacheEntry entry = make_entry(sha256(original()), original(), output);
  entry.natives.push_back({0x401000, 31});
  entry.path = "/bin/sample";
  return entry;
}

TEST(CacheEntry, IsReadAsItWasWritten) {
  const CacheEntry entry = sample();
  const auto read = decode_entry(encode_entry(entry, kSeal), entry.content, kSeal);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->content_size, 100U);
  ASSERT_EQ(read->output.patches.size(), 2U);
  EXPECT_EQ(read->output.patches[0].offset.value, 10U);
  EXPECT_EQ(read->output.patches[0].bytes, entry.output.patches[0].bytes);
  EXPECT_EQ(read->output.patches[1].offset.value, 50U);
  EXPECT_EQ(read->originals[0], std::vector<std::byte>(3, std::byte{0x90}));
  EXPECT_EQ(read->output.tail, entry.output.tail);
  EXPECT_EQ(read->output.tail_offset.value, 4096U);
  ASSERT_EQ(read->natives.size(), 1U);
  EXPECT_EQ(read->natives[0].address, 0x401000U);
  EXPECT_EQ(read->natives[0].reason, 31);
  EXPECT_EQ(read->path, "/bin/sample");
}

TEST(CacheEntry, NoChangedByteIsBelieved) {
  const CacheEntry entry = sample();
  std::vector<std::byte> bytes = encode_entry(entry, kSeal);
  for (std::byte& byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      byte ^= std::byte(1 << bit);
      EXPECT_FALSE(decode_entry(bytes, entry.content, kSeal));
      byte ^= std::byte(1 << bit);
    }
  }
  EXPECT_TRUE(decode_entry(bytes, entry.content, kSeal));
}

TEST(CacheEntry, NoOtherLengthIsBelieved) {
  const CacheEntry entry = sample();
  const std::vector<std::byte> bytes = encode_entry(entry, kSeal);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_entry(ByteView(bytes).first(size), entry.content, kSeal)) << size;
  std::vector<std::byte> longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_entry(longer, entry.content, kSeal));
}

TEST(CacheEntry, AnotherKeyOrBuildOrContentIsNotBelieved) {
  const CacheEntry entry = sample();
  const std::vector<std::byte> bytes = encode_entry(entry, kSeal);
  EXPECT_FALSE(decode_entry(bytes, entry.content, {digest_of(3), kSeal.build}));
  EXPECT_FALSE(decode_entry(bytes, entry.content, {kSeal.key, digest_of(3)}));
  EXPECT_FALSE(decode_entry(bytes, digest_of(9), kSeal));
}

TEST(CacheEntry, ASealedEntryWithPatchesOutsideTheOriginalIsNotBelieved) {
  for (const uint64_t offset : {uint64_t{98}, uint64_t{100}, ~uint64_t{0}, ~uint64_t{0} - 1}) {
    CacheEntry entry = sample();
    entry.output.patches[0].offset = {offset};
    std::swap(entry.output.patches[0], entry.output.patches[1]);
    std::swap(entry.originals[0], entry.originals[1]);
    EXPECT_FALSE(decode_entry(encode_entry(entry, kSeal), entry.content, kSeal)) << offset;
  }
}

TEST(CacheEntry, ASealedEntryWithOverlappingPatchesIsNotBelieved) {
  CacheEntry entry = sample();
  entry.output.patches[1].offset = {12};
  EXPECT_FALSE(decode_entry(encode_entry(entry, kSeal), entry.content, kSeal));
}

TEST(CacheEntry, ASealedEntryWithAFarTailIsNotBelieved) {
  for (const uint64_t offset : {uint64_t{99}, uint64_t{1} << 40, ~uint64_t{0}}) {
    CacheEntry entry = sample();
    entry.output.tail_offset = {offset};
    EXPECT_FALSE(decode_entry(encode_entry(entry, kSeal), entry.content, kSeal)) << offset;
  }
}

TEST(CacheEntry, AppliesOnlyWhereTheWindowsHoldWhatTheyWereMadeFor) {
  const CacheEntry entry = sample();
  const std::vector<std::byte> encoded = encode_entry(entry, kSeal);
  const auto view = view_entry(encoded, entry.content, kSeal);
  ASSERT_TRUE(view);
  std::vector<std::byte> bytes = original();
  EXPECT_TRUE(applies_to(*view, bytes));
  bytes[11] = std::byte{0x91};
  EXPECT_FALSE(applies_to(*view, bytes));
  bytes[11] = std::byte{0x90};
  bytes.push_back(std::byte{0x90});
  EXPECT_FALSE(applies_to(*view, bytes));
}

TEST(CacheIdentity, IsBelievedForTheSameFileOnly) {
  const FileIdentity identity{1, 2, 3, 4, 5, 6, 7};
  std::vector<std::byte> bytes = encode_identity(identity, digest_of(8), kSeal);
  EXPECT_EQ(decode_identity(bytes, identity, kSeal), digest_of(8));
  FileIdentity other = identity;
  ++other.changed_ns;
  EXPECT_FALSE(decode_identity(bytes, other, kSeal));
  EXPECT_FALSE(decode_identity(bytes, identity, {kSeal.key, digest_of(3)}));
  for (std::byte& byte : bytes) {
    byte ^= std::byte{0x10};
    EXPECT_FALSE(decode_identity(bytes, identity, kSeal));
    byte ^= std::byte{0x10};
  }
}

// Ticks: 10 ms at most with fractions of a second, 2 s without.
TEST(CacheIdentity, StandsForItsContentOnceItHasSettled) {
  constexpr int64_t kDay = 1'000'000;  // s
  const auto settled = [](int64_t modified_ns, int64_t changed_ns, int64_t seconds, int64_t ns) {
    const FileIdentity identity{1, 2, 3, kDay, modified_ns, kDay, changed_ns};
    return has_settled(identity, {kDay + seconds, ns});
  };
  EXPECT_FALSE(settled(500, 500, 0, 500));
  EXPECT_FALSE(settled(500, 500, 0, 50'000'500));
  EXPECT_TRUE(settled(500, 500, 0, 50'000'501));
  EXPECT_FALSE(settled(960'000'000, 500, 1, 0));  // the later of both
  EXPECT_FALSE(settled(500, 960'000'000, 1, 0));
  EXPECT_FALSE(settled(500, 960'000'000, 1, 10'000'000));
  EXPECT_TRUE(settled(500, 960'000'000, 1, 10'000'001));
  EXPECT_FALSE(settled(0, 0, 0, 999'999'999));  // whole seconds
  EXPECT_FALSE(settled(0, 0, 3, 0));
  EXPECT_TRUE(settled(0, 0, 3, 1));
  EXPECT_TRUE(settled(0, 500, 1, 0));   // it is the last change that tells
  EXPECT_FALSE(settled(0, 0, -10, 0));  // in the future
  constexpr int64_t kMost = INT64_MAX, kLeast = INT64_MIN;
  EXPECT_FALSE(has_settled({1, 2, 3, kMost, 0, 0, 1}, {kDay, 0}));
  EXPECT_TRUE(has_settled({1, 2, 3, kLeast, 0, 0, 1}, {kDay, 0}));
}

// Source of the expected values: FIPS 180-4's example "abc", and RFC 4231, test case 2.
TEST(Digest, IsSha256) {
  const char text[] = "abc";
  EXPECT_EQ(hex(sha256(as_byte_view(text, 3))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const char key[] = "Jefe";
  const char first[] = "what do ya want ", second[] = "for nothing?";
  EXPECT_EQ(
      hex(keyed_digest(as_byte_view(key, 4), {as_byte_view(first, 16), as_byte_view(second, 12)})),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace sysrewrite
