module stillframe.test/packs

go 1.26.0
