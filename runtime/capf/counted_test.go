package capf_test

import (
	"testing"

	"capf/internal/plain"
	"capf/runtime/capf"
)

func TestCounted(t *testing.T) {
	for count, want := range map[int]string{0: "0 phones", 1: "1 phone", 2: "2 phones"} {
		if got := plain.Counted(count, "phone"); got != want {
			t.Errorf("plain.Counted(%d) is %q, want %q", count, got, want)
		}
	}
}

// What is one is not said as many.
func TestVerificationInWords(t *testing.T) {
	one := capf.MigrationVerification{Records: 1, Phones: 1, Certificates: 1, KeptAside: 1, Differences: 1, OtherSources: 1}
	const want = "1 record, 1 phone, 1 certificate, 1 line kept aside compared: 1 difference, 1 source not as the run read them"
	if got := one.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
