module stillframe.test/ages

go 1.21
