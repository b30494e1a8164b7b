#include "tests/differential/program.h"

#include <cstdlib>
#include <cstring>

namespace sysrewrite::differential {

namespace {

constexpr size_t kFuelGauge = 12;  // decl fuel(%rip); js exit

void put(Bytes& out, std::initializer_list<int> bytes) {
  for (const int byte : bytes) out.push_back(static_cast<std::byte>(byte));
}

void put32(Bytes& out, uint64_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::byte>(value >> shift));
}

// What one pass over the items knows: sizes with the branches that are long so far.
class Layouter {
 public:
  Layouter(const Function& function, uint64_t address, const Surroundings& around)
      : items_(function.items), address_(address), around_(around), near_(items_.size()) {
    for (size_t i = 0; i < items_.size(); ++i) near_[i] = items_[i].near;
  }

  Laid run() {
    do measure();
    while (lengthen());
    Laid laid;
    laid.starts = starts_;
    for (size_t i = 0; i < items_.size(); ++i) emit(i, laid.bytes);
    if (laid.bytes.size() != end_) std::abort();
    return laid;
  }

 private:
  size_t branch_size(size_t i) const {
    if (!near_[i]) return 2;
    return items_[i].branch == Branch::kJump ? 5 : 6;
  }

  size_t size(size_t i, size_t at) const {
    const Item& item = items_[i];
    switch (item.kind) {
      case Kind::kPlain:
        return item.bytes.size();
      case Kind::kSyscall:
        return 2;
      case Kind::kLabel:
        return 7;
      case Kind::kForward:
        return branch_size(i);
      case Kind::kBackward:
        return kFuelGauge + branch_size(i);
      case Kind::kFill:
        return (item.alignment - (address_ + at) % item.alignment) % item.alignment;
      case Kind::kComputed:
        return 9;
      case Kind::kTable:
        return 6;
      case Kind::kExit:
      case Kind::kCall:
        return 5;
    }
    std::abort();
  }

  void measure() {
    starts_.clear();
    end_ = 0;
    for (size_t i = 0; i < items_.size(); ++i) {
      starts_.push_back(static_cast<uint32_t>(end_));
      end_ += size(i, end_);
    }
  }

  int64_t distance(size_t i) const {
    const Item& item = items_[i];
    const size_t gauge = item.kind == Kind::kBackward ? kFuelGauge : 0;
    const auto next = static_cast<int64_t>(starts_[i] + gauge + branch_size(i));
    return static_cast<int64_t>(starts_[item.target] + item.skip) - next;
  }

  bool is_branch(size_t i) const {
    return items_[i].kind == Kind::kForward || items_[i].kind == Kind::kBackward;
  }

  // True where a short branch does not reach and had to become a long one.
  bool lengthen() {
    bool changed = false;
    for (size_t i = 0; i < items_.size(); ++i) {
      if (!is_branch(i) || near_[i]) continue;
      const int64_t away = distance(i);
      if (away >= INT8_MIN && away <= INT8_MAX) continue;
      near_[i] = changed = true;
    }
    return changed;
  }

  uint64_t here(const Bytes& out) const { return address_ + out.size(); }

  void emit_branch(size_t i, Bytes& out) const {
    const Item& item = items_[i];
    const auto away = static_cast<uint64_t>(distance(i));
    if (near_[i]) {
      // loop and jrcxz have no long form.
      if (item.branch == Branch::kJump) put(out, {0xe9});
      if (item.branch != Branch::kJump) put(out, {0x0f, 0x80 | item.condition});
      return put32(out, away);
    }
    const int opcode = item.branch == Branch::kJump    ? 0xeb
                       : item.branch == Branch::kLoop  ? 0xe2
                       : item.branch == Branch::kJrcxz ? 0xe3
                                                       : 0x70 | item.condition;
    put(out, {opcode, static_cast<int>(away & 0xff)});
  }

  void emit_plain(const Item& item, Bytes& out) const {
    const size_t at = out.size();
    out.insert(out.end(), item.bytes.begin(), item.bytes.end());
    if (item.hole == 0) return;
    const uint64_t away = around_.data + item.data - here(out);
    const auto value = static_cast<uint32_t>(away);
    std::memcpy(out.data() + at + item.hole, &value, sizeof(value));
  }

  void emit_label(const Item& item, Bytes& out) const {
    put(out, {0x48, 0x8d, 0x0d});  // lea label(%rip), %rcx
    put32(out, starts_[item.target] + item.skip - out.size() - 4);
  }

  void emit(size_t i, Bytes& out) const {
    const Item& item = items_[i];
    switch (item.kind) {
      case Kind::kPlain:
        return emit_plain(item, out);
      case Kind::kSyscall:
        return put(out, {0x0f, 0x05});
      case Kind::kLabel:
        return emit_label(item, out);
      case Kind::kComputed:
        emit_label(item, out);
        return put(out, {0xff, 0xe1});  // jmp *%rcx
      case Kind::kBackward:
        put(out, {0xff, 0x0d});  // decl fuel(%rip)
        put32(out, around_.data + kFuelOffset - here(out) - 4);
        put(out, {0x0f, 0x88});  // js exit
        put32(out, around_.exit - here(out) - 4);
        return emit_branch(i, out);
      case Kind::kForward:
        return emit_branch(i, out);
      case Kind::kTable:
        put(out, {0xff, 0x25});  // jmp *word(%rip)
        return put32(out, around_.data + kTableOffset + uint64_t{8} * item.data - here(out) - 4);
      case Kind::kFill:
        return emit_fill(i, out);
      case Kind::kExit:
        put(out, {0xe9});  // jmp exit
        return put32(out, around_.exit - here(out) - 4);
      case Kind::kCall:
        put(out, {0xe8});  // call back
        return put32(out, around_.back - here(out) - 4);
    }
  }

  void emit_fill(size_t i, Bytes& out) const {
    const Bytes& unit = items_[i].bytes;
    size_t left = size(i, out.size());
    for (; left >= unit.size(); left -= unit.size())
      out.insert(out.end(), unit.begin(), unit.end());
    const std::byte single = unit[0] == std::byte{0xcc} ? std::byte{0xcc} : std::byte{0x90};
    out.insert(out.end(), left, single);
  }

  const std::vector<Item>& items_;
  uint64_t address_;
  const Surroundings& around_;
  std::vector<bool> near_;
  std::vector<uint32_t> starts_;
  size_t end_ = 0;
};

}  // namespace

const char* name_of(Class kind) {
  static constexpr const char* kNames[] = {
      "arithmetic", "test",  "multiply", "move",   "extend", "exchange", "lea",  "shift", "bit",
      "cmov, set",  "stack", "flags",    "string", "SSE",    "VEX",      "EVEX", "nop"};
  static_assert(std::size(kNames) == static_cast<size_t>(Class::kCount));
  return kNames[static_cast<size_t>(kind)];
}

const char* name_of(Operand kind) {
  static constexpr const char* kNames[] = {"no ModRM",    "register", "base",         "base+index",
                                           "index alone", "absolute", "RIP-relative", "fs, gs"};
  static_assert(std::size(kNames) == static_cast<size_t>(Operand::kCount));
  return kNames[static_cast<size_t>(kind)];
}

Laid layout(const Function& function, uint64_t address, const Surroundings& around) {
  return Layouter(function, address, around).run();
}

}  // namespace sysrewrite::differential
