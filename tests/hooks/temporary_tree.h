// A directory for one test, which is gone with it; the test's working directory meanwhile.
#ifndef SYSREWRITE_TESTS_HOOKS_TEMPORARY_TREE_H_
#define SYSREWRITE_TESTS_HOOKS_TEMPORARY_TREE_H_

#include <filesystem>
#include <fstream>
#include <string>

namespace sysrewrite {

class TemporaryTree {
 public:
  TemporaryTree() : before_(std::filesystem::current_path()) {
    std::string name = std::filesystem::temp_directory_path() / "hooks.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    root_ = std::filesystem::canonical(name);
    std::filesystem::current_path(root_);
  }
  TemporaryTree(const TemporaryTree&) = delete;
  TemporaryTree& operator=(const TemporaryTree&) = delete;
  ~TemporaryTree() {
    std::error_code ignored;
    std::filesystem::current_path(before_, ignored);
    std::filesystem::remove_all(root_, ignored);
  }

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  const std::string& root() const { return root_; }
  void file(const std::string& name, const std::string& text = "") const {
    std::ofstream(path(name)) << text;
  }
  void directory(const std::string& name) const { std::filesystem::create_directories(path(name)); }
  void link(const std::string& name, const std::string& target) const {
    std::filesystem::create_symlink(target, path(name));
  }

 private:
  std::filesystem::path before_;
  std::string root_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TESTS_HOOKS_TEMPORARY_TREE_H_
