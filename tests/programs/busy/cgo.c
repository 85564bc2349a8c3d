//go:build cgo

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "_cgo_export.h"

static _Atomic uint64_t thread_rounds, thread_errors;

uint64_t busy_mix(uint64_t seed, int rounds) {
	while (rounds-- > 0) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
	}
	return seed;
}

uint64_t busy_call_back(uint64_t value, int depth) { return busyGo(value, depth); }

/* A signal, or a tracer's stop, may end a sleep early. */
void busy_sleep(long ns) {
	struct timespec left = {.tv_nsec = ns};
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static void *call_go(void *unused) {
	(void)unused;
	for (uint64_t value = 1;; value++) {
		if (busyGo(value, 2) != value + 5)
			thread_errors++;
		thread_rounds++;
		busy_sleep(500000);
	}
	return NULL;
}

int busy_thread(void) {
	pthread_t id;
	return pthread_create(&id, NULL, call_go, NULL);
}

uint64_t busy_thread_rounds(void) { return thread_rounds; }
uint64_t busy_thread_errors(void) { return thread_errors; }
