// Rows of words in columns that line up, for people; still one line a row, for scripts.
#ifndef SYSREWRITE_CLI_TABLE_H_
#define SYSREWRITE_CLI_TABLE_H_

#include <string>
#include <vector>

namespace sysrewrite {

class Table {
 public:
  // Columns whose title starts with '>' are aligned to the right.
  explicit Table(std::vector<std::string> titles);

  void add(std::vector<std::string> row);
  bool empty() const { return rows_.size() == 1; }

  // Two spaces in front of each row and between columns, none behind the last.
  std::string text() const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;  // the titles first
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_TABLE_H_
