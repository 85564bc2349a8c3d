module stillframe.test/execs

go 1.22
