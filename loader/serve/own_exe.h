// /proc/self/exe, where it names sysload instead of the program.
#ifndef SYSREWRITE_LOADER_SERVE_OWN_EXE_H_
#define SYSREWRITE_LOADER_SERVE_OWN_EXE_H_

#include "loader/start/image_map.h"
#include "loader/syscalls.h"

namespace sysrewrite {

// Remembers the file of the program that sysload was given as an argument, open as `fd`, and what
// leads to it.
void remember_own_exe(sys::Fd fd);
// Likewise, when it is mapped.
void remember_own_mapping(const ProgramFile& file, const ElfImage& image,
                          const MappedImage& mapped);

inline constexpr uint64_t kOwnPath = 4096;  // PATH_MAX, NUL included

// A path that leads to this file now: its name, or a link of /proc that is the kernel's alone; or,
// as long as this lives, to a copy of what has no name.
class OwnExe {
 public:
  OwnExe();
  OwnExe(const OwnExe&) = delete;
  OwnExe& operator=(const OwnExe&) = delete;
  ~OwnExe() { give_up_copy(); }

  bool found() const { return found_; }  // else ENOENT
  bool is_copy() const { return copy_ >= 0; }
  const char* path() const { return &path_[0]; }
  void give_up_copy();

 private:
  bool find();

  sys::Fd copy_ = -1;
  char path_[kOwnPath];
  bool found_;
};

// What readlink says of /proc/self/exe: how the file is called by now.
bool read_own_exe(char (&name)[kOwnPath]);

// Whether the call may do something with the file that such a link (exe_link.h) leads to, execve
// apart: the filter of serve.S looks into their paths.
bool takes_path_of_exe(uint64_t number);

// Makes such a call of the program's with the program's own path. False: it is another, or one of
// the link itself. Nobody writes the file, as if the kernel had executed it.
bool serve_own_exe(uint64_t number, const uint64_t (&asked)[6], int64_t* answer);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_OWN_EXE_H_
