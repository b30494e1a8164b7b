#include "tests/differential/process.h"

#include <sys/mman.h>
#include <sys/time.h>

#include <bit>

#include "tests/differential/cpu.h"
#include "tests/differential/filter.h"
#include "tests/differential/handler.h"

namespace sysrewrite::differential {

namespace {

constexpr uint64_t kStack = 0x650000000;  // kDataSize bytes; nothing on either side
constexpr time_t kMostSeconds = 60;       // of processor time, that a batch may take

void* pointer(uint64_t address) {
  void* at;
  std::memcpy(&at, &address, sizeof(at));
  return at;
}

// New writable pages at the address and nowhere else.
bool map_at(uint64_t address, uint64_t size) {
  const uint64_t from = align_down(address, kPageSize);
  const uint64_t length = address + size - from;
  return mmap(pointer(from), length, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == pointer(from);
}

bool protect(uint64_t address, uint64_t size, int rights) {
  const uint64_t from = align_down(address, kPageSize);
  return mprotect(pointer(from), address + size - from, rights) == 0;
}

uint64_t function_address(void (*function)()) {
  return std::bit_cast<uint64_t>(function);
}

// A page of hlt, for whoever jumps near; at its start jmp *rel32(%rip), the address at its end.
Bytes exit_code() {
  const Bytes jump = test::hex("ff 25 f2 0f 00 00");
  return jump + test::repeat(0xf4, kPageSize - jump.size() - 8) +
         test::bytes_of(function_address(differential_leave));
}

uint64_t callback_of(const Batch& batch) {
  switch (batch.damage) {
    case Damage::kFlags:
      return function_address(differential_break_flags);
    case Damage::kRedZone:
      return function_address(differential_break_red_zone);
    case Damage::kVector:
      return function_address(differential_break_vector);
    case Damage::kHighVector:
      return function_address(differential_break_high_vector);
    case Damage::kMask:
      return function_address(differential_break_mask);
    case Damage::kRounding:
      return function_address(differential_break_rounding);
    default:
      break;
  }
  switch (batch.callback) {
    case Callback::kPass:
      break;
    case Callback::kRestart:
      return function_address(differential_restart);
    case Callback::kRestartByRcx:
      return function_address(differential_restart_by_rcx);
    default:
      return function_address(batch.stub == StubKind::kRedzone ? differential_answer
                                                               : differential_answer_plain);
  }
  return function_address(differential_pass);
}

uint64_t random_register(Random& random, uint64_t data) {
  switch (random.below(6)) {
    case 0:
      return uint64_t{random.below(256)};
    case 1:
      return kStack + 512 + 8 * uint64_t{random.below(256)};
    case 2:
      return data + 8 * uint64_t{random.below(kDataSize / 8)};
    default:
      return random.next();
  }
}

}  // namespace

std::string Process::prepare() {
  const itimerval most{{}, {kMostSeconds, 0}};
  setitimer(ITIMER_PROF, &most, nullptr);
  const Surroundings& around = image_.around;
  if (!map_at(image_.code + image_.bias, image_.before.size()) || !map_at(around.data, kDataSize) ||
      !map_at(around.data + kFuelOffset, 2 * kPageSize) || !map_at(kStack, kDataSize) ||
      !map_at(around.exit, kPageSize))
    return "could not map what a function needs";
  for (size_t i = 0; i < image_.table.size(); ++i) {
    const uint64_t target = image_.table[i] + image_.bias;
    std::memcpy(pointer(around.data + kTableOffset + 8 * i), &target, sizeof(target));
  }
  const Bytes code = exit_code();
  std::memcpy(pointer(around.exit), code.data(), code.size());
  constexpr uint8_t kRet = 0xc3;
  std::memcpy(pointer(around.back), &kRet, sizeof(kRet));
  if (!protect(around.exit, kPageSize, PROT_READ | PROT_EXEC)) return "could not protect the exit";
  differential_width = vector_width();
  differential_segment_base = around.data;
  if (!watch_signals()) return "could not set signal handlers";
  if (!filter_calls()) return "could not filter system calls";
  return {};
}

bool Process::map_trampoline() {
  const Bytes& bytes = image_.trampoline;
  const uint64_t at = image_.file.trailer().vaddr + image_.bias;
  if (bytes.empty()) return true;
  if (!map_at(at, bytes.size())) return false;
  std::memcpy(pointer(at), bytes.data(), bytes.size());
  const uint64_t callback = callback_of(batch_);
  std::memcpy(pointer(at), &callback, sizeof(callback));
  if (!protect(at, bytes.size(), PROT_READ | PROT_EXEC)) return false;
  // The slot's page is never executable; a litebox file has no such page.
  return image_.file.is_litebox() || protect(at, kPageSize, PROT_READ);
}

std::string Process::place(bool patched) {
  patched_ = patched;
  const uint64_t at = image_.code + image_.bias;
  const Bytes& code = patched ? image_.after : image_.before;
  if (!protect(at, code.size(), PROT_READ | PROT_WRITE)) return "could not write the code";
  std::memcpy(pointer(at), code.data(), code.size());
  if (!protect(at, code.size(), PROT_READ | PROT_EXEC)) return "could not protect the code";
  if (!patched) return {};
  if (has_trampoline_) return {};
  if (!map_trampoline()) return "could not map the trampoline";
  has_trampoline_ = true;
  const RewrittenFile& file = image_.file;
  for (uint32_t i = 0; i < file.site_count(); ++i) {
    const SiteRecord site = file.site(i);
    if (site.tier == Tier::kNative || site.tier == Tier::kSpringboard) continue;
    const uint8_t enter = batch_.damage == Damage::kEntry ? uint8_t{0} : site.enter;
    signals.poison.push_back({file.site_vaddr(site).value + image_.bias,
                              file.stub_vaddr(site).value + image_.bias + enter});
  }
  return {};
}

void Process::fill(const Function& function) {
  Random random(function.state_seed, 0);
  const uint64_t data = image_.around.data;
  for (auto* word = static_cast<uint64_t*>(pointer(data)); word != pointer(data + kDataSize);
       ++word)
    *word = random_register(random, data);
  for (auto* word = static_cast<uint64_t*>(pointer(kStack)); word != pointer(kStack + kDataSize);
       ++word)
    *word = random.one_in(4) ? image_.around.exit : random_register(random, data);
  std::memset(pointer(data + kFuelOffset), 0, kPageSize);
  std::memcpy(pointer(data + kFuelOffset), &kFuel, sizeof(kFuel));
  State& in = differential_in;
  for (size_t i = 0; i < 16; ++i) {
    uint64_t& value = in.registers[i] = random_register(random, data);
    if ((function.pointers >> i & 1) != 0) value = data + 1024 + 32 * uint64_t{random.below(64)};
    if ((function.small >> i & 1) != 0) value = random.below(32);
  }
  in.registers[0] = function.call_number | (random.one_in(4) ? random.next() << 32 : 0);
  in.registers[kRsp] = kStack + function.stack_bytes;
  if (random.one_in(8)) in.registers[kRsp] += random.below(8);
  std::memcpy(pointer(kStack + function.stack_bytes), &image_.around.exit, sizeof(uint64_t));
  constexpr uint64_t kArithmeticFlags = 0x8d5, kDirection = 0x400, kAlwaysSet = 2;
  in.flags = (random.next() & kArithmeticFlags) | kAlwaysSet;
  if (random.one_in(8)) in.flags |= kDirection;
  // Rounding as it comes; no exception traps.
  in.mxcsr = 0x1f80 | (random.next() & 0x6000);
  for (auto& vector : in.vectors)
    for (size_t at = 0; at < sizeof(vector); at += 8) {
      const uint64_t value = random.next();
      std::memcpy(vector + at, &value, sizeof(value));
    }
  for (uint64_t& mask : in.masks) mask = random.next();
}

uint64_t Process::traps() const {
  return signals.traps;
}

// What loader/signals/position.cc does for sysload, for the two cases that arise here: displaced
// instructions fault, and calls raise a signal, which finds rip behind the call. Everything is
// shown as the unpatched code has it, and the unpatched run says whether that is right.
void Process::show_original(Ending& ending) const {
  const RewrittenFile& file = image_.file;
  const uint64_t rip = ending.fault.rip;
  for (uint32_t i = 0; i < file.site_count(); ++i) {
    const SiteRecord site = file.site(i);
    const uint64_t in_stub = rip - file.stub_vaddr(site).value - image_.bias;
    if (in_stub >= site.stub_size) continue;
    const uint64_t window = file.window_vaddr(site).value + image_.bias;
    for (uint32_t j = 0; j < site.displaced; ++j)
      if (const DisplacedRecord record = file.displaced(site, j); record.copy == in_stub)
        ending.fault.rip = window + record.original;
    // The core ends with the tail's syscall and lea after_syscall(%rip), %rcx.
    constexpr size_t kFix = 7;
    if (in_stub != site.enter + stub_core_size(batch_.stub, batch_.native_tail) - kFix) continue;
    ending.fault.rip = window + site.before + 2U;
    ending.state.registers[kRcx] = ending.fault.rip;
  }
  // Faults of an instruction itself (SIGILL, SIGFPE) name it as their address.
  if (ending.fault.address == rip) ending.fault.address = ending.fault.rip;
}

void Process::start(size_t index) {
  differential_entry = image_.functions[index].vaddr + image_.bias;
  signals.fault = {};
  signals.running = true;
  differential_run();
  signals.running = false;
}

bool Process::touches_code(size_t index) {
  constexpr uint64_t kTrapFlag = 0x100;
  const uint64_t code = image_.code + image_.bias;
  const uint64_t trampoline = image_.file.trailer().vaddr + image_.bias;
  Tracer tracer({{code, code + image_.before.size()},
                 {trampoline, trampoline + image_.trampoline.size() + kPageSize}},
                {image_.around.exit, image_.around.exit + kPageSize}, image_.around.data);
  signals.tracer = &tracer;
  fill(batch_.functions[index]);
  differential_in.flags |= kTrapFlag;
  start(index);
  signals.tracer = nullptr;
  return tracer.has_touched();
}

Ending Process::run(size_t index) {
  fill(batch_.functions[index]);
  start(index);
  Ending ending;
  ending.state = differential_out;
  ending.fault = signals.fault;
  if (patched_ && ending.fault.signal != 0) show_original(ending);
  std::memcpy(ending.data.data(), pointer(image_.around.data), kDataSize);
  std::memcpy(ending.stack.data(), pointer(kStack), kDataSize);
  std::memcpy(&ending.fuel, pointer(image_.around.data + kFuelOffset), sizeof(ending.fuel));
  return ending;
}

bool Process::raised_in_callback(const Ending& patched) {
  const auto is_behind = [&](const char& label) {
    return patched.fault.rip == std::bit_cast<uint64_t>(&label);
  };
  return patched.fault.signal != 0 &&
         (is_behind(differential_answer_issued) || is_behind(differential_answer_plain_issued));
}

}  // namespace sysrewrite::differential
