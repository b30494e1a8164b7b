#include <asm/unistd.h>
#include <linux/prctl.h>

#include <cstring>

#include "loader/hooks/hooks.h"
#include "loader/hooks/option_list.h"
#include "trampoline/counts.h"

// Counts calls and errors, and measures how long they take, in memory that the whole tree shares,
// so that what a process has counted is there whatever becomes of it. It is shown by the process
// behind `sysrewrite run`, which outlives the tree's first program; without one, by the first
// program, when it ends by itself.
//
// Calls are counted when they begin: some never return.
//
// A thread may forbid itself the time-stamp counter (PR_SET_TSC), its children and what it executes
// with it. From then on nothing is timed in its process: calls of prctl would take longer than what
// they are to measure.

namespace {

using namespace sysrewrite;

struct Count {
  CountHeader* header;
  CountProcess* processes;
  CountProcess* own;
  uint64_t first_pid;
  CountOrder order;
  bool each, is_shown_by_parent;
  bool measures;  // time: nobody has forbidden the time-stamp counter
};

constexpr uint64_t kNotMeasured = 0;

uint64_t read_ticks() {
  uint32_t low = 0, high = 0;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return uint64_t{high} << 32 | low;
}

uint64_t address_of(const void* object) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uintptr_t>(object);
}

uint64_t read_clock(const sysload_hook* hook) {
  struct {
    int64_t seconds, nanoseconds;
  } now{};
  constexpr uint64_t kMonotonic = 1, kSecond = 1000000000;
  hook->api->syscall(__NR_clock_gettime, kMonotonic, address_of(&now), 0, 0, 0, 0);
  return static_cast<uint64_t>(now.seconds) * kSecond + static_cast<uint64_t>(now.nanoseconds);
}

void call_prctl(const sysload_hook* hook, uint64_t option, uint64_t argument) {
  hook->api->syscall(__NR_prctl, option, argument, 0, 0, 0, 0);
}

bool may_read_ticks(const sysload_hook* hook) {
  int state = PR_TSC_ENABLE;
  call_prctl(hook, PR_GET_TSC, address_of(&state));
  return state == PR_TSC_ENABLE;
}

// Rarely, and in any case.
uint64_t insist_on_ticks(const sysload_hook* hook) {
  const bool forbidden = !may_read_ticks(hook);
  if (forbidden) call_prctl(hook, PR_SET_TSC, PR_TSC_ENABLE);
  const uint64_t ticks = read_ticks();
  if (forbidden) call_prctl(hook, PR_SET_TSC, PR_TSC_SIGSEGV);
  return ticks;
}

// Of both the kernel looks at the lower half. Source: linux, kernel/sys.c, prctl();
// arch/x86/kernel/process.c, set_tsc_mode().
bool forbids_ticks(const sysload_call* call) {
  return call->number == __NR_prctl && static_cast<uint32_t>(call->argument[0]) == PR_SET_TSC &&
         static_cast<uint32_t>(call->argument[1]) == PR_TSC_SIGSEGV;
}

