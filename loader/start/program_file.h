// A file that sysload reads: opened, and, where it was rewritten, mapped as a whole for as long as
// it is looked at, and validated. Of others the first bytes are read, and nothing is mapped, where
// they hold all that is asked of such a file: the headers, and the path of the interpreter.
#ifndef SYSREWRITE_LOADER_START_PROGRAM_FILE_H_
#define SYSREWRITE_LOADER_START_PROGRAM_FILE_H_

#include "loader/serve/client.h"
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
  // cannot be a rewritten file: most mapped files are none, and their last bytes tell. False, too,
  // where the kernel is going to refuse its code, of which a copy would not keep it.
  static bool look_at(sys::Fd fd, ProgramFile* file);

  // Reads the trailer. Ends the process where it is damaged, where the file does not match its
  // checksum, or where it was rewritten for somebody else's loader.
  void read_trailer(const char* phase);

  // Where the file itself is none, asks the hosted rewriter for a rewritten copy. Code is then
  // mapped from the copy, and everything else from the file. Ends the process where the file must
  // not run as it is.
  void use_copy(const char* phase);

  // The name for people, which is not always the one that the file was opened by.
  const char* path() const;
  void rename(const char* path) { path_ = path; }
  // To the path that the descriptor was opened by, when somebody wants to know.
  void name_by_descriptor() { path_ = nullptr; }
  sys::Fd fd() const { return fd_; }
  // What stubs and site table are mapped from.
  sys::Fd code_fd() const { return copy_fd_ >= 0 ? copy_fd_ : fd_; }
  bool has_copy() const { return copy_fd_ >= 0; }
  // Maps code over what is there, as sys::replace_like() does: the file's, and over it what the
  // copy has instead.
  int64_t replace_code(RuntimeAddr address, uint64_t size, uint32_t protection, uint64_t flags,
                       uint64_t offset) const;
  // All of it, or its first bytes. A view into this object, then.
  ByteView bytes() const { return is_plain_ ? start() : bytes_; }
  uint64_t size() const { return size_; }  // bytes
  bool is_rewritten() const { return is_rewritten_; }
  const RewrittenFile& rewritten() const { return rewritten_; }  // where is_rewritten()
  // Whether some of its system calls are not rewritten, or may not be.
  bool has_native_calls() const;

  // Bytes of the input, before sysrewrite changed headers and interpreter. Windows stay patched.
  // False where they leave the file.
  bool read_original(FileOffset offset, MutableByteView into) const;

  // Gives back descriptor and mapping. Nothing may be read from this file any more.
  void close();
  // Gives back the mappings and the copy, for a file whose descriptor is the program's.
  void release();

 private:
  // Nearly all have no more headers than this; it lies on a stack that may be small.
  static constexpr uint64_t kStartSize = sizeof(elf::Ehdr) + 16 * sizeof(elf::Phdr);

  ByteView start() const { return as_byte_view(&start_[0], start_size_); }
  bool measure(int64_t* answer);
  bool starts_as_elf() const;
  bool ends_in_trailer() const;
  bool has_trailer_in_segment() const;
  bool start_holds_headers() const;
  bool start_holds_interpreter() const;
  void look(const char* phase);
  void map(const char* phase);
  void read_trailer_of(const char* phase, ByteView whole, bool is_copy);

  const char* path_ = "";  // nullptr: that of the descriptor
  sys::Fd fd_ = -1;
  uint64_t size_ = 0;
  sys::Fd copy_fd_ = -1;
  bool is_plain_ = false;  // nothing is mapped of it but its copy
  uint64_t start_size_ = 0;
  alignas(8) std::byte start_[kStartSize];
  ByteView bytes_;
  ByteView copy_;
  uint32_t piece_count_ = 0;
  CodePiece pieces_[kMostPieces];  // of the copy
  bool is_rewritten_ = false;
  bool has_no_calls_ = false;  // as the server says
  RewrittenFile rewritten_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_PROGRAM_FILE_H_
