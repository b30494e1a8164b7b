// Serving poison: the bytes F1 F4 that stand where a syscall instruction stood.
#ifndef SYSREWRITE_LOADER_TRAP_H_
#define SYSREWRITE_LOADER_TRAP_H_

#include "loader/image_map.h"
#include "loader/program_file.h"

namespace sysrewrite {

// Keeps the site table of a mapped file, where one of its sites has poison.
void add_trap_table(const ProgramFile& file, const MappedImage& image);

// Where a program that met poison at `rip` goes on; 0 where there is none.
RuntimeAddr stub_behind_poison(RuntimeAddr rip);

// Whether some site is nothing but poison: its program does not run without the trap.
bool has_lone_poison();

// Drops the table of the file whose trampoline lies there.
void drop_trap_table(RuntimeAddr trampoline);

// Takes the signals over, where there is anything to serve. Called once, after the last table.
void install_trap();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_TRAP_H_
