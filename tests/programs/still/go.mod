module stillframe.test/still

go 1.21
