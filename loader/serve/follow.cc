#include "loader/serve/follow.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/serve/client.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/serve/door.h"
#include "loader/serve/exe_link.h"
#include "loader/serve/exec_target.h"
#include "loader/serve/own_exe.h"
#include "loader/serve/program_memory.h"
#include "loader/state.h"
#include "loader/text.h"

// Following.
//
//   execve("prog", {"a0", "a1"}, envp)
//
// becomes, with sysload's own file handed over by the process behind `sysrewrite run`, since after
// chroot its path may lead nowhere:
//
//   execveat(sysload, "", {"sysload", "--server", NAME, "--mask", MASK, "--argv0", "a0", "--",
//                          "prog", "a1"}, envp, AT_EMPTY_PATH)
//
// The program itself is handed over open, as "--program-fd N", and "prog" only names it: a path may
// lead to another file a moment later, or nowhere, as /proc/self/fd/3 does once exec has closed 3.
//
// Three things survive into the new program that must not be ours. All signals are blocked while a
// call is served, so the program's own mask goes along as an argument. The serving lock: a vfork
// child shares it with its parent, and does not come back to open it. The kernel does that: it
// clears the word at clear_child_tid when a thread leaves its memory, by exec as by exit, and as
// long as a call is followed that word is the lock. Where exec fails, the old address is put back.

namespace sysrewrite {

namespace {

constexpr uint64_t kMostArguments = 1 << 20;
constexpr uint64_t kCommSize = 16;  // TASK_COMM_LEN

// Grows in memory of its own, which is kept for the next time.
class ArgumentList {
 public:
  // `count`: how many there will be at most.
  bool reserve(uint64_t count) {
    Scratch& scratch = sysload_state.scratch;
    const uint64_t size = (count + 1) * sizeof(uint64_t);
    if (size > scratch.size) {
      if (scratch.size != 0) sys::unmap({scratch.address}, scratch.size);
      scratch = {};
      const int64_t got = sys::map_anonymous(0, size, sys::kRead | sys::kWrite);
      if (sys::failed(got)) return false;
      scratch = {static_cast<uint64_t>(got), size};
    }
    words_ = Memory::at<uint64_t>({scratch.address});
    return true;
  }
  void add(const char* text) { words_[count_++] = Memory::address_of(text).value; }
  void add_address(uint64_t address) { words_[count_++] = address; }
  uint64_t finish() {
    words_[count_] = 0;
    return Memory::address_of(words_).value;
  }

 private:
  uint64_t* words_ = nullptr;
  uint64_t count_ = 0;
};

// argv's length without the end; -EFAULT where it leaves memory. Read by the page, since a call
// costs as much for one word; and not beyond it, since the next one may not be there.
int64_t count_arguments(uint64_t argv) {
  if (argv == 0) return 0;
  uint64_t words[kPageSize / sizeof(uint64_t)];
  for (uint64_t count = 0; count < kMostArguments;) {
    const uint64_t at = argv + count * sizeof(uint64_t);
    // None where one reaches into the next page, which is then read with it.
    const uint64_t in_page = (kPageSize - at % kPageSize) / sizeof(uint64_t);
    const uint64_t part = std::max<uint64_t>(in_page, 1);
    const uint64_t size = part * sizeof(uint64_t);
    const auto into = Memory::bytes(Memory::address_of(&words[0]), size);
    if (read_program(at, into) != static_cast<int64_t>(size)) return -EFAULT;
    const uint64_t* const end = std::find(&words[0], &words[part], 0);
    count += static_cast<uint64_t>(end - &words[0]);
    if (end != &words[part]) return static_cast<int64_t>(count);
  }
  return -E2BIG;
}

// What sysload is told in figures.
class Figures {
 public:
  Figures(uint64_t mask, sys::Fd program, sys::Fd door)
      : mask_(hexadecimal(mask, mask_text_)),
        program_(hexadecimal(static_cast<uint64_t>(program), program_text_)),
        door_(door < 0 ? nullptr : hexadecimal(static_cast<uint64_t>(door), door_text_)) {}
  Figures(const Figures&) = delete;
  Figures& operator=(const Figures&) = delete;

