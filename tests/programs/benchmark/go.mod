module stillframe.test/benchmark

go 1.21
