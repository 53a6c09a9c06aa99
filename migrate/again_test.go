package migrate

import (
	"bytes"
	"testing"
)

// TestSpace takes room for records of all sizes: none has a part of another's, and none grows into the next.
func TestSpace(t *testing.T) {
	var room space
	var taken [][]byte
	for n := range 2000 {
		size := n * n % 777
		if n%500 == 499 {
			size = 3 * spaceAtOnce
		}
		one := room.take(size)
		if len(one) != size || cap(one) != size {
			t.Fatalf("%d bytes, room for %d, where %d were asked for", len(one), cap(one), size)
		}
		for i := range one {
			one[i] = byte(n)
		}
		taken = append(taken, one)
	}
	for n, one := range taken {
		if bytes.Count(one, []byte{byte(n)}) != len(one) {
			t.Fatalf("the bytes of record %d were written over", n)
		}
	}
}
