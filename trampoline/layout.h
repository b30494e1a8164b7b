// The contract between the rewriter, the stubs and every loader: what stands at the end of a
// rewritten file. C++ and the loader's assembler both include this file; docs/format.md tells the
// same story in prose, and tests/format_test.cc holds the two together.
//
//   --format=sysrewrite                             --format=litebox
//
//   0            +---------------------------+      0            +---------------------------+
//                | input, windows patched    |                   | input, windows patched    |
//   page border  +---------------------------+      16-aligned   +---------------------------+
//   T            | slot page (4096 bytes)    |      M            | metadata                  |
//                |   +0  slot: u64, 0 in file|      page - 16    +---------------------------+
//   T + 4096     +---------------------------+                   | MetaLocator (16 bytes)    |
//                | stubs, int3 to the page   |      page border  +---------------------------+
//   T + size     +---------------------------+      T            | slot: u64, then stubs     |
//                | metadata                  |      T + size     +---------------------------+
//   end - 32     +---------------------------+      = end - 32   | Trailer, "LITEBOX0"       |
//                | Trailer, "SYSRWT01"       |                   +---------------------------+
//                +---------------------------+
//
// size 0 means "looked at, there is no site". In the sysrewrite format the trailer's offset then
// is that of the metadata, which is still there; in the litebox format offset and vaddr are 0, and
// the MetaLocator stands right before the trailer.
//
//   --embed=segment: two PT_LOADs and a section for every byte, so that strip and objcopy keep them
//
//   0            +---------------------------+
//                | input, windows patched,   |
//                | program headers longer    |
//   page border  +---------------------------+  <- PT_LOAD, read-write
//                | metadata                  |
//                | notes, hash tables: what  |
//                | stood behind the headers  |
//                | interpreter path, zeros   |
//   T            +---------------------------+
//                | slot page (4096 bytes)    |
//                |   +0     slot             |
//                |   +4040  SegmentLocator   |
//                |   +4064  Trailer,         |
//                |          "SYSRWS01"       |
//   T + 4096     +---------------------------+  <- PT_LOAD, read-execute
//                | stubs, int3 to the page   |
//   T + size     +---------------------------+
//                | names, section headers    |
//                +---------------------------+
//
// Such tools may move segments in the file, so everything here is found by its address.
//
// Metadata, from its first byte:
//
//   +0                +-----------------------------+
//                     | MetaHeader                  |
//                     | SiteRecord[site_count]      |  ascending by address
//                     | EditRecord[edit_count]      |  what was changed beside the sites
//                     | blob                        |  original bytes, maps
//                     | Elf64_Phdr[phdr_count]      |  the new table, where it had to move
//                     | interpreter path, NUL       |  PT_INTERP points here, or none
//                     | options, each NUL-ended     |  key=value, for sysload
//                     +-----------------------------+  + meta_size, a multiple of 16
//
// With symbols (kMetaSymbols) there stands, from the next multiple of 8 behind the input, what
// rewriter/section_table.h draws: section headers and their tables, which nothing that runs reads.
//
// All integers are little endian.
#ifndef SYSREWRITE_TRAMPOLINE_LAYOUT_H_
#define SYSREWRITE_TRAMPOLINE_LAYOUT_H_

// --- What the assembler needs too --------------------------------------------------------------