uint64_t own_pid(const sysload_hook* hook) {
  return static_cast<uint64_t>(hook->api->syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
}

CountCell& cell_of(const Count& count, uint64_t number) {
  return count.own->cells[number < kCountedNumbers ? number : kCountedNumbers - 1];
}

void add_to(uint64_t& sum, uint64_t value) {
  __atomic_fetch_add(&sum, value, __ATOMIC_RELAXED);
}

Count& count_of(const sysload_hook* hook) {
  return *static_cast<Count*>(hook->data);
}

sysload_verdict on_entry(sysload_hook* hook, sysload_thread* /*thread*/, sysload_call* call) {
  add_to(cell_of(count_of(hook), call->number).calls, 1);
  if (forbids_ticks(call)) count_of(hook).measures = false;
  call->scratch[0] = count_of(hook).measures ? read_ticks() : kNotMeasured;
  return SYSLOAD_PASS;
}

void on_exit(sysload_hook* hook, sysload_thread* /*thread*/, sysload_call* call) {
  const Count& count = count_of(hook);
  CountCell& cell = cell_of(count, call->number);
  if (count.measures && call->scratch[0] != kNotMeasured)
    add_to(cell.ticks, read_ticks() - call->scratch[0]);
  if (call->result < 0 && call->result >= -4095) add_to(cell.errors, 1);
}

// A place for this process, or the one for all that came too late.
void take_place(sysload_hook* hook) {
  Count& count = count_of(hook);
  const uint32_t at = __atomic_fetch_add(&count.header->used, 1, __ATOMIC_RELAXED);
  const uint32_t last = count.header->most - 1;
  count.own = &count.processes[at < last ? at : last];
  if (at > last) return;
  const char* name = at == last ? "further processes" : hook->api->program();
  if (at != last)
    for (const char* c = name; *c != 0; ++c)
      if (*c == '/' && c[1] != 0) name = c + 1;
  size_t size = strlen(name);
  if (size >= sizeof(count.own->name)) size = sizeof(count.own->name) - 1;
  memcpy(count.own->name, name, size);
  count.own->pid = static_cast<uint32_t>(own_pid(hook));
}

void on_fork(sysload_hook* hook, sysload_thread* /*thread*/) {
  take_place(hook);
}

void write_text(void* context, const char* text, size_t size) {
  auto* hook = static_cast<sysload_hook*>(context);
  hook->api->emit(hook, text, size);
}

void on_finish(sysload_hook* hook, int /*status*/) {
  const Count& count = count_of(hook);
  if (count.is_shown_by_parent || own_pid(hook) != count.first_pid) return;
  write_counts({count.header, count.processes, count.header->most, count.order, count.each,
                insist_on_ticks(hook), read_clock(hook)},
               {&write_text, hook});
}

CountOrder read_order(sysload_hook* hook) {
  HookOption option;
  if (!find_option(*hook, "sort", &option) || option.has_value("time")) return CountOrder::kTime;
  if (option.has_value("calls")) return CountOrder::kCalls;
  if (option.has_value("errors")) return CountOrder::kErrors;
  if (option.has_value("name")) return CountOrder::kName;
  hook->api->fail(hook, "sort=%.*s: expected time, calls, errors or name",
                  static_cast<int>(option.value_size()), option.value());
}

constexpr KnownOption kOptions[] = {{"sort", true}, {"each", false}, {"shown-by-parent", false}};

CountHeader* share(sysload_hook* hook) {
  // Fewer where memory is short.
  for (uint32_t most = 1024; most != 0; most /= 16) {
    auto* header = static_cast<CountHeader*>(hook->api->share(hook, count_size(most)));
    if (header == nullptr) continue;
    if (header->most == 0) {
      header->start_ticks = insist_on_ticks(hook);
      header->start_nanoseconds = read_clock(hook);
      header->most = most;
    }
    return header;
  }
  hook->api->fail(hook, "no memory for the counters");
}

}  // namespace

int sysload_hook_init_count(sysload_hook* hook) {
  hook->data = hook->api->allocate(sizeof(Count));
  if (hook->data == nullptr) hook->api->fail(hook, "no memory");
  check_options(hook, kOptions, "sort=, each or output=");
  Count& count = count_of(hook);
  count.order = read_order(hook);
  count.each = has_option(*hook, "each");
  count.is_shown_by_parent = has_option(*hook, "shown-by-parent");
  count.measures = may_read_ticks(hook);
  count.header = share(hook);
  count.processes = static_cast<CountProcess*>(static_cast<void*>(count.header + 1));
  count.first_pid = own_pid(hook);
  take_place(hook);
  hook->entry = &on_entry;
  hook->exit = &on_exit;
  hook->forked = &on_fork;
  hook->finishing = &on_finish;
  sysload_want_all(hook, 1, 1);
  return 0;
}
