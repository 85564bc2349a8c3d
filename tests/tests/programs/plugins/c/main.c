// A C program that loads a C library written in Go, and waits.
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int main(int count, char **arguments) {
	void *library = count > 1 ? dlopen(arguments[1], RTLD_NOW) : 0;
	void (*hang)(void) = library ? (void (*)(void))dlsym(library, "StartHanging") : 0;
	if (!hang) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	hang();
	printf("ready %d\n", getpid());
	fflush(stdout);
	pause();
}