// How far a stub moves rsp down, so that nothing lands in the red zone.
// Source: System V psABI 1.0, 3.2.2 "The Stack Frame": 128 bytes below rsp.
#define SYSREWRITE_RED_ZONE 128
// From resume, which a stub hands over in rcx, to its native tail.
#define SYSREWRITE_TAIL_FROM_RESUME 2
// From resume back to the point (r11 of a redzone stub) where exactly this call is issued again.
#define SYSREWRITE_RESTART_BEFORE_RESUME 25

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace sysrewrite {

inline constexpr char kTrailerMagic[8] = {'S', 'Y', 'S', 'R', 'W', 'T', '0', '1'};
inline constexpr char kLiteboxMagic[8] = {'L', 'I', 'T', 'E', 'B', 'O', 'X', '0'};
inline constexpr char kSegmentMagic[8] = {'S', 'Y', 'S', 'R', 'W', 'S', '0', '1'};
inline constexpr char kMetaMagic[8] = {'S', 'R', 'W', 'M', 'E', 'T', 'A', '1'};

// The last 32 bytes of a rewritten file, or of the slot page in a segment.
struct Trailer {
  char magic[8];
  uint64_t offset;  // file offset of the trampoline, page-aligned; in a segment 0
  uint64_t vaddr;   // its address before the load bias, page-aligned; may be "negative" for ET_DYN
  uint64_t size;    // bytes of slot and stubs in the file; 0: no site
};
static_assert(sizeof(Trailer) == 32);

// Only in litebox files, whose trailer has no room for it.
struct MetaLocator {
  char magic[8];  // kMetaMagic
  uint64_t meta_offset;
};
static_assert(sizeof(MetaLocator) == 16);

// Only in a segment, directly before the trailer.
struct SegmentLocator {
  char magic[8];          // kMetaMagic
  uint64_t meta_vaddr;    // of the metadata
  uint64_t input_digest;  // XXH64, seed 0, of the whole input: whether it can still be given back
};
static_assert(sizeof(SegmentLocator) == 24);
inline constexpr size_t kSegmentEndSize = sizeof(SegmentLocator) + sizeof(Trailer);

enum MetaFlags : uint32_t {
  kMetaPlainStub = 1U << 0,      // stubs do not step over the red zone and set no r11
  kMetaNativeTail = 1U << 1,     // each stub has a tail that issues the call itself
  kMetaLitebox = 1U << 2,        // written with --format=litebox
  kMetaHeadersMoved = 1U << 3,   // e_phoff points at the table in the metadata
  kMetaInterpInPlace = 1U << 4,  // PT_INTERP's bytes were overwritten where they stand
  kMetaInterpMoved = 1U << 5,    // PT_INTERP's offset was pointed at the metadata
  kMetaInterpreter = 1U << 6,    // the file is itself an interpreter, as ld.so is
  kMetaSymbols = 1U << 7,        // section headers behind the input name the stubs
  kMetaSegment = 1U << 8,        // written with --embed=segment
  kMetaInterpSegment = 1U << 9,  // PT_INTERP points into that segment
};

// Part of the metadata, as an offset from its first byte and a count of elements (or bytes).
struct MetaRange {
  uint32_t offset;
  uint32_t count;
};

struct MetaHeader {
  char magic[8];               // kMetaMagic
  uint64_t checksum;           // see checksum.h
  uint64_t input_size;         // bytes of the file that was rewritten
  uint64_t base_vaddr;         // sites and springboards are offsets from here
  uint64_t entry_vaddr;        // e_entry: the load bias is AT_ENTRY minus this
  uint64_t phdr_vaddr;         // where the input's program-header table is mapped; 0: nowhere
  uint32_t meta_size;          // bytes, this header included, up to the trailer or the locator
  uint32_t flags;              // MetaFlags
  uint16_t input_phnum;        // e_phnum of the input
  uint16_t reserved;           // 0
  uint32_t candidate_count;    // `0F 05` pairs in executable segments, the sum of the next four
  uint32_t inside_count;       // of them: inside another instruction
  uint32_t data_count;         // of them: data
  uint32_t uncertain_count;    // of them: no evidence either way, and left alone
  uint32_t instruction_count;  // of them: sites; equals site_count
  MetaRange sites;
  MetaRange edits;
  MetaRange blob;
  MetaRange phdrs;
  MetaRange interp;   // bytes with the NUL; count 0: none was set
  MetaRange options;  // bytes
};
static_assert(sizeof(MetaHeader) == 128);

enum class Tier : uint8_t {
  kInstruction = 'A',  // the jump replaces the one instruction before the syscall
  kSpringboard = 'B',  // short jump to a springboard
  kWindow = 'C',       // the jump replaces several instructions
  kTrap = 'D',         // poison alone
  kNative = 'N',       // left as it was
};

inline constexpr uint32_t kNoSpringboard = 0xffffffffU;

struct SiteRecord {
  uint32_t site;         // the syscall instruction, from base_vaddr
  uint32_t stub;         // StubOffset: from the start of the trampoline (slot included)
  uint32_t springboard;  // from base_vaddr; kNoSpringboard
  uint32_t blob;         // offset in the blob, see below
  uint8_t before;        // bytes of the window before the syscall
  uint8_t window;        // bytes of the window in all; 0 for kNative
  Tier tier;
  uint8_t reason;     // trampoline/reason.h
  uint8_t enter;      // from the stub's start to `enter`: behind the displaced instructions
  uint8_t displaced;  // how many instructions of the window run in the stub
  uint8_t stub_size;  // bytes
  uint8_t reserved;   // 0
};
static_assert(sizeof(SiteRecord) == 24);

// In the blob, for each site: `window` original bytes; the 5 original bytes of the springboard, if
// it has one; `displaced` DisplacedRecords, in order of their address.
struct DisplacedRecord {
  uint8_t original;  // offset from the window's start
  uint8_t copy;      // offset from the stub's start
};
static_assert(sizeof(DisplacedRecord) == 2);

inline constexpr size_t kSpringboardSize = 5;

// Where these stand in the blob, in bytes from its start.
inline constexpr uint64_t springboard_in_blob(const SiteRecord& site) {
  return uint64_t{site.blob} + site.window;
}
inline constexpr uint64_t displaced_in_blob(const SiteRecord& site, uint32_t index) {
  const uint64_t springboard = site.springboard == kNoSpringboard ? 0 : kSpringboardSize;
  return springboard_in_blob(site) + springboard + uint64_t{index} * sizeof(DisplacedRecord);
}

enum class EditKind : uint32_t {
  kElfHeader = 1,        // e_phoff, e_phnum, e_shoff, e_shnum, e_shstrndx
  kProgramHeader = 2,    // an entry of the table in place, or all of a longer table
  kInterpreterPath = 3,  // the bytes of PT_INTERP
  kDynamic = 4,          // an entry of the dynamic section whose target moved
};

// Bytes of the input changed beside windows and springboards.
struct EditRecord {
  uint64_t offset;  // file offset
  uint32_t size;    // bytes
  EditKind kind;
  uint32_t blob;  // offset in the blob: the original bytes
  uint32_t reserved;
};
static_assert(sizeof(EditRecord) == 24);

inline constexpr uint8_t kPoison[2] = {0xf1, 0xf4};  // icebp; hlt

}  // namespace sysrewrite

#endif  // __ASSEMBLER__
#endif  // SYSREWRITE_TRAMPOLINE_LAYOUT_H_
