package main

import "log"

// startSelf: the standard library's own waits on our writer.
func startSelf(s *scene) {
	// The logger holds its lock while our writer blocks; a second line waits.
	logger := log.New(blockedWriter{}, "still ", log.LstdFlags|log.Lshortfile)
	s.expect("main.blockedWriter.Write(", "chan receive")
	s.expect("main.logLine(", "sync.Mutex.Lock")
	go logLine(logger, "a line")
	go logLine(logger, "another line")
}

type blockedWriter struct{}

//go:noinline
func (blockedWriter) Write(text []byte) (int, error) {
	<-never
	return len(text), nil
}

//go:noinline
func logLine(logger *log.Logger, text string) { logger.Printf("%s", text) }
