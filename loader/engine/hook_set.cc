#include "loader/engine/hook_set.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <cstring>

#include "loader/engine/hook_object.h"
#include "loader/hooks/hooks.h"
#include "loader/hooks/option_list.h"
#include "loader/memory.h"
#include "loader/report.h"
#include "loader/serve/own_exe.h"
#include "loader/serve/serve.h"
#include "loader/signals/signals.h"
#include "loader/state.h"
#include "loader/text.h"
#include "trampoline/hook_options.h"

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "hook";
constexpr uint64_t kInterestSize = 65536;

using Init = int (*)(sysload_hook*);

// Chosen in code and not in a table, which would need relocations.
Init built_in(const char* name) {
#define SYSLOAD_BUILT_IN(hook) \
  if (equal(name, #hook)) return &sysload_hook_init_##hook;
  SYSLOAD_BUILT_IN_HOOKS
#undef SYSLOAD_BUILT_IN
  return nullptr;
}

// Copies NAME of "NAME:OPTIONS", and returns where OPTIONS begin.
const char* split_spec(const char* spec, char* name) {
  if (strlen(spec) >= kHookSpecSize)
    fail(kPhase, spec, ": longer than ", kHookSpecSize - 1, " bytes");
  const char* const end = spec + option_length(spec);
  while (spec != end) *name++ = take_option_byte(spec);
  *name = 0;
  return *end == 0 ? end : end + 1;
}

bool is_object(const char* name) {
  for (; *name != 0; ++name)
    if (*name == '/') return true;
  return false;
}

// An object's options are its own business but for this one, of which the first would be taken.
void refuse_second_output(const LoadedHook& loaded) {
  HookOption option;
  int count = 0;
  for (OptionList list(loaded.hook); list.next(&option);)
    if (option.has_key("output") && ++count > 1)
      fail(kPhase, loaded.name, ": output= is given twice");
}

// A child may run elsewhere, and opens the same file.
void make_absolute(LoadedHook* loaded) {
  char* path = loaded->output;
  if (path[0] == 0 || path[0] == '/') return;
  char folder[kHookSpecSize];
  const int64_t size = sys::call(__NR_getcwd, Memory::address_of(&folder[0]).value, sizeof(folder));
  const size_t length = strlen(path);
  if (sys::failed(size)) fail_errno(size, kPhase, loaded->name, ": cannot name the current folder");
  if (static_cast<size_t>(size) + length + 1 > sizeof(loaded->output))
    fail(kPhase, loaded->name, ": the path of its output is too long");
  memmove(path + size, path, length + 1);
  memcpy(path, folder, static_cast<size_t>(size) - 1);
  path[size - 1] = '/';
}

sysload_thread thread_of(ThreadBlock* block, const LoadedHook& loaded) {
  return {block->tid, &block->thread_memory[loaded.thread_offset]};
}

// Marks which hook runs, for whoever has to name it.
class Running {
 public:
  Running(ThreadBlock* block, uint32_t index, HookFunction function = HookFunction::kOfCall)
      : block_(block), before_(block->running) {
    block->running = RunningHook::of(index, function).word;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { block_->running = before_; }

 private:
  ThreadBlock* block_;
  uint32_t before_;
};

// Keeps the program's vector registers while hooks run that change them.
class VectorState {
 public:
  explicit VectorState(ThreadBlock* block) : block_(block) {
    const HookSet& hooks = *sysload_state.hooks;
    save_vectors(hooks.vectors, block_->vectors, hooks.features);
  }
  VectorState(const VectorState&) = delete;
  VectorState& operator=(const VectorState&) = delete;
  ~VectorState() {
    const HookSet& hooks = *sysload_state.hooks;
    restore_vectors(hooks.vectors, block_->vectors, hooks.features);
  }

 private:
  ThreadBlock* block_;
};

// In place of the one hook's own functions, where hook_entry.S calls it.
sysload_verdict entry_keeping_vectors(sysload_hook* hook, sysload_thread* thread,
                                      sysload_call* call) {
  const VectorState vectors(own_block());
  return hook->entry(hook, thread, call);
}

void exit_keeping_vectors(sysload_hook* hook, sysload_thread* thread, sysload_call* call) {
  const VectorState vectors(own_block());
  hook->exit(hook, thread, call);
}

// Calls `notify` with each hook that has the function.
template <typename Function, typename Notify>
void for_each_hook(ThreadBlock* block, Function sysload_hook::*function, HookFunction name,
                   Notify notify) {
  const VectorState vectors(block);
  for (uint32_t i = 0; i < sysload_state.hooks->count; ++i) {
    LoadedHook& loaded = sysload_state.hooks->loaded[i];
    if (loaded.hook.*function == nullptr) continue;
    sysload_thread thread = thread_of(block, loaded);
    const OpenFaults faults(block, loaded.base.value != 0);
    const Running running(block, i, name);
    notify(&loaded.hook, &thread);
  }
}

// Of the last hook, on the hook stack.
void call_init(ThreadBlock* block) {
  const uint32_t index = sysload_state.hooks->count - 1;
  LoadedHook& loaded = sysload_state.hooks->loaded[index];
  const Running running(block, index, HookFunction::kInit);
  loaded.init_answer = loaded.init(&loaded.hook);
}

bool has_bit(const uint64_t (&words)[SYSLOAD_MOST_NUMBERS / 64], uint64_t number) {
  if (number >= SYSLOAD_MOST_NUMBERS) number = SYSLOAD_MOST_NUMBERS - 1;
  return (words[number / 64] >> number % 64 & 1) != 0;
}

// Word by word: the string instructions that memcpy and memset are made of take 10 ns to begin.
using Scratch4 = uint64_t[4];

void clear_scratch(Scratch4& scratch) {
  scratch[0] = scratch[1] = scratch[2] = scratch[3] = 0;
}

void copy_scratch(Scratch4& to, const Scratch4& from) {
  to[0] = from[0];
  to[1] = from[1];
  to[2] = from[2];
  to[3] = from[3];
}

// Moves are ten times as fast as xsave, and leave the x87 out.
VectorKind kept_for(uint32_t flags) {
  if ((flags & SYSLOAD_VECTORS) == 0) return VectorKind::kNone;
  return (flags & SYSLOAD_NO_X87) != 0 ? widest_vectors() : VectorKind::kXsave;
}

// Calls that sysload has to do with, whatever hooks want.
bool wants_service(uint64_t number) {
  if (sysload_state.exhaustive) return true;         // who else could issue them
  if (sysload_state.open_signals != 0) return true;  // with the program's mask
  switch (number) {
    case __NR_clone:
    case __NR_clone3:
    case __NR_fork:
    case __NR_vfork:
    case __NR_exit:
    case __NR_exit_group:
    case __NR_rt_sigaction:
    case __NR_rt_sigreturn:
    case __NR_sigaltstack:
    case __NR_arch_prctl:
    case __NR_prctl:
    case __NR_seccomp:
    case __NR_mprotect:  // and the next two, as mmap, for what makes code (foreign_threads.h)
    case __NR_pkey_mprotect:
    case __NR_shmat:
      return true;
    default:
      return may_be_served(number) || (sysload_state.exe_size != 0 && takes_path_of_exe(number));
  }
}

}  // namespace

const char* known_hooks() {
#define SYSLOAD_BUILT_IN(hook) ", " #hook
  return "none" SYSLOAD_BUILT_IN_HOOKS;
#undef SYSLOAD_BUILT_IN
}

bool is_known_hook(const char* spec) {
  char name[kHookSpecSize];
  split_spec(spec, name);
  return is_object(name) || built_in(name) != nullptr;
}

void make_hook_set(const char* program) {
  const int64_t memory = sys::map_anonymous(0, sizeof(HookSet), sys::kRead | sys::kWrite);
  if (sys::failed(memory)) fail_errno(memory, kPhase, "no memory for hooks");
  HookSet& hooks = *Memory::at<HookSet>({static_cast<uint64_t>(memory)});
  sysload_state.hooks = &hooks;
  hooks.first_pid = sys::pid();
  const size_t size = strlen(program);
  if (size < sizeof(hooks.program)) memcpy(hooks.program, program, size + 1);
}

void add_hook(ThreadBlock* block, const char* spec) {
  HookSet& hooks = *sysload_state.hooks;
  if (hooks.count == SYSLOAD_MOST_HOOKS)
    fail(kPhase, spec, ": there may be ", uint64_t{SYSLOAD_MOST_HOOKS}, " hooks at most");
  LoadedHook& loaded = hooks.loaded[hooks.count];
  const char* options = split_spec(spec, loaded.name);
  memcpy(loaded.spec, spec, strlen(spec) + 1);
  loaded.hook.api = hook_api();
  loaded.hook.options = loaded.spec + (options - spec);
  if (loaded.hook.api->option(&loaded.hook, "output", loaded.output, sizeof(loaded.output)) < 0)
    loaded.output[0] = 0;
  make_absolute(&loaded);
  loaded.init = built_in(loaded.name);
  if (is_object(loaded.name)) {
    refuse_second_output(loaded);
    HookObject object{};
    loaded.init = Memory::at<int(sysload_hook*)>(load_hook_object(loaded.name, &object));
    loaded.base = object.base;
    loaded.size = object.size;
  }
  if (loaded.init == nullptr) fail(kPhase, "there is no hook named ", loaded.name);
  ++hooks.count;  // what it calls in its init looks for it
  sysload_call_on_hook_stack(&call_init, block);
  if (loaded.init_answer != 0)
    fail(kPhase, loaded.name, ": it does not start (", static_cast<uint64_t>(loaded.init_answer),
         ")");
  loaded.thread_offset = hooks.thread_memory_used;
  hooks.thread_memory_used += (loaded.hook.thread_size + 15) / 16 * 16;
  if (loaded.hook.thread_size > SYSLOAD_THREAD_MEMORY ||
      hooks.thread_memory_used > SYSLOAD_THREAD_MEMORY)
    fail(kPhase, loaded.name, ": hooks may have ", uint64_t{SYSLOAD_THREAD_MEMORY},
         " bytes for each thread in all");
  const VectorKind kept = kept_for(loaded.hook.flags);
  if (kept > hooks.vectors) hooks.vectors = kept;
}

bool hooks_see_vdso() {
  if (sysload_state.hooks == nullptr) return false;
  const HookSet& hooks = *sysload_state.hooks;
  for (uint32_t i = 0; i < hooks.count; ++i)
    if ((hooks.loaded[i].hook.flags & SYSLOAD_SEES_VDSO) != 0) return true;
  return false;
}

void prepare_hooks() {
  HookSet& hooks = *sysload_state.hooks;
  const int64_t start = sys::map_anonymous(0, 2 * kInterestSize, sys::kRead | sys::kWrite);
  if (sys::failed(start)) fail_errno(start, kPhase, "no memory for the table of calls");
  sysload_state.interest =
      align_down(static_cast<uint64_t>(start) + kInterestSize - 1, kInterestSize);
  auto* table = Memory::at<uint8_t>({sysload_state.interest});
  const bool is_simple = hooks.count == 1 && !sysload_state.exhaustive;
  for (uint64_t number = 0; number < SYSLOAD_MOST_NUMBERS; ++number) {
    for (uint32_t i = 0; i < hooks.count; ++i) {
      const sysload_hook& hook = hooks.loaded[i].hook;
      if (hook.entry != nullptr && has_bit(hook.entry_interest, number))
        table[number] |= kWantsEntry;
      if (hook.exit != nullptr && has_bit(hook.exit_interest, number)) table[number] |= kWantsExit;
    }
    if (wants_service(number)) table[number] |= kWantsService;
    const bool is_seen = table[number] != 0 && (table[number] & kWantsService) == 0;
    if (is_simple && is_seen) table[number] |= kIsSimple;
  }
  // Numbers that do not exist: their low half may be that of one that does.
  const uint8_t beyond = table[SYSLOAD_MOST_NUMBERS - 1];
  if (beyond != 0)
    memset(table + SYSLOAD_MOST_NUMBERS, beyond, kInterestSize - SYSLOAD_MOST_NUMBERS);
  sys::protect({sysload_state.interest}, kInterestSize, sys::kRead);
  if (hooks.vectors == VectorKind::kXsave)
    hooks.features = kept_vector_features(sizeof(ThreadBlock::vectors));
  sysload_state.threads = 1;
}

void want_service(uint64_t number) {
  const RuntimeAddr address{sysload_state.interest};
  sys::protect(address, kInterestSize, sys::kRead | sys::kWrite);
  auto* const entry = &Memory::at<uint8_t>(address)[number];
  const auto wanted = static_cast<uint8_t>((*entry & ~kIsSimple) | kWantsService);
  __atomic_store_n(entry, wanted, __ATOMIC_RELAXED);
  sys::protect(address, kInterestSize, sys::kRead);
}

namespace {

bool run_entry(ThreadBlock* block, uint32_t index) {
  LoadedHook& loaded = sysload_state.hooks->loaded[index];
  sysload_thread thread = thread_of(block, loaded);
  block->running = RunningHook::of(index, HookFunction::kOfCall).word;
  const sysload_verdict verdict = loaded.hook.entry(&loaded.hook, &thread, &block->call);
  block->running = 0;
  keep_lower_half(&block->call);
  return verdict == SYSLOAD_ANSWER;
}

[[gnu::noinline]] bool run_several_entries(ThreadBlock* block) {
  sysload_call& call = block->call;
  const HookSet& hooks = *sysload_state.hooks;
  const VectorState vectors(block);
  for (uint32_t i = 0; i < hooks.count; ++i) {
    const sysload_hook& hook = hooks.loaded[i].hook;
    clear_scratch(call.scratch);
    if (hook.entry != nullptr && has_bit(hook.entry_interest, call.number) && run_entry(block, i)) {
      block->asked = i;  // its own exit is not called, nor those behind
      return true;
    }
    if (hooks.count != 1) copy_scratch(block->scratch[i], call.scratch);
  }
  block->asked = hooks.count;
  return false;
}

}  // namespace

bool run_entries(ThreadBlock* block, uint8_t interest) {
  const HookSet& hooks = *sysload_state.hooks;
  block->exits = (interest & kWantsExit) != 0 ? 1 : 0;
  if (hooks.count != 1 || hooks.vectors != VectorKind::kNone) return run_several_entries(block);
  // Nearly always there is one.
  clear_scratch(block->call.scratch);
  if ((interest & kWantsEntry) != 0 && run_entry(block, 0)) return true;
  block->asked = 1;
  return false;
}

void run_exits(ThreadBlock* block) {
  HookSet& hooks = *sysload_state.hooks;
  const VectorState vectors(block);
  for (uint32_t i = block->asked; i-- > 0;) {
    LoadedHook& loaded = hooks.loaded[i];
    if (loaded.hook.exit == nullptr || !has_bit(loaded.hook.exit_interest, block->call.number))
      continue;
    // Of the only one it has stayed where it was.
    if (hooks.count != 1) copy_scratch(block->call.scratch, block->scratch[i]);
    sysload_thread thread = thread_of(block, loaded);
    const Running running(block, i);
    loaded.hook.exit(&loaded.hook, &thread, &block->call);
  }
  block->asked = 0;
}

void show_first_hook(ThreadBlock* block) {
  HookSet& hooks = *sysload_state.hooks;
  LoadedHook& first = hooks.loaded[0];
  const bool keeps = hooks.vectors != VectorKind::kNone;
  block->hook = &first.hook;
  block->hook_entry = keeps ? &entry_keeping_vectors : first.hook.entry;
  block->hook_exit = keeps ? &exit_keeping_vectors : first.hook.exit;
  block->thread = thread_of(block, first);
}

void notify_thread_started(ThreadBlock* block) {
  for_each_hook(
      block, &sysload_hook::thread_started, HookFunction::kThreadStarted,
      [](sysload_hook* hook, sysload_thread* thread) { hook->thread_started(hook, thread); });
}

void notify_thread_exiting(ThreadBlock* block) {
  for_each_hook(
      block, &sysload_hook::thread_exiting, HookFunction::kThreadExiting,
      [](sysload_hook* hook, sysload_thread* thread) { hook->thread_exiting(hook, thread); });
}

void notify_forked(ThreadBlock* block) {
  for_each_hook(block, &sysload_hook::forked, HookFunction::kForked,
                [](sysload_hook* hook, sysload_thread* thread) { hook->forked(hook, thread); });
}

void notify_finishing(ThreadBlock* block, int status) {
  for_each_hook(
      block, &sysload_hook::finishing, HookFunction::kFinishing,
      [status](sysload_hook* hook, sysload_thread* /*thread*/) { hook->finishing(hook, status); });
}

}  // namespace sysrewrite
