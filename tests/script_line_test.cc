#include "trampoline/script_line.h"

#include <gtest/gtest.h>

#include <string>

namespace sysrewrite {
namespace {

using namespace std::string_literals;

// "interpreter|argument", or "-" where there is none.
std::string split(const std::string& file) {
  char head[kScriptLine] = {};
  file.copy(head, sizeof(head));
  ScriptLine line;
  if (!split_script_line(head, &line)) return "-";
  return line.interpreter + (line.argument == nullptr ? ""s : "|"s + line.argument);
}

TEST(ScriptLine, InterpreterAndAllThatFollowsAsOneArgument) {
  EXPECT_EQ(split("#!/bin/sh\necho"), "/bin/sh");
  EXPECT_EQ(split("#! \t/bin/sh\t \n"), "/bin/sh");
  EXPECT_EQ(split("#!/bin/env  python3 -u \t\nx"), "/bin/env|python3 -u");
  EXPECT_EQ(split("#!/bin/sh\r\n"), "/bin/sh\r");
  EXPECT_EQ(split("#!/bin/sh -x"), "/bin/sh|-x");
}

TEST(ScriptLine, NoInterpreterIsNoScript) {
  for (const std::string& file : {""s, "#"s, "x#!/bin/sh\n"s, "#!\n/bin/sh"s, "#! \t\n"s,
                                  "#!"s + std::string(kScriptLine, ' ')})
    EXPECT_EQ(split(file), "-") << file;
  // An empty path, says the kernel, which is not there.
  EXPECT_EQ(split("#!"), "");
}

TEST(ScriptLine, AZeroEndsTheLine) {
  EXPECT_EQ(split("#!/bin/sh\0 -x\n"s), "/bin/sh");
  EXPECT_EQ(split("#!/bin/sh -x\0 y\n"s), "/bin/sh|-x");
  EXPECT_EQ(split("#!/bin/sh \0y\n"s), "/bin/sh|");
}

TEST(ScriptLine, APathThatMayGoOnIsNoScript) {
  const std::string path = "#!/" + std::string(kScriptLine - 3, 'p');
  EXPECT_EQ(split(path), "-");
  EXPECT_EQ(split(path + "\n"), "-");
  EXPECT_EQ(split(path.substr(0, kScriptLine - 1) + "\n"), path.substr(2, kScriptLine - 3));
  EXPECT_EQ(split(path.substr(0, kScriptLine - 1) + " x\n"), path.substr(2, kScriptLine - 3));
  EXPECT_EQ(split(path.substr(0, kScriptLine - 2) + " x\n"), path.substr(2, kScriptLine - 4));
}

TEST(ScriptLine, AnArgumentIsCutOneByteBeforeTheEndOfWhatIsRead) {
  const std::string start = "#!/bin/echo ";
  const std::string argument(kScriptLine, 'a');
  EXPECT_EQ(split(start + argument),
            "/bin/echo|" + std::string(kScriptLine - 1 - start.size(), 'a'));
  // A line that ends with what is read is whole.
  const std::string whole = start + std::string(kScriptLine - 1 - start.size(), 'a');
  EXPECT_EQ(split(whole + "\n"), "/bin/echo|" + whole.substr(start.size()));
}

}  // namespace
}  // namespace sysrewrite
