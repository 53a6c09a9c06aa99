package capf_test

import (
	"testing"

	"capf/runtime/capf"
)

func TestCounted(t *testing.T) {
	for count, want := range map[int]string{0: "0 phones", 1: "1 phone", 2: "2 phones"} {
		if got := capf.Counted(count, "phone"); got != want {
			t.Errorf("Counted(%d) is %q, want %q", count, got, want)
		}
	}
}
