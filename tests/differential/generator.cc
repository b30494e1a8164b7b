#include "tests/differential/generator.h"

#include <algorithm>

namespace sysrewrite::differential {

namespace {

// Calls that answer the same twice, or that the filter answers; and numbers of none. Some write
// memory (uname, getresuid, getrlimit, getcwd, read of /dev/zero); 335, where the kernel knows it,
// raises SIGILL behind the call.
constexpr uint32_t kNumbers[] = {39,         102, 104, 107, 108, 110, 111,  118,  120,
                                 97,         63,  79,  0,   3,   24,  186,  219,  335,
                                 0x7fffffff, 999, 776, 1,   60,  15,  1000, 12345};

Item bytes_item(const char* hex) {
  Item item;
  item.meaning = Class::kNop;
  item.bytes = test::hex(hex);
  return item;
}

// What a function, or a path through it, ends with.
Item random_end(Random& random) {
  static constexpr const char* kEnds[] = {"c3", "c3", "c3", "0f 0b", "cc", "f4"};
  if (!random.one_in(3)) {
    Item item;
    item.kind = Kind::kExit;
    return item;
  }
  Item item = bytes_item(random.pick(kEnds));
  item.meaning = Class::kCount;
  return item;
}

Item random_fill(Random& random) {
  static constexpr const char* kUnits[] = {
      "90",
      "cc",
      "66 90",
      "0f 1f 00",
      "0f 1f 40 00",
      "66 0f 1f 44 00 00",
      "0f 1f 80 00 00 00 00",
      "66 2e 0f 1f 84 00 00 00 00 00",
  };
  Item item = bytes_item(random.pick(kUnits));
  item.kind = Kind::kFill;
  item.meaning = Class::kCount;
  static constexpr uint8_t kAlignments[] = {8, 16, 16, 32, 64};
  item.alignment = random.pick(kAlignments);
  return item;
}

class Generator {
 public:
  Generator(Random& random, const Palette& palette) : random_(random), palette_(palette) {}

  Function run() {
    function_.state_seed = random_.next();
    function_.symbol = !random_.one_in(10);
    function_.stack_bytes = static_cast<uint16_t>(512 + 8 * random_.below(64));
    function_.call_number = random_.pick(kNumbers);
    // Half of the registers, and those that string instructions use most of the time.
    function_.pointers = static_cast<uint16_t>((random_.next() & 0xffec) | 0x0008);
    if (!random_.one_in(4)) function_.pointers |= 0x00c0;
    function_.pointers &= static_cast<uint16_t>(~0x0013);
    function_.small = static_cast<uint16_t>(random_.next() & ~function_.pointers & 0xffee);
    palette_.pointers = function_.pointers;
    palette_.small = function_.small;
    const uint32_t calls = 1 + (random_.one_in(4) ? 1 : 0);
    for (uint32_t i = 0; i < calls; ++i) add_call();
    function_.items.push_back(random_end(random_));
    add_branches();
    return std::move(function_);
  }

 private:
  void add_plain(size_t most) {
    for (uint32_t left = random_.below(most + 1); left > 0; --left)
      function_.items.push_back(random_instruction(random_, palette_));
  }

  void add_call() {
    add_plain(5);
    if (!random_.one_in(4)) function_.items.push_back(load_number(random_, random_.pick(kNumbers)));
    // Often nothing between the number and the call, as compilers have it.
    if (!random_.one_in(3)) add_plain(3);
    Item call;
    call.kind = Kind::kSyscall;
    function_.items.push_back(call);
    add_plain(5);
  }

  size_t count() const { return function_.items.size(); }

  // Puts an item in, and keeps what branches lead to what it was.
  void insert(size_t at, Item item) {
    for (Item& other : function_.items)
      if (other.target >= at) ++other.target;
    if (item.target >= at) ++item.target;
    function_.items.insert(function_.items.begin() + static_cast<std::ptrdiff_t>(at),
                           std::move(item));
  }

  void add_branches() {
    for (uint32_t left = random_.below(4); left > 0; --left) {
      switch (random_.below(8)) {
        case 0:
        case 1:
          add_backward();
          break;
        case 2:
          if (random_.one_in(2))
            add_label();
          else
            add_call_out();
          break;
        case 3:
        case 4:
          add_detour();
          break;
        default:
          add_forward(static_cast<Branch>(random_.below(4)));
      }
    }
  }

  // Half of the branches lead to a call or to what follows one: that is where windows are.
  size_t pick_target(size_t from, size_t to) {
    if (random_.one_in(2)) {
      const size_t first = from + random_.below(to - from);
      for (size_t i = first; i < to; ++i) {
        if (function_.items[i].kind != Kind::kSyscall) continue;
        return i + 1 < to && random_.one_in(3) ? i + 1 : i;
      }
    }
    return from + random_.below(to - from);
  }

  void aim(Item& item, size_t from, size_t to) {
    item.target = pick_target(from, to);
    item.condition = static_cast<uint8_t>(random_.below(16));
    item.near = random_.one_in(2) && item.branch != Branch::kLoop && item.branch != Branch::kJrcxz;
    const uint8_t ignored = function_.items[item.target].ignored;
    // Only direct branches lead behind prefixes: that is where the rewriter looks for them.
    if (ignored > 0 && item.kind == Kind::kForward && random_.one_in(2))
      item.skip = static_cast<uint8_t>(1 + random_.below(ignored));
  }

  void add_forward(Branch branch) {
    Item item;
    item.kind = Kind::kForward;
    item.branch = branch;
    const size_t at = random_.below(count());
    aim(item, at, count());
    insert(at, item);
  }

  void add_backward() {
    Item item;
    item.kind = Kind::kBackward;
    item.branch = static_cast<Branch>(random_.below(4));
    const size_t at = 1 + random_.below(count() - 1);
    aim(item, 0, at);
    insert(at, item);
  }

  void add_label() {
    Item item;
    item.kind = Kind::kLabel;
    item.target = random_.below(count());
    const size_t at = random_.below(count());
    insert(at, item);
  }

  // A call that returns, often into what looks like padding; or such a run without a call.
  void add_call_out() {
    const size_t at = random_.below(count());
    if (random_.one_in(2)) insert(at, random_fill(random_));
    Item call;
    call.kind = Kind::kCall;
    if (!random_.one_in(4)) insert(at, call);
  }

  // Flow ends here, and goes on behind padding, where a branch leads (or nothing does).
  void add_detour() {
    const size_t at = random_.below(count());
    if (at == 0) return;
    insert(at, random_fill(random_));
    if (random_.one_in(4)) return insert(at, random_end(random_));
    Item jump;
    jump.kind = Kind::kForward;
    jump.branch = Branch::kJump;
    if (random_.one_in(4)) jump.kind = random_.one_in(2) ? Kind::kComputed : Kind::kTable;
    aim(jump, at + 1, count());
    insert(at, jump);
  }

  Random& random_;
  Palette palette_;
  Function function_;
};

}  // namespace

Function random_function(Random& random, Palette palette) {
  return Generator(random, palette).run();
}

}  // namespace sysrewrite::differential
