# error: an AppImage (squashfs behind a program): 34 bytes at offset ... belong to no segment or section; a program that finds them from the file's end would miss them. --force rewrites all the same
