#include "loader/options.h"

#include <linux/auxvec.h>

#include <cstring>

#include "loader/engine/hook_set.h"
#include "loader/report.h"
#include "loader/text.h"

namespace sysrewrite {

namespace {

constexpr char kUsage[] = "usage: sysload [--hook HOOK]... [--argv0 NAME] PROGRAM [ARGUMENT...]";

constexpr char kHelp[] = R"(
Runs PROGRAM, an executable that sysrewrite has rewritten, under a hook that sees its system calls.
PROGRAM is a path; $PATH is not searched. A rewritten executable names sysload as its interpreter,
so that ./PROGRAM alone does the same; options then come from the environment or from the file.

  --hook HOOK     what is done with each call; repeated, in that order:
    none            let every call through (default)
    count           count calls, errors and time, and print a table at the end
    trace           print each call, as strace does
    files           print which files are read, written, created, looked for...
    deny:policy=F   let calls fail as the policy in F says
    sysroot:root=D  let the files of D stand before those of the host
    ./MINE.so       a hook of your own: see docs/hooks.md
                  Options follow a colon, as in count:sort=calls; output=PATH is every hook's
                  (sysrewrite-hooks(7))
  --vdso keep     clock_gettime and its like are answered without a system call (default)
  --vdso hide     hide the vdso, so that they are made as system calls, and seen
  --exhaustive    catch the calls of code that was not rewritten too (slower; Linux 5.11)
  --argv0 NAME    what the program finds as its own name, instead of PROGRAM
  --server NAME   ask the process behind `sysrewrite run` for files that are not rewritten
  --no-follow     do not follow what PROGRAM executes
  --unpatched WHAT  what cannot be rewritten runs native (default), or ends the process: fail
  --native        let the kernel start PROGRAM, as it is
  --mask HEX      start PROGRAM with these signals blocked
  --door HEX      reach that process through this descriptor: its name leads nowhere from here
  --program-fd HEX  read the program from this descriptor; PROGRAM only names it
  --execfn NAME   what was executed: a script, where PROGRAM is its interpreter; or a name in /dev/fd
  --comm NAME     what the process is called, where that is not the end of the name that was executed
  --help          print this
  --version       print the version

environment:
  SYSLOAD_HOOK    as --hook; ignored by programs that run with raised privileges
  SYSLOAD_VDSO    as --vdso; likewise

Options win over the environment, and that over what `sysrewrite --hook` and `--vdso` wrote into the
file.
What sysload itself has to say goes to standard error, one line, with exit status 127.

examples:
  sysrewrite ./busybox ./busybox.rw
  sysload --hook count ./busybox.rw ls
  sysload --hook trace:filter=%file:output=calls.txt ./busybox.rw ls
  SYSLOAD_HOOK=count ./busybox.rw ls
)";

constexpr char kVersion[] = "sysload " SYSLOAD_VERSION "\n";

// Adds what one of the sources names to what it has named before.
void add_spec(const char* name, const char* source, HookSpecs* specs) {
  if (equal(name, "none")) return;
  if (!is_known_hook(name))
    fail("options", source, ": there is no hook named \"", name, "\"; known are: ", known_hooks(),
         ", and the path of a shared object, with a slash in it");
  if (specs->count == specs->spec.size())
    fail("options", source, ": there may be ", uint64_t{SYSLOAD_MOST_HOOKS}, " hooks at most");
  specs->spec[specs->count++] = name;
}

[[noreturn]] void answer(const char* first, const char* second) {
  {
    Writer out(kStandardOutput);
    out.text(first).text(second);
  }
  sys::exit_group(0);
}

uint64_t hexadecimal(const char* digits) {
  uint64_t value = 0;
  for (; *digits != 0; ++digits) {
    const bool letter = *digits >= 'a' && *digits <= 'f';
    if (!letter && (*digits < '0' || *digits > '9'))
      fail("options", "--mask, --door and --program-fd take lower-case hex");
    value = value * 16 + static_cast<uint64_t>(letter ? *digits - 'a' + 10 : *digits - '0');
  }
  return value;
}

// Reads `--name value` and `--name=value`; nullptr where the argument is another one.
class ArgumentReader {
 public:
  ArgumentReader(const StackView& stack, uint64_t index) : stack_(stack), index_(index) {}

  bool at_option() const {
    return index_ < stack_.argc() && stack_.argument(index_)[0] == '-' &&
           stack_.argument(index_)[1] != 0;
  }
  const char* option() const { return stack_.argument(index_); }
  uint64_t index() const { return index_; }
  void next() { ++index_; }

  char* value_of(const char* name) {
    char* option = stack_.argument(index_);
    const char* rest = after(option, name);
    if (rest == nullptr || (*rest != 0 && *rest != '=')) return nullptr;
    if (*rest == '=') return option + (rest - option) + 1;
    if (index_ + 1 >= stack_.argc()) fail("options", name, " needs a value; see sysload --help");
    return stack_.argument(++index_);
  }

