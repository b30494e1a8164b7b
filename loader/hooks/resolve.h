// The absolute name of what a call names.
//
// A name is put together from the directory that it is relative to and the string that the program
// gave, and made normal: no "//", no ".", no "/" at its end. So far that needs no system call, and
// no symbolic link can make it wrong: "a/./b" and "a//b" are "a/b" whatever a is.
//
// ".." is another matter: "a/../b" is "b" only where a is no symbolic link. Whoever wants it gone
// calls follow_parents(), which asks the kernel about the component before each "..": one readlink,
// two and more where it is a link, whose target then takes its place. Other links stay as they were
// named. This is the kernel's own rule (fs/namei.c: ".." is the parent of the directory that the
// walk has arrived at), so it holds for names that do not exist too, and it opens nothing: a
// descriptor would be seen by the program's other threads.
#ifndef SYSREWRITE_LOADER_HOOKS_RESOLVE_H_
#define SYSREWRITE_LOADER_HOOKS_RESOLVE_H_

#include <cstdint>

#include "loader/include/sysload/hook.h"

namespace sysrewrite {

constexpr uint32_t kNameBytes = 4096;            // PATH_MAX, with the NUL
constexpr uint32_t kPathBytes = 2 * kNameBytes;  // a directory's name, and a name behind it

constexpr int kMostLinks = 40;  // linux, include/linux/namei.h, MAXSYMLINKS

// An absolute path, NUL-ended.
struct AbsolutePath {
  uint32_t size = 0;
  uint32_t floor = 0;        // of what lies below a root of the call's own: the bytes of its name
  bool has_parents = false;  // ".." is in it
  bool wants_directory = false;  // it was given with "/" or "/." at its end
  char text[kPathBytes];

  AbsolutePath() { text[0] = 0; }

  // Takes over `base`, which is absolute and normal.
  void begin(const char* base, uint32_t base_size);
  // Adds what `name` says, component by component; an absolute one replaces what there is. False
  // where it does not fit.
  bool add(const char* name, uint32_t name_size);
  // So many bytes stay, or "/".
  void cut(uint32_t new_size);
  // The last component goes. "/" stays.
  void remove_last();

 private:
  bool add_component(const char* component, uint32_t component_size);
};

// What is still to be gone of a path. A link's target is put before it.
class RemainingPath {
 public:
  // False where it does not fit.
  bool prepend(const char* name, uint32_t size);
  // The size of the next component; 0 at the end.
  uint32_t next(const char** component);
  const char* text() const { return text_ + begin_; }
  uint32_t size() const { return end_ - begin_; }
  // Whether more components follow: slashes alone are none.
  bool more() const;

 private:
  uint32_t begin_ = 0, end_ = 0;
  char text_[kPathBytes];
};

bool is_parent(const char* component, uint32_t size);

// Makes ".." go, as the kernel would; above a root of the call's own nothing leads. False where it
// does not fit, or links go in circles; the path is then as far as one came.
// Where it must not be asked no component counts as a link.
bool follow_parents(const sysload_api& api, AbsolutePath& path, bool asks = true);

// The link in /proc to the file behind a descriptor of the calling thread, which leads to it
// whatever became of its name. NUL-ended.
struct DescriptorLink {
  explicit DescriptorLink(uint32_t descriptor);
  char text[sizeof("/proc/thread-self/fd/") + 10];
};

// What the kernel calls the file behind a descriptor of the calling thread: its length, or an error
// (-ENOENT where /proc is not mounted). Not NUL-ended. AT_FDCWD is the working directory. What a
// name that is no path begins with is not '/' ("pipe:[1]").
int64_t name_of_descriptor(const sysload_api& api, int32_t descriptor, char* into, uint32_t size);

// The same of a directory, or AT_FDCWD, NUL-ended; where it was removed, without the " (deleted)"
// that the kernel puts behind.
struct DirectoryName {
  int64_t size;  // or an error
  bool is_removed;
};
DirectoryName name_of_directory(const sysload_api& api, int32_t descriptor, char* into,
                                uint32_t size);

// Whether a name is that of the descriptor's file, as this process sees it. NUL-ended.
bool leads_to(const sysload_api& api, const char* name, int32_t descriptor);
// Whether a name from /proc, NUL-ended, is that of a file that was removed: the kernel puts
// " (deleted)" behind it. A file may be called so, too: then its name leads to it.
bool is_removed_name(const sysload_api& api, int32_t descriptor, const char* name, uint32_t size);
// Of such a name.
constexpr uint32_t kRemovedSuffix = sizeof(" (deleted)") - 1;

// Whether the thread may execute a file: 0, or an error. Of its effective user, whom execve asks.
int64_t ask_execution(const sysload_api& api, uint64_t directory, uint64_t name);

// The working directory, where getcwd knows it, and otherwise as /proc has it: one that was removed
// has " (deleted)" taken off. Its length, NUL-ended, or an error.
int64_t name_of_working_directory(const sysload_api& api, char* into, uint32_t size);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_RESOLVE_H_