  const char* mask() const { return mask_; }
  const char* program_fd() const { return program_; }
  const char* door_fd() const { return door_; }  // nullptr: there is none

 private:
  char mask_text_[17], program_text_[17], door_text_[17];
  const char *mask_, *program_, *door_;
};

uint64_t build_arguments(ArgumentList* list, const ExecTarget& target, uint64_t argv,
                         uint64_t count, const Figures& figures, const char* comm) {
  list->add("sysload");
  if (sysload_state.follow) {
    list->add("--server");
    list->add(sysload_state.server_name);
    if (figures.door_fd() != nullptr) {
      list->add("--door");
      list->add(figures.door_fd());
    }
  } else if (sysload_state.server_name[0] != 0) {
    list->add("--native");
  }
  if (const HookSet* hooks = sysload_state.hooks) {
    for (uint32_t i = 0; i < hooks->count; ++i) {
      list->add("--hook");
      list->add(hooks->loaded[i].spec);
    }
  }
  list->add("--mask");
  list->add(figures.mask());
  if (sysload_state.exhaustive) list->add("--exhaustive");
  if (sysload_state.unpatched_fails) {
    list->add("--unpatched");
    list->add("fail");
  }
  if (sysload_state.hide_vdso) {
    list->add("--vdso");
    list->add("hide");
  }
  if (target.word_count != 0) {
    list->add("--execfn");
    list->add(target.words[target.word_count - 1]);
  } else if (target.executed[0] != 0) {
    list->add("--execfn");
    list->add(target.executed);
  }
  if (comm[0] != 0) {
    list->add("--comm");
    list->add(comm);
  }
  list->add("--program-fd");
  list->add(figures.program_fd());
  const auto* words = Memory::at<const uint64_t>({argv});
  list->add("--argv0");
  if (target.word_count != 0) {
    list->add(target.words[0]);
  } else if (count != 0) {
    list->add_address(words[0]);
  } else {
    list->add("");
  }
  list->add("--");
  list->add(target.path);
  for (uint32_t i = 1; i < target.word_count; ++i) list->add(target.words[i]);
  for (uint64_t i = 1; i < count; ++i) list->add_address(words[i]);
  return list->finish();
}

int64_t execute(sys::Fd loader, uint64_t arguments, uint64_t envp) {
  const char empty[] = "";
  return sys::call(__NR_execveat, static_cast<uint64_t>(loader), Memory::address_of(empty).value,
                   arguments, envp, AT_EMPTY_PATH);
}

// For as long as it lives, the kernel opens the serving lock when this thread leaves its memory: by
// exec, or because somebody kills it here.
class LockOpener {
 public:
  LockOpener() {
    known_ =
        !sys::failed(sys::call(__NR_prctl, PR_GET_TID_ADDRESS, Memory::address_of(&old_).value));
    sys::call(__NR_set_tid_address, Memory::address_of(&sysload_serve_lock[0]).value);
  }
  LockOpener(const LockOpener&) = delete;
  LockOpener& operator=(const LockOpener&) = delete;
  ~LockOpener() { sys::call(__NR_set_tid_address, known_ ? old_ : 0); }

