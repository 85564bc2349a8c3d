module stillframe.test/plugins

go 1.21
