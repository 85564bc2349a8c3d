/* A parent that stays in vfork until its child is told to go on: its child waits for a byte on the input. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    char byte;
    if (vfork() == 0) {
        write(1, "ready\n", 6);
        read(0, &byte, 1);
        _exit(0);
    }
    write(1, "done\n", 5);
    read(0, &byte, 1);
    return 0;
}
