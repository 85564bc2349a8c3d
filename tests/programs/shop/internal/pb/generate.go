// Package pb holds what protoc makes of proto/: one package a service.
package pb

//go:generate protoc -I ../../proto --go_out=../.. --go_opt=module=shop.example --go-grpc_out=../.. --go-grpc_opt=module=shop.example inventory.proto orders.proto payments.proto
