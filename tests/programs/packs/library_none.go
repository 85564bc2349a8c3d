//go:build !(http || database_sql || grpc || otel || pgx || redis)

package main

// start calls nothing: a build is of one library.
func start() []int {
	return nil
}
