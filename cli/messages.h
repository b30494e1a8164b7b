// What every command says in the same way: data on standard output, words on standard error.
#ifndef SYSREWRITE_CLI_MESSAGES_H_
#define SYSREWRITE_CLI_MESSAGES_H_

#include <cstdio>
#include <string>

#include "rewriter/result.h"

namespace sysrewrite {

void print(std::FILE* stream, const std::string& text);

// Says "sysrewrite: FILE: what was found" and, if asked, the same as JSON; returns the exit status.
int fail(const std::string& file, const Error& error, bool json);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_MESSAGES_H_