 private:
  const StackView& stack_;
  uint64_t index_;
};

struct FileOptions {
  HookSpecs hooks;
  const char* vdso = nullptr;
};

// The options of the file: "key=value", each NUL-ended (RewrittenFile::parse has seen the last).
FileOptions read_file_options(ByteView options) {
  FileOptions result;
  for (size_t at = 0; at < options.size();) {
    const char* option = static_cast<const char*>(static_cast<const void*>(options.data() + at));
    if (const char* hook = after(option, "hook=")) {
      if (result.hooks.count < result.hooks.spec.size())
        result.hooks.spec[result.hooks.count++] = hook;
    } else if (const char* vdso = after(option, "vdso=")) {
      result.vdso = vdso;
    } else {
      // Whoever wrote another option meant it to be obeyed.
      fail("options", "the file says \"", option, "\", which this sysload does not know");
    }
    at += strlen(option) + 1;
  }
  return result;
}

bool hides_vdso(const char* word, const char* source) {
  if (equal(word, "hide")) return true;
  if (equal(word, "keep")) return false;
  fail("options", source, ": \"", word, "\" is neither keep nor hide");
}

bool is_to_fail(const char* word) {
  if (equal(word, "fail")) return true;
  if (equal(word, "native")) return false;
  fail("options", "--unpatched: \"", word, "\" is neither native nor fail");
}

}  // namespace

Arguments read_arguments(const StackView& stack) {
  Arguments arguments;
  ArgumentReader reader(stack, 1);
  for (; reader.at_option(); reader.next()) {
    if (equal(reader.option(), "--")) {
      reader.next();
      break;
    }
    if (equal(reader.option(), "--help")) answer(kUsage, kHelp);
    if (equal(reader.option(), "--exhaustive")) {
      arguments.exhaustive = true;
      continue;
    }
    if (equal(reader.option(), "--no-follow")) {
      arguments.follow = false;
      continue;
    }
    if (equal(reader.option(), "--native")) {
      arguments.native = true;
      continue;
    }
    if (equal(reader.option(), "--version")) answer(kVersion, "");
    if (const char* hook = reader.value_of("--hook")) {
      if (!arguments.specs) arguments.specs.emplace();
      add_spec(hook, "--hook", &*arguments.specs);
    } else if (const char* server = reader.value_of("--server")) {
      arguments.server = server;
    } else if (const char* door = reader.value_of("--door")) {
      arguments.door_fd = static_cast<int64_t>(hexadecimal(door));
    } else if (const char* fd = reader.value_of("--program-fd")) {
      arguments.program_fd = static_cast<int64_t>(hexadecimal(fd));
    } else if (const char* mask = reader.value_of("--mask")) {
      arguments.mask = hexadecimal(mask);
    } else if (char* name = reader.value_of("--argv0")) {
      arguments.argv0 = name;
    } else if (const char* executed = reader.value_of("--execfn")) {
      arguments.execfn = executed;
    } else if (const char* comm = reader.value_of("--comm")) {
      arguments.comm = comm;
    } else if (const char* vdso = reader.value_of("--vdso")) {
      arguments.hide_vdso = hides_vdso(vdso, "--vdso");
    } else if (const char* unpatched = reader.value_of("--unpatched")) {
      arguments.unpatched_fails = is_to_fail(unpatched);
    } else {
      fail("options", "unknown option ", reader.option(), "; see sysload --help");
    }
  }
  arguments.program_index = reader.index();
  if (arguments.program_index >= stack.argc()) fail("options", "no program is named; ", kUsage);
  return arguments;
}

Settings choose_settings(const Arguments& arguments, const StackView& stack,
                         ByteView file_options) {
  const FileOptions in_file = read_file_options(file_options);
  // Under AT_SECURE whoever set the environment has fewer rights than the program.
  const bool trusted = stack.auxiliary_or(AT_SECURE, 0) == 0;
  const auto setting = [&](const char* variable, const char* otherwise, const char** source) {
    const char* value = trusted ? stack.environment(variable) : nullptr;
    const bool set = value != nullptr && value[0] != 0;
    *source = set ? variable : "the file's options";
    return set ? value : otherwise;
  };
  Settings settings;
  settings.mask = arguments.mask;
  const char* source = nullptr;
  if (arguments.specs) {
    settings.specs = *arguments.specs;
  } else if (const char* hook = setting("SYSLOAD_HOOK", nullptr, &source)) {
    add_spec(hook, source, &settings.specs);
  } else {
    for (uint32_t i = 0; i < in_file.hooks.count; ++i)
      add_spec(in_file.hooks.spec[i], source, &settings.specs);
  }
  if (arguments.hide_vdso) {
    settings.hide_vdso = *arguments.hide_vdso;
  } else if (const char* vdso = setting("SYSLOAD_VDSO", in_file.vdso, &source)) {
    settings.hide_vdso = hides_vdso(vdso, source);
  }
  return settings;
}

}  // namespace sysrewrite
