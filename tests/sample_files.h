// Real programs and libraries as inputs. They come from the Debian packages that the project's
// build depends on; one that is missing fails the test that asks for it.
#ifndef SYSREWRITE_TESTS_SAMPLE_FILES_H_
#define SYSREWRITE_TESTS_SAMPLE_FILES_H_

#include <ostream>
#include <string>
#include <vector>

#include "tests/byte_literals.h"

namespace sysrewrite::test {

struct SampleFile {
  const char* name;
  const char* path;
  const char* package;
};

inline void PrintTo(const SampleFile& sample, std::ostream* out) {
  *out << sample.name;
}

inline constexpr SampleFile kBusybox{"busybox", "/bin/busybox", "busybox-static"};
inline constexpr SampleFile kBash{"bash", "/bin/bash-static", "bash-static"};
inline constexpr SampleFile kMusl{"musl", "/usr/lib/x86_64-linux-musl/libc.so", "musl"};
inline constexpr SampleFile kGlibc{"glibc", "/usr/lib/x86_64-linux-gnu/libc.so.6", "libc6"};
inline constexpr SampleFile kLdSo{"ldso", "/lib64/ld-linux-x86-64.so.2", "libc6"};
inline constexpr SampleFile kStaticPie{"ldconfig", "/sbin/ldconfig", "libc-bin"};

inline const std::vector<SampleFile> kSampleFiles = {kBusybox, kBash, kMusl,
                                                     kGlibc,   kLdSo, kStaticPie};

// The file's bytes; where it is missing the test fails, saying which package has it.
Bytes read_sample(const SampleFile& sample);

// Any file's bytes; a failure where it cannot be read.
Bytes read_file(const std::string& path);
void write_file(const std::string& path, ByteView bytes);

// A directory of its own for the running test, empty at first, removed afterwards.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// What a command prints on standard output; a failure where it does not exit with 0.
std::string output_of(const std::string& command);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_SAMPLE_FILES_H_
