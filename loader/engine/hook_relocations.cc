#include <cstring>
#include <iterator>

#include "loader/engine/hook_image.h"

namespace sysrewrite {

namespace {

// Source: x86-64 psABI 1.0, table 4.9 "Relocation Types".
constexpr uint32_t kNone = 0, k64 = 1, kGlobDat = 6, kJumpSlot = 7, kRelative = 8;

// Names stand in the table itself, not behind pointers, which would need relocations.
constexpr char kTypeNames[][18] = {
    "NONE",         "64",       "PC32",      "GOT32",      "PLT32",
    "COPY",         "GLOB_DAT", "JUMP_SLOT", "RELATIVE",   "GOTPCREL",
    "32",           "32S",      "16",        "PC16",       "8",
    "PC8",          "DTPMOD64", "DTPOFF64",  "TPOFF64",    "TLSGD",
    "TLSLD",        "DTPOFF32", "GOTTPOFF",  "TPOFF32",    "PC64",
    "GOTOFF64",     "GOTPC32",  "GOT64",     "GOTPCREL64", "GOTPC64",
    "GOTPLT64",     "PLTOFF64", "SIZE32",    "SIZE64",     "GOTPC32_TLSDESC",
    "TLSDESC_CALL", "TLSDESC",  "IRELATIVE", "RELATIVE64",
};

constexpr char kLentNames[][8] = {"", "memcpy", "memmove", "memset", "memcmp", "strlen"};

constexpr uint8_t kStbWeak = 2, kSttTls = 6;

LentFunction lent_by_name(ByteView name) {
  for (size_t i = 1; i < std::size(kLentNames); ++i)
    if (name.size() == strlen(kLentNames[i]) &&
        memcmp(name.data(), kLentNames[i], name.size()) == 0)
      return static_cast<LentFunction>(i);
  return LentFunction::kNone;
}

bool refuse_type(uint32_t type, Refusal& why) {
  constexpr char kBehind[] = "; sysload applies relative ones and those to the hook's own symbols";
  if (type >= std::size(kTypeNames))
    return why.say("has a relocation of type ", uint64_t{type}, kBehind);
  const char* name = kTypeNames[type];
  return why.say("has a relocation R_X86_64_", as_byte_view(name, strlen(name)), kBehind);
}

}  // namespace

bool HookImage::check_relocations(Refusal& why) const {
  HookRelocations relocations(*this);
  HookRelocation ignored{};
  for (;;) {
    const HookRelocations::Step step = relocations.next(ignored, why);
    if (step != HookRelocations::Step::kRelocation) return step == HookRelocations::Step::kEnd;
  }
}

HookRelocations::Step HookRelocations::next(HookRelocation& relocation, Refusal& why) {
  while (stage_ != Stage::kDone) {
    Step step = Step::kEnd;
    if (stage_ == Stage::kRela) step = next_rela(image_.rela_, relocation, why);
    if (stage_ == Stage::kJumpSlots) step = next_rela(image_.jump_slots_, relocation, why);
    if (stage_ == Stage::kRelr) step = next_relr(relocation, why);
    if (step != Step::kEnd) return step;
    stage_ = static_cast<Stage>(static_cast<uint8_t>(stage_) + 1);
    at_ = 0;
  }
  return Step::kEnd;
}

HookRelocations::Step HookRelocations::next_rela(const HookImage::Table& table,
                                                 HookRelocation& relocation, Refusal& why) {
  while (at_ < table.size) {
    const auto address = checked_add(table.address, at_);
    const auto bytes = address ? image_.view(*address, sizeof(elf::Rela)) : std::nullopt;
    const auto entry = bytes ? load<elf::Rela>(*bytes, 0) : std::nullopt;
    if (!entry || table.size - at_ < sizeof(elf::Rela)) {
      why.say("the relocations leave their segment");
      return Step::kRefused;
    }
    at_ += sizeof(elf::Rela);
    if (static_cast<uint32_t>(entry->info) == kNone) continue;
    return resolve(*entry, relocation, why) ? Step::kRelocation : Step::kRefused;
  }
  return Step::kEnd;
}

// What a RELA entry puts where: S + A, S, or B + A of the psABI.
bool HookRelocations::resolve(const elf::Rela& entry, HookRelocation& relocation,
                              Refusal& why) const {
  const auto type = static_cast<uint32_t>(entry.info);
  const uint64_t index = entry.info >> 32;
  if (type != k64 && type != kGlobDat && type != kJumpSlot && type != kRelative)
    return refuse_type(type, why);
  const auto addend = static_cast<uint64_t>(entry.addend);
  relocation = {
      {entry.offset}, type == k64 || type == kRelative ? addend : 0, true, LentFunction::kNone};
  if (!image_.is_writable(relocation.place))
    return why.say("a relocation lies in no writable segment; compile with -fPIC");
  if (type == kRelative) return true;
  relocation.biased = false;
  if (index == 0) return true;  // no symbol: its value is 0
  const auto symbol = image_.symbol(index);
  if (!symbol) return why.say("a relocation names a symbol outside the symbol table");
  const ByteView name = image_.name(symbol->name);
  const uint8_t kind = symbol->info & 15;
  if (kind == kSttTls || kind == elf::kSttGnuIfunc)
    return why.say("refers to ", name, ", which is thread-local or an indirect function");
  if (symbol->shndx != elf::kShnUndef) {
    relocation.value += symbol->value;
    relocation.biased = symbol->shndx != elf::kShnAbs;
    return true;
  }
  relocation.lent = lent_by_name(name);
  if (relocation.lent != LentFunction::kNone || symbol->info >> 4 == kStbWeak) return true;
  return why.say("refers to ", name,
                 ", which is not there; a hook may call only what hook.h names");
}

// An even word is an address; odd words that follow are bitmaps of the 63 words behind it, and so
// on. Source: System V gABI, "Relative Relocation Table".
HookRelocations::Step HookRelocations::next_relr(HookRelocation& relocation, Refusal& why) {
  constexpr uint64_t kWord = sizeof(uint64_t);
  for (;;) {
    if (bitmap_ != 0) {
      const auto bit = static_cast<uint64_t>(__builtin_ctzll(bitmap_));
      bitmap_ &= bitmap_ - 1;
      return relative_at({place_ + bit * kWord}, relocation, why);
    }
    if (at_ >= image_.relr_.size) return Step::kEnd;
    const auto address = checked_add(image_.relr_.address, at_);
    const auto bytes = address ? image_.view(*address, kWord) : std::nullopt;
    const auto entry = bytes ? load<uint64_t>(*bytes, 0) : std::nullopt;
    if (!entry || image_.relr_.size - at_ < kWord || ((*entry & 1) != 0 && !has_base_)) {
      why.say("the relative relocations (DT_RELR) are damaged");
      return Step::kRefused;
    }
    at_ += kWord;
    if ((*entry & 1) == 0) {
      base_ = *entry + kWord;
      has_base_ = true;
      return relative_at({*entry}, relocation, why);
    }
    bitmap_ = *entry >> 1;
    place_ = base_;
    base_ += 63 * kWord;
  }
}

HookRelocations::Step HookRelocations::relative_at(Vaddr place, HookRelocation& relocation,
                                                   Refusal& why) const {
  const auto bytes = image_.view(place.value, sizeof(uint64_t));
  const auto addend = bytes ? load<uint64_t>(*bytes, 0) : std::nullopt;
  if (!addend || !image_.is_writable(place)) {
    why.say("a relocation lies in no writable segment; compile with -fPIC");
    return Step::kRefused;
  }
  relocation = {place, *addend, true, LentFunction::kNone};
  return Step::kRelocation;
}

}  // namespace sysrewrite
