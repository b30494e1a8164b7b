#include "tests/hooks/compiled_hook.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sysrewrite::test {

namespace {

// A directory of this process's own, gone with it.
const std::filesystem::path& work() {
  struct Directory {
    std::filesystem::path path;
    Directory() {
      std::string name = (std::filesystem::temp_directory_path() / "hook_XXXXXX").string();
      if (mkdtemp(name.data()) == nullptr) std::abort();
      path = name;
    }
    ~Directory() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Directory directory;
  return directory.path;
}

void write(const std::filesystem::path& path, ByteView bytes) {
  std::ofstream file(path, std::ios::binary);
  for (const std::byte byte : bytes) file.put(static_cast<char>(byte));
}

}  // namespace

Bytes compiled(const std::string& compiler, const std::string& source, const std::string& flags) {
  const auto from = work() / "hook.c", to = work() / "hook.so";
  std::ofstream(from) << source;
  std::filesystem::remove(to);
  const std::string command = compiler + " " + flags + " -I " + SYSLOAD_INCLUDE + " -o " +
                              to.string() + " " + from.string();
  if (std::system(command.c_str()) != 0) {  // NOLINT(cert-env33-c): the compiler in PATH is meant
    ADD_FAILURE() << "failed: " << command;
    return {};
  }
  std::ifstream file(to, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  return text(content);
}

std::string verdict(const Bytes& object) {
  HookImage image;
  Refusal why;
  if (image.read(object, why)) return "accepted";
  EXPECT_STRNE(why.text(), "");
  return why.text();
}

Bytes loaded(const Bytes& object, uint64_t bias) {
  HookImage image;
  Refusal why;
  EXPECT_TRUE(image.read(object, why)) << why.text();
  const uint64_t low = image.low().value;
  Bytes memory(image.high().value - low);
  for (uint32_t i = 0; i < image.segment_count(); ++i) {
    const elf::Phdr& segment = image.segment(i);
    std::memcpy(&memory.at(segment.vaddr - low), &object.at(segment.offset), segment.filesz);
  }
  HookRelocations relocations(image);
  HookRelocation relocation{};
  while (relocations.next(relocation, why) == HookRelocations::Step::kRelocation)
    EXPECT_TRUE(store<uint64_t>(memory, relocation.place.value - low,
                                relocation.value + (relocation.biased ? bias : 0)));
  return memory;
}

std::string readelf(const Bytes& object, const std::string& options) {
  const auto path = work() / "witness.so";
  write(path, object);
  std::string output;
  const std::string command = "LC_ALL=C readelf " + options + " " + path.string();
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(cert-env33-c): the same
  if (pipe == nullptr) return {};
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  pclose(pipe);
  return output;
}

}  // namespace sysrewrite::test
