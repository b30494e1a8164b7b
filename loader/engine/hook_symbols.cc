// The parts of a HookImage that read bytes by the address that they will have: symbols, their
// names, and the one function that every hook exports.
#include <cstring>

#include "loader/engine/hook_image.h"

namespace sysrewrite {

namespace {

constexpr char kInit[] = "sysload_hook_init";

}  // namespace

std::optional<ByteView> HookImage::view(uint64_t address, uint64_t size) const {
  for (uint32_t i = 0; i < segment_count_; ++i) {
    const elf::Phdr& segment = segments_[i];
    if (address < segment.vaddr) continue;
    if (range_fits(address - segment.vaddr, size, segment.filesz))
      return slice(bytes_, segment.offset + (address - segment.vaddr), size);
  }
  return std::nullopt;
}

bool HookImage::is_writable(Vaddr place) const {
  for (uint32_t i = 0; i < segment_count_; ++i) {
    const elf::Phdr& segment = segments_[i];
    if ((segment.flags & elf::kFlagWrite) != 0 && place.value >= segment.vaddr &&
        range_fits(place.value - segment.vaddr, sizeof(uint64_t), segment.memsz))
      return true;
  }
  return false;
}

std::optional<elf::Sym> HookImage::symbol(uint64_t index) const {
  const auto offset = checked_multiply(index, sizeof(elf::Sym));
  const auto address = offset ? checked_add(symbols_, *offset) : std::nullopt;
  const auto bytes = address ? view(*address, sizeof(elf::Sym)) : std::nullopt;
  return bytes ? load<elf::Sym>(*bytes, 0) : std::nullopt;
}

ByteView HookImage::name(uint64_t offset) const {
  constexpr uint64_t kLongest = 256;  // that anybody is shown; longer ones are cut
  if (offset >= strings_.size) return {};
  const auto address = checked_add(strings_.address, offset);
  if (!address) return {};
  for (uint64_t length = 0;; ++length) {
    const auto text = view(*address, length + 1);
    if (!text || length >= strings_.size - offset) return {};
    if (text->back() == std::byte{0} || length == kLongest) return text->first(length);
  }
}

std::optional<uint32_t> HookImage::symbol_count() const {
  if (hash_ != 0) {
    // nbucket, nchain: as many chain words as symbols. Source: System V gABI, "Hash Table".
    const auto header = view(hash_, 8);
    return header ? load<uint32_t>(*header, 4) : std::nullopt;
  }
  return gnu_hash_ != 0 ? count_of_gnu_hash() : std::nullopt;
}

// Symbols from symbol_base on are sorted by bucket, and a chain ends with a word whose lowest bit
// is set: the last symbol ends the chain that begins last. Source: binutils, bfd/elflink.c,
// elf_gnu_hash_process_symidx().
std::optional<uint32_t> HookImage::count_of_gnu_hash() const {
  struct Header {
    uint32_t bucket_count, symbol_base, bloom_count, bloom_shift;
  };
  const auto bytes = view(gnu_hash_, sizeof(Header));
  const auto header = bytes ? load<Header>(*bytes, 0) : std::nullopt;
  if (!header) return std::nullopt;
  const uint64_t buckets_at = gnu_hash_ + sizeof(Header) + uint64_t{header->bloom_count} * 8;
  const uint64_t buckets_size = uint64_t{header->bucket_count} * 4;
  const auto buckets = view(buckets_at, buckets_size);
  if (!buckets) return std::nullopt;
  uint32_t last = 0;
  for (uint64_t at = 0; at < buckets_size; at += 4) {
    const uint32_t first = load<uint32_t>(*buckets, at).value_or(0);
    if (first > last) last = first;
  }
  if (last < header->symbol_base) return header->symbol_base;
  for (;; ++last) {
    const uint64_t chain = uint64_t{last - header->symbol_base} * 4;
    const auto word = view(buckets_at + buckets_size + chain, 4);
    if (!word || last == UINT32_MAX) return std::nullopt;
    if ((load<uint32_t>(*word, 0).value_or(0) & 1) != 0) return last + 1;
  }
}

bool HookImage::find_init(Refusal& why) {
  const auto count = symbol_count();
  if (!count) return why.say("its symbol hash table is damaged, or it has none");
  for (uint32_t i = 1; i < *count; ++i) {
    const auto candidate = symbol(i);
    if (!candidate) return why.say("its symbol table is shorter than its hash table says");
    if (candidate->shndx == elf::kShnUndef || candidate->shndx == elf::kShnAbs) continue;
    if (!range_fits(candidate->name, sizeof(kInit), strings_.size)) continue;
    const auto text = view(strings_.address + candidate->name, sizeof(kInit));
    if (!text || memcmp(text->data(), kInit, sizeof(kInit)) != 0) continue;
    for (uint32_t s = 0; s < segment_count_; ++s) {
      const elf::Phdr& segment = segments_[s];
      if ((segment.flags & elf::kFlagExec) == 0 || candidate->value < segment.vaddr) continue;
      if (!range_fits(candidate->value - segment.vaddr, 1, segment.filesz)) continue;
      init_ = {candidate->value};
      return true;
    }
    return why.say("its sysload_hook_init lies in no executable segment");
  }
  return why.say("exports no function sysload_hook_init");
}

}  // namespace sysrewrite
