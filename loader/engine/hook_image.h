// A hook's shared object, judged by its bytes alone: whether it can be used, and what has to be
// done to use it. Nothing here maps, prints or ends anything, so tests and fuzzers call it as it
// is.
//
// A hook lives in a process without a libc of its own and without ld.so's help. So what is let
// through is what sysload can really give:
//
//     segments       up to 16 PT_LOAD, in order, apart from each other by pages, none writable and
//                    executable; PT_GNU_RELRO inside a writable one
//     relocations    RELATIVE (RELA and RELR), and 64, GLOB_DAT, JUMP_SLOT to what the object
//     itself
//                    defines, to nothing (weak), or to one of the memory functions that compilers
//                    call on their own (GCC manual, "Standards")
//     no             DT_NEEDED, PT_TLS, constructors, destructors, indirect functions
//
// Everything else is refused with the reason. The bytes may be hostile and may even change while
// they are read: what was checked once is copied, and what is not copied is checked at each use.
#ifndef SYSREWRITE_LOADER_ENGINE_HOOK_IMAGE_H_
#define SYSREWRITE_LOADER_ENGINE_HOOK_IMAGE_H_

#include <cstdint>
#include <optional>

#include "loader/engine/hook_refusal.h"
#include "trampoline/address.h"
#include "trampoline/bytes.h"
#include "trampoline/elf_types.h"

namespace sysrewrite {

// What sysload lends to hooks.
enum class LentFunction : uint8_t { kNone, kMemcpy, kMemmove, kMemset, kMemcmp, kStrlen };

// 8 bytes of the image that have to be filled in.
struct HookRelocation {
  Vaddr place;
  uint64_t value;     // an address before the load bias, where `biased`
  bool biased;        // else as it stands
  LentFunction lent;  // else than kNone: the value is this function's address plus `value`
};

class HookImage {
 public:
  static constexpr uint32_t kMostSegments = 16;

  // False, with the reason, where the object cannot be used. `bytes` is the whole file and must
  // outlive the image.
  bool read(ByteView bytes, Refusal& why);

  uint32_t segment_count() const { return segment_count_; }
  const elf::Phdr& segment(uint32_t index) const { return segments_[index]; }
  Vaddr low() const { return low_; }                 // of the first segment, rounded down to a page
  Vaddr high() const { return high_; }               // of the last segment's end, rounded up
  uint64_t alignment() const { return alignment_; }  // of the load bias; at least a page
  Vaddr relro_start() const { return relro_start_; }  // whole pages; empty where there is none
  Vaddr relro_end() const { return relro_end_; }
  Vaddr init() const { return init_; }  // of sysload_hook_init

 private:
  friend class HookRelocations;

  struct Table {
    uint64_t address = 0, size = 0;
  };

  bool read_header(elf::Ehdr& header, Refusal& why) const;
  bool read_segments(const elf::Ehdr& header, Refusal& why);
  bool add_segment(const elf::Phdr& segment, Refusal& why);
  bool check_relro(Refusal& why);
  bool read_dynamic(Refusal& why);
  bool read_entry(const elf::Dyn& entry, Refusal& why);
  bool check_needed(Refusal& why) const;
  bool check_relocations(Refusal& why) const;
  bool find_init(Refusal& why);

  // The file's bytes behind an address of the image; nothing where not all are a segment's.
  std::optional<ByteView> view(uint64_t address, uint64_t size) const;
  // 8 bytes that relocation may write.
  bool is_writable(Vaddr place) const;
  std::optional<elf::Sym> symbol(uint64_t index) const;
  // Without its NUL; empty where it leaves the string table.
  ByteView name(uint64_t offset) const;
  std::optional<uint32_t> symbol_count() const;
  std::optional<uint32_t> count_of_gnu_hash() const;

  ByteView bytes_;
  elf::Phdr segments_[kMostSegments] = {};
  uint32_t segment_count_ = 0;
  elf::Phdr dynamic_{}, relro_{};
  Vaddr low_, high_, relro_start_, relro_end_, init_;
  uint64_t alignment_ = kPageSize;
  uint64_t symbols_ = 0, hash_ = 0, gnu_hash_ = 0, needed_ = 0;
  bool has_needed_ = false;
  Table strings_, rela_, jump_slots_, relr_;
};

// Walks the relocations of an image that read() has let through, in the order of the file. They are
// checked again, since the file may have changed.
class HookRelocations {
 public:
  explicit HookRelocations(const HookImage& image) : image_(image) {}

  enum class Step : uint8_t { kRelocation, kEnd, kRefused };
  Step next(HookRelocation& relocation, Refusal& why);

 private:
  Step next_rela(const HookImage::Table& table, HookRelocation& relocation, Refusal& why);
  Step next_relr(HookRelocation& relocation, Refusal& why);
  Step relative_at(Vaddr place, HookRelocation& relocation, Refusal& why) const;
  bool resolve(const elf::Rela& entry, HookRelocation& relocation, Refusal& why) const;

  const HookImage& image_;
  enum class Stage : uint8_t { kRela, kJumpSlots, kRelr, kDone } stage_ = Stage::kRela;
  uint64_t at_ = 0;      // of the next entry, from the table's start
  uint64_t base_ = 0;    // RELR: what the next bitmap's first bit stands for
  uint64_t bitmap_ = 0;  // RELR: bits that are still to be done
  uint64_t place_ = 0;   // RELR: what the lowest of them stands for
  bool has_base_ = false;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_HOOK_IMAGE_H_
