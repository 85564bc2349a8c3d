module stillframe.test/transactions

go 1.21
