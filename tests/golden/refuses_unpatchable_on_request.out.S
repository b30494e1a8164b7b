# error: no jump fits at 0x401004: an instruction of the window cannot run elsewhere; --on-unpatchable=trap poisons it, keep leaves it native
