#include "cli/table.h"

#include <algorithm>

#include "cli/printable.h"

namespace sysrewrite {

namespace {

// Bytes of a cell that others are lined up with. A few names of C++ are longer than any screen is
// wide, and need not make all other lines as long.
constexpr size_t kWidest = 96;

}  // namespace

Table::Table(std::vector<std::string> titles) {
  for (std::string& title : titles) {
    right_.push_back(title[0] == '>');
    if (right_.back()) title.erase(0, 1);
  }
  rows_.push_back(std::move(titles));
}

void Table::add(std::vector<std::string> row) {
  row.resize(right_.size());
  for (std::string& cell : row) cell = printable(cell);
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<size_t> widths(right_.size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], std::min(row[i].size(), kWidest));
  std::string out;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - std::min(row[i].size(), widths[i]), ' ');
      out += "  " + (right_[i] ? gap + row[i] : row[i] + gap);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  }
  return out;
}

}  // namespace sysrewrite
