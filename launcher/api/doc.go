// Package api is the service between the node agent and the launcher: its protocol, the client and server ends of
// the socket, and the errors that cross it. It must not know how a guest is run.
//
// The Go code is generated from launcher.proto; field numbers are never reused.
package api

//go:generate sh -ec "cd ../.. && protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative launcher/api/launcher.proto"
