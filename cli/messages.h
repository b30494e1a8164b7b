// What every command says in the same way: data on standard output, words on standard error.
#ifndef SYSREWRITE_CLI_MESSAGES_H_
#define SYSREWRITE_CLI_MESSAGES_H_

#include <cstdio>
#include <string>

#include "rewriter/result.h"

namespace sysrewrite {

// Lines for people, in which names may be anybody's (printable_lines). What a stream does not take
// is found out in the end: finish_output().
void print(std::FILE* stream, const std::string& text);
// On standard output, as it is.
void print_json(const std::string& json);

// The exit status; where standard output could not be written, a line about it, and an error's.
// Once, and last of all.
int finish_output(int status);

// Says "sysrewrite: FILE: what was found" and, if asked, the same as JSON; returns the exit status.
int fail(const std::string& file, const Error& error, bool json);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_MESSAGES_H_
