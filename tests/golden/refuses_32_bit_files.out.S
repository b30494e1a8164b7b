# error: a 32-bit ELF file; only 64-bit ones are rewritten
