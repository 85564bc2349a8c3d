//go:build cgo

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "_cgo_export.h"

/* Signals (Go's preemption sends them) end pause(); they must not end the wait. */
void still_pause(void) {
	for (;;)
		pause();
}

long still_read(int fd) {
	char byte;
	long n;
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n;
}

void still_call_go(uintptr_t kind) { stillCallback(kind); }

static void *thread(void *kind) {
	still_call_go((uintptr_t)kind);
	return NULL;
}

int still_thread_calls_go(uintptr_t kind) {
	pthread_t id;
	return pthread_create(&id, NULL, thread, (void *)kind);
}
