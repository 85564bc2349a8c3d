module stillframe.test/parked

go 1.21
