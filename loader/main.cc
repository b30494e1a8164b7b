// sysload: starts a program that sysrewrite has rewritten. The stages, in order:
//
//   1. find the program's file and validate what stands at its end     program_file, elf_image
//   2. decide on the hook                                              options
//   3. map what the kernel has not mapped                              image_map, interpreter
//   4. map the trampolines, fill their slots, arm the trap             image_map, trap
//   5. mend the stack's auxiliary vector and tell the kernel           stack_view, publish
//   6. jump to the program, or to its own interpreter                  start.S, first_stop
//
// There are two ways in. As PT_INTERP of a rewritten program the kernel has mapped the program and
// sysload, and AT_ENTRY is the program's. As a command the kernel has mapped sysload alone, and
// AT_ENTRY is sysload's own. In a rewritten tree sysload stands at the path that programs name as
// their interpreter, with the rewritten ld.so beside it (tree.h): it then also starts programs that
// nobody rewrote, and takes ld.so's arguments where it is executed by that name.
//
// Legal here: no memory but the stack, mappings and the one State; no libc; no vector registers;
// nothing that would need a relocation. Whatever fails before stage 6 ends the process with one
// line and status 127. From stage 6 on sysload is the callbacks of start.S and the trap.
#include <asm/unistd.h>
#include <linux/auxvec.h>
#include <linux/prctl.h>

#include <algorithm>
#include <cstring>

#include "loader/engine/exhaustive.h"
#include "loader/engine/foreign_threads.h"
#include "loader/engine/hook_output.h"
#include "loader/engine/hook_set.h"
#include "loader/memory.h"
#include "loader/options.h"
#include "loader/report.h"
#include "loader/serve/answers.h"
#include "loader/serve/client.h"
#include "loader/serve/door.h"
#include "loader/serve/exec_target.h"
#include "loader/serve/own_exe.h"
#include "loader/serve/serve.h"
#include "loader/signals/dispositions.h"
#include "loader/signals/program_mask.h"
#include "loader/signals/site_tables.h"
#include "loader/signals/trap.h"
#include "loader/signals/watched_signals.h"
#include "loader/start/debugger.h"
#include "loader/start/elf_image.h"
#include "loader/start/first_stop.h"
#include "loader/start/image_map.h"
#include "loader/start/interpreter.h"
#include "loader/start/lost_trailer.h"
#include "loader/start/native_start.h"
#include "loader/start/near_callback.h"
#include "loader/start/original_headers.h"
#include "loader/start/own_image.h"
#include "loader/start/placement.h"
#include "loader/start/program_file.h"
#include "loader/start/publish.h"
#include "loader/start/running.h"
#include "loader/start/stack_view.h"
#include "loader/start/tracer.h"
#include "loader/start/tree.h"
#include "loader/start/unseen.h"
#include "loader/state.h"
#include "loader/thread_block.h"