 private:
  uint64_t old_ = 0;
  bool known_ = false;
};

}  // namespace

namespace {

// From the server, whose sysload is there after chroot too. What /proc/self/exe names to the kernel
// is sysload as well, and there is that link where the program itself is executed by it.
bool find_loader(const char* name, bool own, sys::Fd* loader) {
  if (sysload_state.follow) {
    if (ask_for_loader(loader) == ServerAnswer::kCopy) return true;
    report_no_server(name);
  }
  *loader = own ? beyond_limit([] { return sys::open_for_reading("/proc/self/exe"); }) : -1;
  return !sys::failed(*loader);
}

// As a command sysload is what /proc/self/exe names, and the program means itself.
bool means_own_exe(const ExecRequest& request, const ExecTarget& target) {
  const bool follows_link = (request.flags & AT_SYMLINK_NOFOLLOW) == 0;
  return follows_link && sysload_state.exe_size != 0 && is_exe_link(request.directory, target.path);
}

// AT_EXECFN is to be what the program has said. Where its file cannot be executed any more, the
// kernel is asked why, by a path that does not lead to sysload.
ExecKind resolve_own_exe(const ExecRequest& request, ExecTarget* target, sys::Fd* program,
                         int64_t* answer) {
  static_assert(sizeof(target->path) == kOwnPath);
  const OwnExe own;
  *answer = -ENOENT;
  if (!own.found()) return ExecKind::kFails;
  memcpy(target->executed, target->path, strlen(target->path) + 1);
  memcpy(target->path, own.path(), strlen(own.path()) + 1);
  const ExecKind kind = resolve_target(request, target, program);
  const uint64_t path = Memory::address_of(own.path()).value;
  *answer = kind == ExecKind::kFails ? sys::call(__NR_execve, path, request.argv, request.envp)
            : kind == ExecKind::kNoDescriptor ? -EMFILE
                                              : -EACCES;
  memcpy(target->path, sysload_state.exe_path, sysload_state.exe_size + 1);
  return kind;
}

// The kernel takes the lower half of the flags. Those that it does not know are an error, and
// AT_EXECVE_CHECK asks whether the file may be executed: nothing is, whatever it says.
bool is_execution(const ExecRequest& request) {
  constexpr uint32_t kKnown = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
  return (static_cast<uint32_t>(request.flags) & ~kKnown) == 0;
}

// What a file that was executed by its descriptor alone is called, as the kernel has had it since
// 6.14: its name in its folder, or the interpreter's where it is a script.
void read_comm(const char* path, char (&comm)[kCommSize]) {
  constexpr char kRemoved[] = " (deleted)";  // how /proc shows it
  const char* end = path + strlen(path);
  const uint64_t removed = sizeof(kRemoved) - 1;
  if (end - path > static_cast<int64_t>(removed) && memcmp(end - removed, kRemoved, removed) == 0)
    end -= removed;
  const char* last = end;
  while (last > path && last[-1] != '/') --last;
  const auto size = std::min<uint64_t>(static_cast<uint64_t>(end - last), kCommSize - 1);
  *std::copy_n(last, size, &comm[0]) = 0;
}

// Uses up the target.
void report_native(const ExecRequest& request, const char* named, const char* why,
                   ExecTarget* target) {
  const bool is_named = named[0] != 0;
  report_unfollowed(
      is_named ? named : sys::name_of(request.directory, target->path, sizeof(target->path)), why);
}

// Whether this errno means sysload alone: rules for folders (Landlock), or a filter that lets
// execve through. The kernel is asked, from 6.14 on, what it says of the program.
bool is_for_sysload(const ExecRequest& request, int64_t answer) {
  if (answer != -EACCES && answer != -EPERM && answer != -ENOSYS) return false;
  constexpr uint64_t kCheck = 0x10000;  // AT_EXECVE_CHECK
  const auto folder = static_cast<uint64_t>(int64_t{request.directory});
  const int64_t verdict = sys::call(__NR_execveat, folder, request.path, request.argv, request.envp,
                                    request.flags | kCheck);
  // A filter that refuses execveat says the same of that question; the program may ask by execve.
  const bool may_be_execve = request.directory == AT_FDCWD && request.flags == 0;
  return verdict != -EACCES && (verdict != answer || may_be_execve);
}

// Of a program that is named by a descriptor, or from a folder's. The kernel's name for it means
// something only where that descriptor is open; what sysload and hooks call it leads there from
// everywhere.
void name_by_descriptor(const ExecRequest& request, const char* named, sys::Fd program,
                        ExecTarget* target) {
  static_assert(sizeof(target->executed) >= kExecPath + sizeof("/dev/fd/-2147483648/"));
  name_in_dev(request.directory, named, target->executed, sizeof(target->executed));
  const size_t size = strlen(named);
  const uint64_t room = sizeof(target->path) - size - 1;
  const bool is_below = size != 0 &&
                        sys::name_of(request.directory, target->path, room) == target->path &&
                        target->path[0] == '/';
  if (!is_below) {
    sys::name_of(program, target->path, sizeof(target->path));
    return;
  }
  char* at = target->path + strlen(target->path);
  *at++ = '/';
  memcpy(at, named, size + 1);
}

struct Followed {
  const char* named;  // as execve was given it
  bool own;           // by /proc/self/exe
  uint64_t count;     // of arguments
  const char* comm;
  sys::Fd program;
};

// False: the kernel is to execute it as it was asked to. What names the program's own file names
// sysload to the kernel, which therefore is not asked.
bool execute_by_sysload(const ExecRequest& request, const Followed& followed, ExecTarget* target,
                        int64_t* answer) {
  sys::Fd loader = -1;
  ArgumentList list;
  const bool ready = find_loader(followed.named, followed.own, &loader) &&
                     list.reserve(followed.count + uint64_t{2} * kScriptDepth + 24 +
                                  uint64_t{2} * SYSLOAD_MOST_HOOKS);
  bool done = followed.own;
  if (ready) {
    const sys::Fd way = door();
    keep_over_exec(followed.program, true);
    keep_over_exec(way, true);
    const Figures figures(request.mask, followed.program, way);
    const uint64_t arguments =
        build_arguments(&list, *target, request.argv, followed.count, figures, followed.comm);
    *answer = execute(loader, arguments, request.envp);
    keep_over_exec(way, false);
    done = done || !is_for_sysload(request, *answer);
    if (!done)
      report_native(request, followed.named, "sysload may not be executed where it runs", target);
  } else {
    *answer = -ENOMEM;
  }
  if (loader >= 0) sys::close(loader);
  return done;
}

}  // namespace

bool follow_exec(const ExecRequest& request, int64_t* answer) {
  if (!is_execution(request)) return false;
  const LockOpener opener;
  ExecTarget& target = *Memory::at<ExecTarget>(Memory::address_of(&sysload_follow_memory[0]));
  static_assert(sizeof(ExecTarget) <= SYSLOAD_FOLLOW_MEMORY_SIZE);
  target.word_count = 0;
  target.executed[0] = 0;
  if (read_program_string(request.path, target.path, sizeof(target.path)) < 0) return false;
  const int64_t count = count_arguments(request.argv);
  if (count < 0) return false;
  const bool own = means_own_exe(request, target);
  if (!own && !sysload_state.follow) return false;
  char named[kExecPath];
  memcpy(named, target.path, sizeof(named));
  sys::Fd program = -1;
  const ExecKind kind = own ? resolve_own_exe(request, &target, &program, answer)
                            : resolve_target(request, &target, &program);
  if (kind != ExecKind::kElf) {
    if (own) return true;  // the kernel would find sysload there
    if (const char* why = reason_of(kind)) report_native(request, named, why, &target);
    return false;
  }
  char comm[kCommSize] = "";
  if (named[0] == 0) {
    sys::name_of(program, target.path, sizeof(target.path));
    read_comm(target.path, comm);
  }
  const bool from_folder = request.directory != AT_FDCWD && named[0] != '/';
  if (from_folder && own)
    name_in_dev(request.directory, named, target.executed, sizeof(target.executed));
  else if (from_folder && target.word_count == 0)
    name_by_descriptor(request, named, program, &target);
  const Followed followed{named, own, static_cast<uint64_t>(count), comm, program};
  const bool done = execute_by_sysload(request, followed, &target, answer);
  sys::close(program);
  return done;
}

}  // namespace sysrewrite
