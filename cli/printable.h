// Text that is not ours, as a terminal may be shown it: names of files and symbols, paths and
// options out of a file, what a program calls itself. What a terminal would obey is shown as \xNN.
#ifndef SYSREWRITE_CLI_PRINTABLE_H_
#define SYSREWRITE_CLI_PRINTABLE_H_

#include <string>

namespace sysrewrite {

// A name: control characters and what is no UTF-8 as \n or \xNN, and a backslash doubled, so that
// it can be told what the name was. Always one line.
std::string printable(const std::string& name);

// Lines, into which names may have got: the same but for newlines, tabs and backslashes, which
// stay.
std::string printable_lines(const std::string& text);

// A sentence, into which names may have got: as lines, but always one.
std::string printable_line(const std::string& text);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_PRINTABLE_H_
