module stillframe/tools/benchmark

go 1.24
