# error: a relocatable object (ET_REL); rewrite what the linker makes of it
