module stillframe.test/stamps

go 1.21
