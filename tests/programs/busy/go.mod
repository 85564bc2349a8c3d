module stillframe.test/busy

go 1.21
