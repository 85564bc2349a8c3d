module stillframe.test/sockets

go 1.21
