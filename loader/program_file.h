// A file that sysload reads: opened, mapped as a whole for as long as it is looked at, and, where
// it was rewritten, validated.
#ifndef SYSREWRITE_LOADER_PROGRAM_FILE_H_
#define SYSREWRITE_LOADER_PROGRAM_FILE_H_

#include "loader/client.h"
#include "loader/syscalls.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite {

class ProgramFile {
 public:
  // Opens and maps a regular file for reading. Ends the process with a line where it cannot.
  static ProgramFile open(const char* phase, const char* path);
  // The same for one that is open already, and is closed in the end.
  static ProgramFile adopt(const char* phase, const char* path, sys::Fd fd);
  // The same as open(), but the answer is false, and nothing has happened, where the file cannot be
  // opened.
  static bool try_open(const char* path, ProgramFile* file, int64_t* answer);

  // Looks at a file that the program has open, whose descriptor stays the program's. False where it
  // cannot be a rewritten file: most mapped files are none, and their last bytes tell.
  static bool look_at(sys::Fd fd, ProgramFile* file);

  // Reads the trailer. Ends the process where it is damaged, where the file does not match its
  // checksum, or where it was rewritten for somebody else's loader.
  void read_trailer(const char* phase);

  // Where the file itself is none, asks the hosted rewriter for a rewritten copy. Code is then
  // mapped from the copy, and everything else from the file. Ends the process where the file must
  // not run as it is.
  void use_copy(const char* phase);

  // The name for people, which is not always the one that the file was opened by.
  const char* path() const { return path_; }
  void rename(const char* path) { path_ = path; }
  sys::Fd fd() const { return fd_; }
  // What stubs and site table are mapped from.
  sys::Fd code_fd() const { return copy_fd_ >= 0 ? copy_fd_ : fd_; }
  bool has_copy() const { return copy_fd_ >= 0; }
  // Maps code over what is there, as sys::replace_like() does: the file's, and over it what the
  // copy has instead.
  int64_t replace_code(RuntimeAddr address, uint64_t size, uint32_t protection, uint64_t flags,
                       uint64_t offset) const;
  ByteView bytes() const { return bytes_; }
  bool is_rewritten() const { return is_rewritten_; }
  const RewrittenFile& rewritten() const { return rewritten_; }  // where is_rewritten()

  // Bytes of the input, before sysrewrite changed headers and interpreter. Windows stay patched.
  // False where they leave the file.
  bool read_original(FileOffset offset, MutableByteView into) const;

  // Gives back descriptor and mapping. Nothing may be read from this file any more.
  void close();
  // Gives back the mappings and the copy, for a file whose descriptor is the program's.
  void release();

 private:
  void map(const char* phase);
  void read_trailer_of(const char* phase, ByteView whole, bool is_copy);

  const char* path_ = "";
  sys::Fd fd_ = -1;
  sys::Fd copy_fd_ = -1;
  ByteView bytes_;
  ByteView copy_;
  uint32_t piece_count_ = 0;
  CodePiece pieces_[kMostPieces];  // of the copy
  bool is_rewritten_ = false;
  RewrittenFile rewritten_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_PROGRAM_FILE_H_
