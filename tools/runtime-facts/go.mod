module stillframe/tools/runtime-facts

go 1.24
