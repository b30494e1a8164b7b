#include "tests/sample_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sysrewrite::test {

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << "cannot read " << path;
  const std::string all(std::istreambuf_iterator<char>(file), {});
  return text(all);
}

void write_file(const std::string& path, ByteView bytes) {
  std::ofstream file(path, std::ios::binary);
  const auto* first = static_cast<const char*>(static_cast<const void*>(bytes.data()));
  file.write(first, static_cast<std::streamsize>(bytes.size()));
  EXPECT_TRUE(file.good()) << "cannot write " << path;
}

Bytes read_sample(const SampleFile& sample) {
  EXPECT_TRUE(std::filesystem::exists(sample.path))
      << sample.path << " is missing: apt-get install " << sample.package;
  return read_file(sample.path);
}

ScratchDirectory::ScratchDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "sysrewrite-XXXXXX").string();
  const char* made = mkdtemp(pattern.data());
  EXPECT_NE(made, nullptr) << "cannot make a directory like " << pattern;
  if (made != nullptr) path_ = made;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string output_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr) << command;
  if (pipe == nullptr) return {};
  std::string out;
  std::array<char, 65536> buffer;
  while (const size_t got = fread(buffer.data(), 1, buffer.size(), pipe))
    out.append(buffer.data(), got);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return out;
}

}  // namespace sysrewrite::test
