module stillframe.test/waits

go 1.21
