//go:build !(context || database_sql || grpc || grpc_http || h2c || http || locks || otel || pgx || redis)

package main

// start calls nothing: a build is of one library.
func start() []int {
	return nil
}
