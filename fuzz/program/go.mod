module example.com/stillframe/fuzzed

go 1.24