namespace sysrewrite {

namespace {

constexpr char kInterpreter[] = "interpreter";

// Started by the kernel, and not as sysload's argument, a static program is what /proc/self/exe
// names, and follows nobody: of its calls fewer need a look.
void choose_callback(bool is_static, const ProgramFile& program, const ElfImage& image,
                     const MappedImage& mapped) {
  if (sysload_state.has_engine) return prepare_serving(Memory::address_of(sysload_callback_hook));
  if (!is_static) return prepare_serving(Memory::address_of(sysload_callback_serve));
  const RuntimeAddr near = pass_callback_near(program, image, mapped);
  sysload_state.callback_is_near = near.value != 0;
  prepare_serving(near.value != 0 ? near : Memory::address_of(sysload_callback_far));
}

// After everything is mapped that has a place of its own: what is mapped here goes anywhere.
void start_hooks(const HookSpecs& specs, const char* program) {
  make_hook_set(program);
  if (specs.count != 0) prepare_output();
  // What hooks do from their first instruction on is looked at.
  ThreadBlock* const block = start_first_block();
  watch_thread(block);
  watch_faults();
  for (uint32_t i = 0; i < specs.count; ++i) add_hook(block, specs.spec[i]);
  if (!sysload_state.is_followed) empty_outputs();
  if (sysload_state.exhaustive) prepare_exhaustive();
  prepare_hooks();
  show_first_hook(block);
}

void serve(const ProgramFile& file, const MappedImage& image) {
  if (sysload_state.has_engine && file.has_native_calls()) expect_native_file();
  if (!file.is_rewritten()) return;
  if (sysload_state.has_hooks) report_unseen(file);
  map_trampoline(file, image, {sysload_state.callback}, TrampolinePlace::kFree);
  if (file.rewritten().has_sites()) add_site_table(file, image);
}

// ld.so's own calls are known by where its stubs lie.
void remember_interpreter(const ProgramFile& file, const MappedImage& mapped) {
  if (!file.is_rewritten()) return;
  const Trailer& trailer = file.rewritten().trailer();
  sysload_state.interpreter_stubs = mapped.at({trailer.vaddr});
  // Within reach of a jump.
  sysload_state.interpreter_stubs_size = static_cast<uint32_t>(trailer.size);
}

bool is_interpreter(const ProgramFile& program) {
  return program.is_rewritten() && (program.rewritten().meta().flags & kMetaInterpreter) != 0;
}

// Not on the program's stack, of which there may be little: nothing is followed yet.
InterpreterPath& room_for_path() {
  static_assert(sizeof(InterpreterPath) <= SYSLOAD_FOLLOW_MEMORY_SIZE);
  return *Memory::at<InterpreterPath>(Memory::address_of(&sysload_follow_memory[0]));
}

// The program's own interpreter. It may be a rewritten one.
[[gnu::noinline]] void read_interpreter(const char* path, ProgramFile* file) {
  *file = open_interpreter(kInterpreter, path);
  file->read_trailer(kInterpreter);
  file->use_copy(kInterpreter);
}

[[gnu::noinline]] MappedImage load_interpreter(ProgramFile& file, const char* path,
                                               RuntimeAddr* entry) {
  if (!file.is_rewritten() && sysload_state.has_hooks) report_unseen_libraries(path);
  const ElfImage image = ElfImage::read(kInterpreter, file);
  image.check_segments(kInterpreter, file);
  image.check_entry(kInterpreter, file);
  const MappedImage mapped = map_image(kInterpreter, file, image, 0);
  serve(file, mapped);
  remember_interpreter(file, mapped);
  lead_to_breakpoint(image, mapped);
  *entry = mapped.at(image.entry());
  file.close();
  return mapped;
}

// Signals that are forced upon a thread, and so must never be blocked: a trap's, and a caught
// call's.
uint64_t find_open_signals(const ProgramFile& program, const ProgramFile& interpreter) {
  const auto traps = [](const ProgramFile& file) {
    return file.is_rewritten() && has_lone_poison(file.rewritten());
  };
  uint64_t open = 0;
  if (traps(program) || traps(interpreter)) open |= uint64_t{1} << (kSigTrap - 1);
  if (sysload_state.exhaustive) open |= uint64_t{1} << (kSigSys - 1);
  return open;
}

// gdb finds out where a position-independent program lies by comparing the headers in memory with
// those in its file. Where the file's table has moved, it has a segment of its own for that; the
// program is shown its old one.
PublishedHeaders headers_for_others(const ElfImage& image, const MappedImage& mapped) {
  elf::Phdr segment{};
  Vaddr table{};
  const uint64_t size = image.header_count() * sizeof(elf::Phdr);
  if (!image.vaddr_of({image.header_offset()}, size, &segment, &table)) return {};
  return {mapped.at(table).value, image.header_count()};
}

// Where the server cannot be asked, or can rewrite neither. What such a program says of
// /proc/self/exe arrives at the kernel, so it must be the kernel that has started it.
bool runs_unseen(const ProgramFile& program, const ProgramFile& interpreter) {
  const bool is_rewritten = program.is_rewritten() || interpreter.is_rewritten();
  const bool is_under_run = sysload_state.server_name[0] != 0;
  return is_under_run && !is_rewritten && program.has_native_calls() && !sysload_state.exhaustive;
}

// Stages 3 to 6 as far as both ways in share them: the program is mapped at `mapped`.
void start_program(StackView& stack, ProgramFile& program, const ElfImage& image,
                   const MappedImage& mapped, const Settings& settings, uint64_t brk) {
  InterpreterPath& interpreter = room_for_path();
  find_interpreter(program, &interpreter);
  if (interpreter.damaged)
    fail(kInterpreter, program.path(), ": the path of its interpreter is damaged");
  ProgramFile interpreter_file;
  if (interpreter.found) read_interpreter(interpreter.path, &interpreter_file);
  if (runs_unseen(program, interpreter_file))
    start_natively(stack, program.path(), program.fd(), settings.mask);
  sysload_state.has_hooks = settings.specs.count != 0;
  sysload_state.open_signals = find_open_signals(program, interpreter_file);
  sysload_state.has_engine = sysload_state.has_hooks || sysload_state.open_signals != 0;
  sysload_state.has_filter = sys::call(__NR_prctl, PR_GET_SECCOMP) > 0;
  // Source: linux, arch/x86/include/uapi/asm/hwcap2.h, HWCAP2_FSGSBASE.
  constexpr uint64_t kFsGsBase = 2;
  sysload_state.writes_gs = (stack.auxiliary_or(AT_HWCAP2, 0) & kFsGsBase) != 0 ? 1 : 0;
  const bool loads = is_interpreter(program);
  const bool is_static = !interpreter.found && !loads && sysload_state.exe_size == 0;
  choose_callback(is_static, program, image, mapped);
  // Before the segment that may hold it loses its write access.
  restore_headers(program, image, mapped);
  serve(program, mapped);
  if (loads) remember_interpreter(program, mapped);
  sysload_state.entry = mapped.at(image.entry());
  uint64_t base = 0;  // what the kernel gives a program without interpreter
  if (interpreter.found)
    base = load_interpreter(interpreter_file, interpreter.path, &sysload_state.entry).bias();
  if (sysload_state.has_engine) start_hooks(settings.specs, program.path());
  if (!sysload_state.has_engine) watch_signals();
  if ((sysload_state.open_signals >> (kSigTrap - 1) & 1) != 0) warn_of_tracer(program.path());
  const MetaHeader& meta = program.rewritten().meta();
  stack.set_auxiliary(AT_BASE, base);
  sysload_state.hide_vdso = settings.hide_vdso || hooks_see_vdso();
  if (sysload_state.hide_vdso) stack.hide_auxiliary(AT_SYSINFO_EHDR);
  if ((meta.flags & kMetaHeadersMoved) != 0) {
    stack.set_auxiliary(AT_PHDR, meta.phdr_vaddr == 0 ? 0 : mapped.at({meta.phdr_vaddr}).value);
    stack.set_auxiliary(AT_PHNUM, meta.input_phnum);
  }
  const uint64_t own_size = program.is_rewritten() ? meta.input_size : program.size();
  const SegmentBounds bounds = image.bounds(mapped.bias(), own_size);
  const PublishedHeaders headers = headers_for_others(image, mapped);
  program.close();
  publish_memory_map(stack, bounds, brk, headers);
  if (sysload_state.exhaustive) arm_exhaustive();
  const uint64_t held = held_at_start(settings.mask);
  if (sysload_state.has_engine) {
    open_program_mask(own_block(), held);
    sysload_call_on_hook_stack(&notify_thread_started, own_block());
  }
  let_out(held, sysload_state.entry, stack.stack_pointer());
}

void start_as_interpreter(StackView& stack) {
  ProgramFile program = open_running_program(stack);
  program.read_trailer("trailer");
  if (!program.is_rewritten() && names_sysload(program)) fail_without_trailer(program.path());
  const ElfImage image = ElfImage::read("program", program);
  const MappedImage mapped = locate_running_program(stack, program, image);
  const Settings settings = choose_settings({}, stack, program.rewritten().options());
  start_program(stack, program, image, mapped, settings, current_brk());
}

void remember_server(const char* name) {
  if (name == nullptr) return;
  const size_t size = strlen(name) + 1;
  if (size > kServerNameSize) fail("options", "the name of the server is too long");
  memcpy(sysload_state.server_name, name, size);
  open_answers();
}

// As `ld.so [options] program`, by the name of a rewritten tree's interpreter.
void start_as_interpreters_name(StackView& stack, ProgramFile& program) {
  program.read_trailer(kInterpreter);
  const ElfImage image = ElfImage::read(kInterpreter, program);
  image.check_segments(kInterpreter, program);
  image.check_entry(kInterpreter, program);
  const Settings settings = choose_settings({}, stack, program.rewritten().options());
  // The kernel keeps the programs' place free for whatever ld.so will start there, but for the
  // heap. Source: linux, fs/binfmt_elf.c, load_elf_binary().
  const Placement placement = choose_placement(stack);
  const MappedImage mapped = map_image(kInterpreter, program, image, 0);
  mend_for_command(stack, image, mapped,
                   Memory::at<const char>({stack.auxiliary_or(AT_EXECFN, 0)}));
  start_program(stack, program, image, mapped, settings, placement.image_hint + placement.heap_gap);
}

// A function of its own: the file would lie on the stack of every other start, too.
[[gnu::noinline]] bool start_beside_own_name(StackView& stack) {
  ProgramFile interpreter;
  if (!open_beside_own_name(stack, &interpreter)) return false;
  start_as_interpreters_name(stack, interpreter);
  return true;
}

// sysload itself, under `run`; and with --no-follow what a program calls /proc/self/exe.
[[noreturn]] void leave_to_kernel(StackView& stack, const Arguments& arguments) {
  const char* path = stack.drop_arguments(arguments.program_index, arguments.argv0);
  start_natively(stack, path, arguments.program_fd, arguments.mask);
}

void start_as_command(StackView& stack) {
  const Arguments arguments = read_arguments(stack);
  if (arguments.native) leave_to_kernel(stack, arguments);
  const char* path = stack.argument(arguments.program_index);
  ProgramFile program = arguments.program_fd >= 0
                            ? ProgramFile::adopt("program", path, arguments.program_fd)
                            : ProgramFile::open("program", path);
  const ElfImage image = ElfImage::read("program", program);
  program.read_trailer("program");
  if (!program.is_rewritten() && names_sysload(program)) fail_without_trailer(program.path());
  remember_server(arguments.server);
  if (arguments.door_fd >= 0) take_door(arguments.door_fd);
  sysload_state.unpatched_fails = arguments.unpatched_fails;
  if (arguments.server != nullptr && is_own_image(program.bytes())) {
    report_unfollowed(path, kServesItself);
    leave_to_kernel(stack, arguments);
  }
  sysload_state.follow = arguments.follow && arguments.server != nullptr;
  sysload_state.exhaustive = arguments.exhaustive;
  remember_own_exe(program.fd());
  program.use_copy("program");
  if (!program.is_rewritten() && arguments.server == nullptr)
    fail("program", path, ": not a rewritten file; run sysrewrite first");
  const Settings settings = choose_settings(arguments, stack, program.rewritten().options());
  image.check_segments("program", program);
  image.check_entry("program", program);
  const Placement placement = choose_placement(stack);
  const MappedImage mapped = map_image("program", program, image, placement.image_hint);
  remember_own_mapping(program, image, mapped);
  if (image.wants_executable_stack()) {
    const int64_t answer = sys::make_stack_executable(stack.stack_pointer());
    if (sys::failed(answer)) fail_errno(answer, "program", "cannot make the stack executable");
  }
  path = stack.drop_arguments(arguments.program_index, arguments.argv0);
  program.rename(path);
  const char* executed = arguments.execfn != nullptr ? arguments.execfn : path;
  mend_for_command(stack, image, mapped, executed);
  publish_name(arguments.comm != nullptr ? arguments.comm : executed);
  sysload_state.is_followed = arguments.mask.has_value();
  if (settings.mask) set_signal_mask(*settings.mask | held_at_start(settings.mask));
  start_program(stack, program, image, mapped, settings,
                heap_start(program, image, mapped, placement));
}

}  // namespace

// Called by start.S with the stack pointer that execve left; returns the program's. Where it then
// starts stands in the state.
extern "C" [[gnu::used, gnu::visibility("hidden")]] uint64_t sysload_main(uint64_t stack_pointer) {
  StackView stack({stack_pointer});
  const uint64_t entry = stack.auxiliary_or(AT_ENTRY, 0);
  if (entry != Memory::address_of(&_start[0]).value) {
    start_as_interpreter(stack);
  } else if (!start_beside_own_name(stack)) {
    start_as_command(stack);
  }
  return stack.stack_pointer().value;
}

}  // namespace sysrewrite
