module stillframe.test/secrets

go 1.21
