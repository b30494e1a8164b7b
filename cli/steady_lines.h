// What of a command's output is the same from one run to the next: all lines but those that two
// native runs do not agree on, as one that names a process ID or the time.
#ifndef SYSREWRITE_CLI_STEADY_LINES_H_
#define SYSREWRITE_CLI_STEADY_LINES_H_

#include <string>
#include <vector>

namespace sysrewrite {

class SteadyLines {
 public:
  SteadyLines() = default;
  SteadyLines(const std::string& once, const std::string& again);

  // True where another run's output differs in what is compared; nothing is, where the two had not
  // the same number of lines.
  bool differ_from(const std::string& other) const;

  // "standard output: 1 of 7 lines differs from one native run to the next: not compared"; empty
  // where all are compared.
  std::string note(const std::string& stream) const;

 private:
  std::vector<std::string> lines_;
  std::vector<bool> steady_;  // for each line
  size_t unsteady_ = 0;
  bool compared_ = true;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_STEADY_LINES_H_
