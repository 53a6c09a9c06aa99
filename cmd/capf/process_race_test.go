//go:build race

package main

import "os"

// Under the race detector the program is built with it too, and ends without waiting a second for
// latecomers, as every process does otherwise.
func init() {
	buildArguments = append(buildArguments, "-race")
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
}
