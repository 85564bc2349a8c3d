module stillframe.test/many

go 1.21
