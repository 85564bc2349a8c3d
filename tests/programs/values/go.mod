module stillframe.test/values

go 1.21
