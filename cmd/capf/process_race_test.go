//go:build race

package main

// Under the race detector the program is built with it too.
func init() { buildArguments = append(buildArguments, "-race") }
